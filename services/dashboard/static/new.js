"use strict";

// The form of a new comparison: it shows what is chosen, takes dragged files, and counts what it all costs.
const form = document.getElementById("new");
const files = form.elements.files;

function showSource() {
  const chosen = form.elements.source.value;
  for (const part of form.querySelectorAll("[data-source]")) part.hidden = part.dataset.source !== chosen;
  const kind = form.elements.kind.value;
  for (const part of form.querySelectorAll("[data-kind]")) part.hidden = part.dataset.kind !== kind;
}

function seconds(text) {
  const match = /^\s*([0-9.]+(?:e-?[0-9]+)?)(ms|s|m|h)?\s*$/.exec(text);
  return match ? Number(match[1]) * { ms: 0.001, s: 1, m: 60, h: 3600 }[match[2] ?? "s"] : NaN;
}

function estimate() {
  const source = form.elements.source.value;
  const ticked = form.querySelectorAll("input[name=instance]:checked").length;
  const all = form.elements.all?.checked;
  let number = ticked;
  if (source === "upload") number = ticked + files.files.length;
  if (source === "generator") number = Number(form.elements.count.value);
  if (source === "stored" && all) number = form.querySelectorAll("input[name=instance]").length;
  const more = form.elements.more.value.split("\n").filter(line => line.trim()).length;
  const solvers = form.querySelectorAll("input[name=solver]:checked").length + more;
  const runs = number * solvers * Number(form.elements.seeds.value);
  const time = runs * seconds(form.elements.budget.value);
  const slots = Number(form.dataset.slots);
  const place = document.getElementById("estimate");
  let text = "Choose instances and solvers to see what it costs.";
  if (!Number.isFinite(time)) text = "Budget, seeds and numbers must be filled in to see what it costs.";
  else if (runs) {
    const least = source === "upload" || (all && source === "stored") ? "At least " : "";
    text = `${least}${runs} run${runs === 1 ? "" : "s"}, ${duration(time)} of machine time`;
    if (slots) text += `; about ${duration(time / slots)} with ${slots} run${slots === 1 ? "" : "s"} at a time, if nothing else waits`;
    text += ".";
  }
  if (place.textContent !== text) place.textContent = text;
}

function listFiles() {
  const rows = [...files.files].map(file => Object.assign(document.createElement("li"), { textContent: `${file.name}, ${Math.ceil(file.size / 1024)} KB` }));
  document.getElementById("dropped").replaceChildren(...rows);
}

// Files may be dropped anywhere on the page, and are added to those there are.
function drop(event) {
  event.preventDefault();
  document.getElementById("drop").classList.remove("over");
  if (!event.dataTransfer.files.length) return;
  const all = new DataTransfer();
  for (const file of [...files.files, ...event.dataTransfer.files]) all.items.add(file);
  files.files = all.files;
  form.elements.source.value = "upload";
  files.dispatchEvent(new Event("change", { bubbles: true }));
}

for (const name of ["dragenter", "dragover"]) {
  document.addEventListener(name, event => {
    if (![...event.dataTransfer.types].includes("Files")) return;
    event.preventDefault();
    document.getElementById("drop").classList.add("over");
  });
}
document.addEventListener("dragleave", event => {
  if (!event.relatedTarget) document.getElementById("drop").classList.remove("over");
});
document.addEventListener("drop", drop);

function update() {
  showSource();
  listFiles();
  estimate();
}
form.addEventListener("input", estimate);
form.addEventListener("change", update);
document.getElementById("ask").hidden = true;
update();
document.getElementById("problem")?.focus();
