"use strict";

// Figures are drawn when they come near the window: a page with many of them opens at once.
const observer = new IntersectionObserver(entries => {
  for (const entry of entries) {
    if (entry.isIntersecting) draw(entry.target);
  }
}, { rootMargin: "600px" });

function draw(box) {
  observer.unobserve(box);
  if (box.dataset.drawn) return;
  box.dataset.drawn = "yes";
  const figure = JSON.parse(document.getElementById(box.dataset.figure).textContent);
  // A finger scrolls the page, a mouse zooms.
  const finger = matchMedia("(pointer: coarse)").matches;
  if (finger) figure.layout.dragmode = false;
  const config = {
    displayModeBar: finger || box.closest(".maps") ? false : "hover",
    responsive: true,
    displaylogo: false,
    modeBarButtons: [["toImage", "resetScale2d"]],
  };
  Plotly.newPlot(box, figure.data, figure.layout, config);
}

const boxes = [...document.querySelectorAll(".plot")];
boxes.forEach(box => observer.observe(box));
window.addEventListener("beforeprint", () => boxes.forEach(draw));

// A table of many rows shows its first ones until asked for all, or filtered.
const FIRST_ROWS = 100;

function arrange(table) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const bar = document.querySelector(`[data-table="${table.id}"]`);
  const filter = bar.querySelector("input");
  const count = bar.querySelector("output");
  const all = bar.querySelector("button");
  let limit = FIRST_ROWS;

  function show() {
    const wanted = filter.value.trim().toLowerCase();
    let matches = 0;
    for (const row of body.rows) {
      const match = !wanted || row.cells[0].textContent.toLowerCase().includes(wanted);
      matches += match;
      row.hidden = !match || matches > limit;
    }
    const shown = Math.min(matches, limit);
    count.textContent = shown === rows.length ? `${shown} instances` : `${shown} of ${rows.length} instances`;
    all.hidden = matches <= limit;
    all.textContent = `Show all ${matches}`;
  }

  function sort(header) {
    const down = header.getAttribute("aria-sort") === "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", down ? "descending" : "ascending");
    const key = row => {
      const cell = row.cells[header.cellIndex];
      return cell.dataset.value === undefined ? cell.textContent.trim() : Number(cell.dataset.value);
    };
    const order = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : compareText(a, b));
    rows.sort((a, b) => (down ? -1 : 1) * order(key(a), key(b)));
    body.append(...rows);
    show();
  }

  for (const button of table.tHead.querySelectorAll("button")) {
    button.addEventListener("click", () => sort(button.closest("th")));
  }
  filter.addEventListener("input", show);
  all.addEventListener("click", () => { limit = Infinity; show(); });
  window.addEventListener("beforeprint", () => { limit = Infinity; show(); });
  bar.hidden = false;
  show();
}

// Numbers before words: an instance without an answer comes last.
function compareText(a, b) {
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
  return a.localeCompare(b, "en", { numeric: true });
}

document.querySelectorAll("table.sortable").forEach(arrange);
