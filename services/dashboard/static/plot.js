"use strict";

// Small drawings in SVG: elements, numbers, a chart of cost against time, and saving what was drawn.
const SVG = "http://www.w3.org/2000/svg";

function put(parent, name, attributes = {}, text = null) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== null) element.textContent = text;
  parent.append(element);
  return element;
}

function costWords(cost, decimals) {
  const digits = Math.min(decimals, 4);
  const shown = (cost / 10 ** decimals).toLocaleString("en-GB", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return shown.replaceAll(",", "\u202f").replace("-", "−");
}

function secondsWords(seconds) {
  return Number(seconds.toPrecision(3)).toString();
}

function niceTicks(low, high, number) {
  const raw = (high - low) / number || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].find(factor => factor * power >= raw) * power;
  const ticks = [];
  for (let tick = Math.ceil(low / step) * step; tick <= high + step * 1e-9; tick += step) ticks.push(tick);
  return ticks;
}

function logTicks(low, high) {
  const ticks = [];
  for (let power = Math.floor(Math.log10(low)); 10 ** power <= high; power += 1) {
    for (const digit of [1, 2, 5]) {
      const tick = Number(`${digit}e${power}`);
      if (tick >= low * 0.999 && tick <= high * 1.001) ticks.push(tick);
    }
  }
  return ticks.length > 7 ? ticks.filter(tick => /^1/.test(tick.toExponential())) : ticks;
}

// Cost against time. ``series``: label, colour, and trace, a list of [seconds, cost], which may grow. The box's
// ``data-unit`` names what the cost is.
class TraceChart {
  constructor(box, { series, budget, decimals, reference = null }) {
    Object.assign(this, { box, series, budget, decimals, reference, seconds: null, unit: box.dataset.unit ?? "Cost" });
    this.draw();
    new ResizeObserver(() => { if (box.clientWidth !== this.width) this.draw(); }).observe(box);
  }

  draw() {
    const width = this.width = this.box.clientWidth;
    const found = this.series.flatMap(one => one.trace);
    this.box.replaceChildren();
    if (!found.length || width < 50) {
      this.box.textContent = found.length ? "" : "No solution yet.";
      return;
    }
    const height = 240, left = 88, right = 14, top = 10, bottom = 40;
    const svg = this.svg = put(this.box, "svg", { viewBox: `0 0 ${width} ${height}`, width, height, class: "drawing", role: "img" });
    svg.setAttribute("aria-label", this.words());
    const times = found.map(([seconds]) => seconds);
    const end = Math.max(this.budget, ...times);
    const start = Math.max(Math.min(...times) * 0.9, end * 1e-4);
    const costs = found.map(([, cost]) => cost);
    let low = Math.min(...costs), high = Math.max(...costs);
    if (this.reference !== null && this.reference <= low && low - this.reference < 2 * (high - low)) low = this.reference;
    const spare = (high - low) * 0.06 || Math.max(1, Math.abs(high) * 0.02);
    low -= low === 0 ? 0 : spare;
    high += spare;
    const x = this.x = seconds => left + (width - left - right) * Math.log(Math.max(seconds, start) / start) / Math.log(end / start);
    const y = cost => top + (height - top - bottom) * (high - cost) / (high - low);
    for (const tick of niceTicks(low / 10 ** this.decimals, high / 10 ** this.decimals, 4)) {
      const place = y(tick * 10 ** this.decimals);
      put(svg, "line", { x1: left, x2: width - right, y1: place, y2: place, class: "grid" });
      put(svg, "text", { x: left - 8, y: place + 4, "text-anchor": "end" }, Number(tick.toPrecision(6)).toLocaleString("en-GB").replaceAll(",", "\u202f"));
    }
    for (const tick of logTicks(start, end)) {
      put(svg, "line", { x1: x(tick), x2: x(tick), y1: top, y2: height - bottom, class: "grid" });
      put(svg, "text", { x: x(tick), y: height - bottom + 16, "text-anchor": "middle" }, secondsWords(tick));
    }
    put(svg, "text", { x: (left + width - right) / 2, y: height - 6, "text-anchor": "middle" }, "seconds (log scale)");
    const middle = (top + height - bottom) / 2;
    put(svg, "text", { x: 14, y: middle, transform: `rotate(-90 14 ${middle})`, "text-anchor": "middle" }, this.unit);
    if (this.reference !== null && this.reference >= low && this.reference <= high) {
      put(svg, "line", { x1: left, x2: width - right, y1: y(this.reference), y2: y(this.reference), class: "reference" });
      put(svg, "text", { x: left + 4, y: y(this.reference) - 5 }, "best known");
    }
    this.series.forEach((one, place) => {
      if (!one.trace.length) return;
      const steps = one.trace.map(([seconds, cost], at) => `${at ? `H${x(seconds).toFixed(1)}V` : `M${x(seconds).toFixed(1)} `}${y(cost).toFixed(1)}`);
      put(svg, "path", { d: `${steps.join("")}H${x(end)}`, class: "curve", stroke: one.colour, "stroke-dasharray": place ? "6 3" : "none" });
      for (const [seconds, cost] of one.trace) put(svg, "circle", { cx: x(seconds), cy: y(cost), r: 2.6, fill: one.colour });
    });
    this.line = put(svg, "line", { y1: top, y2: height - bottom, class: "cursor" });
    this.mark(this.seconds);
  }

  // A line at a time, none for null.
  mark(seconds) {
    this.seconds = seconds;
    if (!this.line) return;
    this.line.setAttribute("visibility", seconds === null ? "hidden" : "visible");
    if (seconds !== null) for (const name of ["x1", "x2"]) this.line.setAttribute(name, this.x(seconds));
  }

  words() {
    const parts = this.series.filter(one => one.trace.length).map(one => {
      const [first, last] = [one.trace[0], one.trace.at(-1)];
      return `${one.label} from ${costWords(first[1], this.decimals)} at ${secondsWords(first[0])} s to ${costWords(last[1], this.decimals)} at ${secondsWords(last[0])} s`;
    });
    return `${this.unit} against time: ${parts.join("; ")}`;
  }
}

// A drawing as a file, on white whatever the page's theme. Its styles are written into it.
const STYLES = ["fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-linecap", "stroke-linejoin", "opacity", "font-size", "font-family", "visibility"];

async function saveDrawing(svg, format, name) {
  svg.style.colorScheme = "light";
  const copy = svg.cloneNode(true);
  const originals = [svg, ...svg.querySelectorAll("*")];
  [copy, ...copy.querySelectorAll("*")].forEach((element, place) => {
    const style = getComputedStyle(originals[place]);
    for (const property of STYLES) element.setAttribute(property, style.getPropertyValue(property));
    element.removeAttribute("class");
    element.removeAttribute("style");
  });
  svg.style.colorScheme = "";
  const { width, height } = svg.getBoundingClientRect();
  copy.setAttribute("xmlns", SVG);
  copy.setAttribute("width", width);
  copy.setAttribute("height", height);
  let blob = new Blob([new XMLSerializer().serializeToString(copy)], { type: "image/svg+xml" });
  if (format === "png") blob = await rasterised(blob, width, height);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = `${name}.${format}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

async function rasterised(blob, width, height) {
  const image = new Image();
  image.src = URL.createObjectURL(blob);
  await image.decode();
  URL.revokeObjectURL(image.src);
  const canvas = Object.assign(document.createElement("canvas"), { width: 2 * width, height: 2 * height });
  const context = canvas.getContext("2d");
  context.fillStyle = "#ffffff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise(resolve => canvas.toBlob(resolve, "image/png"));
}

for (const button of document.querySelectorAll("[data-save]")) {
  button.addEventListener("click", () => {
    const svg = document.querySelector(`${button.dataset.of} svg, svg${button.dataset.of}`);
    if (svg) saveDrawing(svg, button.dataset.save, button.dataset.name);
  });
}
