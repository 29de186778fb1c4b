"use strict";

// Files dragged onto the form are sent as if they had been chosen.
for (const form of document.querySelectorAll("form.upload")) {
  for (const name of ["dragenter", "dragover"]) {
    form.addEventListener(name, event => { event.preventDefault(); form.classList.add("over"); });
  }
  for (const name of ["dragleave", "drop"]) form.addEventListener(name, () => form.classList.remove("over"));
  form.addEventListener("drop", event => {
    event.preventDefault();
    if (!event.dataTransfer.files.length) return;
    form.querySelector("input[type=file]").files = event.dataTransfer.files;
    form.requestSubmit();
  });
}
