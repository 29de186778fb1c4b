"use strict";

// The page of a comparison is the source of its own parts. While it runs, server-sent events say how far it is, and the
// parts are fetched anew; so they are when it has ended, and when statistics take longer than a page may. A part is
// looked up whenever it is needed, for another one may have taken its place.
{
  const REFRESH_SECONDS = 8;
  const SPEAK_SECONDS = 20;
  const PARTS = ["head", "analysis", "instances"];
  const pause = seconds => new Promise(resolve => setTimeout(resolve, 1000 * seconds));
  const byId = id => document.getElementById(id);
  let fetching = false;
  let fetchedAt = performance.now();
  let took = 0;

  // Whether the parts are those of now.
  async function renew(ids) {
    if (fetching) return false;
    fetching = true;
    const begun = performance.now();
    try {
      const address = new URL(location.href);
      address.searchParams.set("all", "true");
      const answer = await fetch(address, { cache: "no-store" });
      if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const id of ids) swap(byId(id), fresh.getElementById(id));
      document.title = fresh.title;
      return true;
    } catch (error) {
      const pending = byId("pending");
      if (pending) pending.textContent = `The statistics could not be had: ${error.message}. Reload the page to try again.`;
      return false;
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
    dropFigures(old);
    old.replaceWith(part);
    localTimes(part);
    showFigures(part);
    if (focused) [...part.querySelectorAll("a, button, summary")].find(one => one.textContent === focused)?.focus();
  }

  function showProgress(news) {
    const head = byId("head");
    const bar = head.querySelector("progress");
    if (bar) bar.value = news.counts.ended;
    const running = news.counts.running ? `, ${news.counts.running} running` : "";
    const left = news.seconds_left ? `, ${duration(news.seconds_left)} left` : "";
    head.querySelector("[data-part=progress]").textContent =
      `${news.counts.ended} of ${news.num_runs} run${news.num_runs === 1 ? "" : "s"}${running}${left}`;
    showState(head.querySelector("[data-part=state] .badge"), news.state);
  }

  function follow(address) {
    let spokenAt = -Infinity;
    const close = listen(address, {
      progress(news) {
        showProgress(news);
        const now = performance.now();
        if (now - spokenAt > SPEAK_SECONDS * 1000) {
          spokenAt = now;
          byId("spoken").textContent = `${news.counts.ended} of ${news.num_runs} runs ended`;
        }
        // Never busy with it for more than a fifth of the time.
        if (now - fetchedAt > Math.max(REFRESH_SECONDS * 1000, 5 * took)) renew(["sections", "analysis", "instances"]);
      },
      async end(news) {
        close();
        showProgress(news);
        while (!(await renew(PARTS))) await pause(fetching ? 0.1 : RETRY_SECONDS);
        byId("spoken").textContent = `The comparison is ${news.state}`;
      },
      deleted() {
        close();
        location.assign("/comparisons");
      },
    });
  }

  const { live } = byId("head").dataset;
  if (live) follow(live);
  if (byId("pending")) renew(["sections", "analysis"]);
  document.addEventListener("versus:back", () => renew(PARTS));
}
