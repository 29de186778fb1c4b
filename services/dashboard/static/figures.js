"use strict";

// Figures come from the JSON routes, and are fetched and drawn when they come near the window: a page of many opens at
// once. Plotly itself is loaded with the first of them.
const plotlyAddress = document.currentScript.dataset.plotly;
let plotlyLoading = null;

function plotly() {
  plotlyLoading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = plotlyAddress;
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => {
      plotlyLoading = null;
      reject(new Error("Plotly could not be loaded"));
    };
    document.head.append(script);
  });
  return plotlyLoading;
}

const near = new IntersectionObserver(entries => {
  for (const entry of entries) if (entry.isIntersecting) draw(entry.target);
}, { rootMargin: "500px" });

async function draw(box) {
  near.unobserve(box);
  if (box.dataset.drawn) return;
  box.dataset.drawn = "yes";
  try {
    const [Plotly, answer] = await Promise.all([plotly(), fetch(box.dataset.figure)]);
    if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
    const figure = await answer.json();
    // Its main numbers in words, where no table beside it has them.
    if (figure.layout.meta?.alt) box.setAttribute("aria-label", figure.layout.meta.alt);
    // A finger scrolls the page, a mouse zooms.
    if (matchMedia("(pointer: coarse)").matches) figure.layout.dragmode = false;
    if (!box.isConnected) return;
    await Plotly.newPlot(box, figure.data, figure.layout, { displayModeBar: false, responsive: true });
    if (!box.isConnected) Plotly.purge(box);
    box.dataset.drawn = "done";
    offerSaving(box, Plotly);
  } catch (error) {
    delete box.dataset.drawn;
    box.classList.add("failed");
    box.textContent = `This figure could not be shown: ${error.message}.`;
  }
}

// To be called before figures are replaced: Plotly holds on to what it has drawn.
function dropFigures(root) {
  for (const box of root.querySelectorAll(".plot[data-figure]")) {
    near.unobserve(box);
    if (box.dataset.drawn) window.Plotly?.purge(box);
  }
}

function offerSaving(box, Plotly) {
  const place = box.closest("figure")?.querySelector(".saves");
  if (!place || place.childElementCount) return;
  for (const format of ["png", "svg"]) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "plain";
    button.textContent = format.toUpperCase();
    button.setAttribute("aria-label", `Save as ${format.toUpperCase()}: ${box.getAttribute("aria-label")}`);
    button.addEventListener("click", () => save(box, Plotly, format));
    place.append(button);
  }
}

// A saved figure is for paper: on white, whatever the page's theme.
function save(box, Plotly, format) {
  const layout = { ...box.layout, paper_bgcolor: "#ffffff", plot_bgcolor: "#ffffff", font: { ...box.layout.font, color: "#1a1d21" } };
  const size = { width: Math.max(700, box.clientWidth), height: box.clientHeight };
  const scale = format === "png" ? 2 : 1;
  return Plotly.downloadImage({ data: box.data, layout }, { format, ...size, scale, filename: box.dataset.name });
}

// Which figures there are depends on the results: the list of them is asked for first, and places without one go.
async function showFigures(root) {
  for (const group of root.querySelectorAll("[data-figures]")) {
    try {
      const answer = await fetch(group.dataset.figures);
      if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
      const names = new Set(Object.values((await answer.json()).problems).flat());
      for (const box of group.querySelectorAll(".plot[data-figure]")) {
        if (!names.has(box.dataset.name)) box.closest("figure").remove();
      }
      for (const section of group.querySelectorAll("[data-optional]")) section.hidden = !section.querySelector("figure");
    } catch (error) {
      for (const box of group.querySelectorAll(".plot[data-figure]")) {
        box.classList.add("failed");
        box.textContent = `This figure could not be shown: ${error.message}.`;
      }
      continue;
    }
  }
  for (const box of root.querySelectorAll(".plot[data-figure]:not(.failed)")) near.observe(box);
}

showFigures(document);
addEventListener("beforeprint", () => document.querySelectorAll(".plot[data-figure]").forEach(draw));
