"use strict";

// While comparisons of the list are under way, it is fetched anew every few seconds, and what has changed is replaced.
{
  const RENEW_SECONDS = 2;
  const rows = list => [...list.querySelectorAll("tbody tr")];
  const ids = list => rows(list).map(row => row.id).join("\n");

  function update(list, fresh) {
    if (ids(list) !== ids(fresh)) {
      list.replaceWith(fresh);
      localTimes(fresh);
      return;
    }
    const parts = fresh.querySelectorAll("[data-part]");
    list.querySelectorAll("[data-part]").forEach((part, place) => {
      if (part.innerHTML === parts[place].innerHTML) return;
      const focused = part.contains(document.activeElement);
      const row = part.parentElement;
      part.replaceWith(parts[place]);
      if (focused) row.querySelector("a").focus();
    });
  }

  async function renew() {
    const list = document.getElementById("list");
    if (!list?.querySelector("[data-open]")) return;
    try {
      const answer = document.hidden ? null : await fetch(location.href, { cache: "no-store" });
      const fresh = answer?.ok ? new DOMParser().parseFromString(await answer.text(), "text/html") : null;
      if (fresh?.getElementById("list")) update(list, fresh.getElementById("list"));
    } catch {
      // The banner says that the server does not answer.
    }
    setTimeout(renew, 1000 * RENEW_SECONDS);
  }

  setTimeout(renew, 1000 * RENEW_SECONDS);
}
