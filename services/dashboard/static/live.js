"use strict";

// What runs is watched over server-sent events: lists and pages show its progress as it is made.
const words = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;

function showProgress(root, news) {
  const bar = root.querySelector("progress");
  if (bar) {
    bar.max = news.num_runs || 1;
    bar.value = news.counts.ended;
  }
  const open = news.state === "queued" || news.state === "running";
  const left = open && news.seconds_left !== null ? `, ${duration(news.seconds_left)} left` : "";
  const running = root.dataset.long !== undefined && news.counts.running ? `, ${news.counts.running} running` : "";
  for (const part of root.querySelectorAll("[data-part=progress]")) {
    part.textContent = `${news.counts.ended} of ${words(news.num_runs, "run")}${running}${left}`;
  }
  for (const badge of root.querySelectorAll("[data-part=state] .badge")) badge.textContent = news.state;
}

// A browser opens at most six connections to a server: a long list watches the first few only.
const MOST_STREAMS = 3;

for (const root of [...document.querySelectorAll("[data-live]")].slice(0, MOST_STREAMS)) {
  const source = new EventSource(root.dataset.live);
  source.addEventListener("progress", event => {
    const news = JSON.parse(event.data);
    showProgress(root, news);
    root.dispatchEvent(new CustomEvent("versus:progress", { detail: news }));
  });
  source.addEventListener("end", event => {
    source.close();
    const news = JSON.parse(event.data);
    showProgress(root, news);
    root.dispatchEvent(new CustomEvent("versus:end", { detail: news }));
  });
  source.addEventListener("deleted", () => {
    source.close();
    location.assign("/comparisons");
  });
  addEventListener("pagehide", () => source.close());
}
