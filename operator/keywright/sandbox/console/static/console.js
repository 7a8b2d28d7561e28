// Dialogs, and the key that is shown once. Without scripts the server shows both in the page.
"use strict";

for (const dialog of document.querySelectorAll("dialog[open]")) {
  dialog.open = false; // not close(): that would be told as if somebody had closed it
  dialog.showModal();
}

for (const link of document.querySelectorAll("[data-opens]")) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    document.getElementById(link.dataset.opens).showModal();
  });
}

for (const link of document.querySelectorAll("[data-closes]")) {
  link.addEventListener("click", (event) => {
    if (new URLSearchParams(location.search).has("create")) return; // the link leads to the page without the form
    event.preventDefault();
    link.closest("dialog").close();
  });
}

// A form is sent once: a second click would leave the answer to the first, and the key in it, unseen.
for (const form of document.querySelectorAll("dialog form")) {
  const button = form.querySelector("button.primary");
  form.addEventListener("submit", () => { button.disabled = true; });
  addEventListener("pageshow", () => { button.disabled = false; });
}

const once = document.querySelector("dialog[data-once]");
if (once) {
  const key = document.getElementById("plaintext");
  const done = document.getElementById("done");
  const copy = document.getElementById("copy");

  // A reload, and Back, then find the list: not this answer, nor a question whether to send the form again.
  history.replaceState(null, "", done.href);
  // The browser may keep a page as it was left: without the key, and who comes back to it finds the list.
  addEventListener("pagehide", () => key.replaceChildren());
  addEventListener("pageshow", (event) => { if (event.persisted) location.replace(done.href); });
  // Escape is pressed too easily for the only look at a key; not every browser knows closedby yet.
  once.addEventListener("keydown", (event) => { if (event.key === "Escape") event.preventDefault(); });
  once.addEventListener("close", () => location.assign(done.href));

  copy.hidden = false;
  copy.addEventListener("click", async () => {
    getSelection().selectAllChildren(key);
    let copied = true;
    try {
      await navigator.clipboard.writeText(key.textContent);
    } catch {
      copied = document.execCommand("copy"); // pages over plain HTTP have no clipboard, but from this machine
    }
    document.getElementById("copied").textContent = copied
      ? "Copied."
      : "The browser does not let this page copy. The key is selected: press Ctrl+C.";
  });
}
