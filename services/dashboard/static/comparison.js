"use strict";

// The page of a comparison is the source of its own parts: they are fetched anew while it runs, when it has ended, and
// when statistics take longer than a page may.
const REFRESH_SECONDS = 8;
const SPEAK_SECONDS = 20;
const ids = ["head", "analysis", "instances"];
let fetching = false;
let fetchedAt = performance.now();
let took = 0;

async function renew(parts) {
  if (fetching) return;
  fetching = true;
  const begun = performance.now();
  try {
    const address = new URL(location.href);
    address.searchParams.set("all", "true");
    const answer = await fetch(address, { cache: "no-store" });
    if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const id of parts) swap(document.getElementById(id), fresh.getElementById(id));
    document.title = fresh.title;
  } catch (error) {
    const pending = document.getElementById("pending");
    if (pending) pending.textContent = `The statistics could not be had: ${error.message}. Reload the page to try again.`;
  } finally {
    fetching = false;
    fetchedAt = performance.now();
    took = fetchedAt - begun;
  }
}

function swap(old, fresh) {
  if (!old || !fresh) return;
  const opened = new Set([...old.querySelectorAll("details[open] > summary")].map(summary => summary.textContent));
  const focused = old.contains(document.activeElement) ? document.activeElement.textContent : null;
  const heights = new Map([...old.querySelectorAll(".plot")].map(plot => [plot.dataset.figure, plot.clientHeight]));
  const part = document.importNode(fresh, true);
  for (const summary of part.querySelectorAll("details > summary")) {
    if (opened.has(summary.textContent)) summary.parentElement.open = true;
  }
  for (const plot of part.querySelectorAll(".plot")) {
    const height = heights.get(plot.dataset.figure);
    if (height) plot.style.minHeight = `${height}px`;
  }
  old.replaceWith(part);
  localTimes(part);
  showFigures(part);
  if (focused) [...part.querySelectorAll("a, button, summary")].find(one => one.textContent === focused)?.focus();
}

function watch() {
  const head = document.getElementById("head");
  let spokenAt = -Infinity;
  head.addEventListener("versus:progress", event => {
    const news = event.detail;
    const now = performance.now();
    if (now - spokenAt > SPEAK_SECONDS * 1000) {
      spokenAt = now;
      document.getElementById("spoken").textContent = `${news.counts.ended} of ${news.num_runs} runs ended`;
    }
    // Never busy with it for more than a fifth of the time.
    if (now - fetchedAt > Math.max(REFRESH_SECONDS * 1000, 5 * took)) renew(["sections", "analysis", "instances"]);
  });
  head.addEventListener("versus:end", async event => {
    while (fetching) await new Promise(resolve => setTimeout(resolve, 100));
    await renew(ids);
    document.getElementById("spoken").textContent = `The comparison is ${event.detail.state}`;
  });
}

watch();
if (document.getElementById("pending")) renew(["sections", "analysis"]);
document.addEventListener("versus:back", () => renew(ids));
