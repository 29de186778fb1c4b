"use strict";

// A page that waits for something looks for it at a JSON route, and is loaded again when it is there.
{
  const { poll, until } = document.currentScript.dataset;
  const LOOK_SECONDS = 1.5;

  async function look() {
    try {
      const answer = await fetch(poll, { cache: "no-store" });
      if (answer.ok && (!until || (await answer.json()).state === until)) {
        location.reload();
        return;
      }
    } catch {
      // The banner says that the server does not answer.
    }
    setTimeout(look, 1000 * LOOK_SECONDS);
  }

  setTimeout(look, 0);
}
