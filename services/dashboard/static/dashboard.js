"use strict";

// How long to wait before asking a server again that does not answer.
const RETRY_SECONDS = 3;
const LONGEST_RETRY_SECONDS = 60;

// The theme: as the system has it, or as chosen here.
{
  const button = document.getElementById("theme");
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";
  const label = () => {
    button.textContent = isDark() ? "Light" : "Dark";
    button.setAttribute("aria-label", isDark() ? "Use the light theme" : "Use the dark theme");
  };
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try {
      localStorage.setItem("theme", root.dataset.theme);
    } catch {
      // It holds for this page, then.
    }
    label();
  });
  system.addEventListener("change", label);
  label();
  button.hidden = false;
}

// Times in the reader's own zone.
function localTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const moment = new Date(time.dateTime);
    time.title = time.textContent;
    time.textContent = moment.toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
  }
}
localTimes(document);

// A length of time in its two largest units, as the server writes it.
function duration(seconds) {
  const whole = Math.round(seconds);
  if (whole < 1) return seconds > 0 ? "under 1 s" : "0 s";
  const parts = [[Math.floor(whole / 86400), "d"], [Math.floor(whole % 86400 / 3600), "h"], [Math.floor(whole % 3600 / 60), "min"], [whole % 60, "s"]];
  const first = parts.findIndex(([number]) => number);
  return parts.slice(first, first + 2).filter(([number]) => number).map(([number, unit]) => `${number} ${unit}`).join(" ");
}

// Questions before what cannot be undone.
document.addEventListener("submit", event => {
  const question = event.target.dataset.confirm ?? event.submitter?.dataset.confirm;
  if (question && !confirm(question)) event.preventDefault();
});

// Links that can be shared, where there is a clipboard; the buttons may come and go with parts of the page.
if (navigator.clipboard) document.documentElement.dataset.clipboard = "yes";
document.addEventListener("click", async event => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const before = button.textContent;
  try {
    await navigator.clipboard.writeText(new URL(button.dataset.copy, location.href).href);
    button.textContent = "Link copied";
  } catch {
    button.textContent = "Copy the address bar";
  }
  setTimeout(() => { button.textContent = before; }, 2000);
});

// The badge of a comparison or a run under way, or of a comparison at its end.
const LOOKS = { queued: "quiet", running: "live", finished: "good", cancelled: "quiet", incomplete: "warn" };

function showState(badge, state) {
  badge.className = `badge ${LOOKS[state]}`;
  badge.textContent = state;
}

// Follow server-sent events, ``handlers`` by their names, until what is returned is called. A browser that loses its
// connection makes a new one by itself, but once refused it gives up for good: then it is tried again after a while.
function listen(address, handlers) {
  let source = null;
  let timer = null;
  let wait = RETRY_SECONDS;

  function open() {
    source = new EventSource(address);
    for (const [name, handle] of Object.entries(handlers)) {
      source.addEventListener(name, event => handle(JSON.parse(event.data)));
    }
    source.addEventListener("open", () => { wait = RETRY_SECONDS; });
    source.addEventListener("error", () => {
      if (source.readyState !== EventSource.CLOSED) return;
      timer = setTimeout(open, 1000 * wait);
      wait = Math.min(2 * wait, LONGEST_RETRY_SECONDS);
    });
  }

  function close() {
    clearTimeout(timer);
    source.close();
  }

  addEventListener("pagehide", close);
  open();
  return close;
}

// A server that stops answering while the page is open: say so, and when it is back.
const LOOK_SECONDS = 10;

async function answers() {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), 5000);
  try {
    const answer = await fetch("/v1/health", { cache: "no-store", signal: stop.signal });
    return answer.ok;
  } catch {
    return false;
  } finally {
    clearTimeout(timer);
  }
}

{
  const banner = document.getElementById("lost");
  let leaving = false;
  addEventListener("pagehide", () => { leaving = true; });
  addEventListener("pageshow", () => { leaving = false; });

  async function look() {
    let wait = LOOK_SECONDS;
    if (!document.hidden && !leaving) {
      const well = await answers();
      if (well && !banner.hidden) {
        banner.hidden = true;
        document.dispatchEvent(new CustomEvent("versus:back"));
      } else if (!well && !leaving) {
        wait = RETRY_SECONDS;
        if (banner.hidden) {
          banner.textContent = "The server does not answer. What is shown may be old; this page goes on trying.";
          banner.hidden = false;
        }
      }
    }
    setTimeout(look, wait * 1000);
  }

  setTimeout(look, LOOK_SECONDS * 1000);
  addEventListener("offline", () => setTimeout(look, 0), { once: true });
}
