"use strict";

// Instances are sent to the API, and what became of each file is said.
for (const form of document.querySelectorAll("form.upload")) {
  const input = form.querySelector("input[type=file]");
  const said = form.querySelector("[role=status]");

  function say(text) {
    said.replaceChildren(text);
  }

  function list(items) {
    const rows = document.createElement("ul");
    for (const item of items) {
      const row = document.createElement("li");
      const link = Object.assign(document.createElement("a"), { href: `/instances/${item.digest}`, textContent: item.name || item.digest.slice(0, 12) });
      row.append(link, item.new ? ` stored` : ` was there already`, ...item.notes.map(note => `; ${note}`));
      rows.append(row);
    }
    said.replaceChildren(`${items.length} read:`, rows);
  }

  async function send(files) {
    if (!files.length) return say("Choose a file first.");
    const body = new FormData();
    for (const file of files) body.append("files", file);
    say("Sending…");
    try {
      const answer = await fetch("/v1/instances", { method: "POST", body, headers: { "X-CSRF-Token": form.elements.csrf.value } });
      const document = await answer.json();
      if (answer.ok && document.items.length === 1) location.assign(`/instances/${document.items[0].digest}`);
      else if (answer.ok) list(document.items);
      else say(`Nothing was stored. ${document.where ? `${document.where}: ` : ""}${document.detail}`);
    } catch {
      say("The server does not answer; nothing was stored.");
    }
  }

  form.hidden = false;
  form.addEventListener("submit", event => { event.preventDefault(); send(input.files); });
  for (const name of ["dragenter", "dragover"]) form.addEventListener(name, event => { event.preventDefault(); form.classList.add("over"); });
  for (const name of ["dragleave", "drop"]) form.addEventListener(name, () => form.classList.remove("over"));
  form.addEventListener("drop", event => { event.preventDefault(); send(event.dataTransfer.files); });
}
