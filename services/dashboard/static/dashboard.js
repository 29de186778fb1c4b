"use strict";

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

// Links that can be shared.
for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    const before = button.textContent;
    try {
      await navigator.clipboard.writeText(new URL(button.dataset.copy, location.href).href);
      button.textContent = "Link copied";
    } catch {
      button.textContent = "Copy the address bar";
    }
    setTimeout(() => { button.textContent = before; }, 2000);
  });
}

// A server that stops answering while the page is open: say so, and when it is back.
const LOOK_SECONDS = 10;
const RETRY_SECONDS = 3;

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
