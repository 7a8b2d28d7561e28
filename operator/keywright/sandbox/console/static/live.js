// The list keeps itself up to date, and the trash icon asks back without a new page.
"use strict";

const EVERY = 3000; // milliseconds between two looks at the list
const list = document.getElementById("list");
const live = document.getElementById("live");
let leaving = false;

async function load(address, form) {
  const sent = form ? { method: "POST", body: new URLSearchParams(new FormData(form)) } : {};
  const answer = await fetch(address, sent);
  if (!answer.ok || new URL(answer.url).pathname !== list.dataset.path) throw new Error("signed out, or out of order");
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

// One row as `page` has it; the focus stays in it. A lapse is counted from its arrival.
function show(row, page) {
  const next = page.getElementById(row.id);
  if (!next) return location.replace(list.dataset.path); // it was revoked meanwhile
  const focused = row.contains(document.activeElement);
  for (const one of next.querySelectorAll("[autofocus]")) one.autofocus = false; // for pages that are loaded
  row.replaceWith(next);
  arm(next);
  if (focused) next.querySelector(".act button").focus();
}

function arm(row) {
  const question = row.querySelector("[data-lapses]");
  if (!question) return;
  setTimeout(() => { if (question.isConnected) keep(question); }, question.dataset.lapses * 1000);
}

async function keep(question) {
  const address = question.querySelector("[data-keeps]").href;
  try {
    show(question.closest("tr"), await load(address));
  } catch {
    location.assign(address);
  }
}

list.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!("asks" in form.dataset)) return;
  event.preventDefault();
  try {
    show(form.closest("tr"), await load(form.action, form));
  } catch {
    form.submit(); // the server's own page says what is wrong
  }
});

list.addEventListener("click", (event) => {
  const link = event.target.closest("[data-keeps]");
  if (!link) return;
  event.preventDefault();
  keep(link.closest("[data-lapses]"));
});

for (const row of list.querySelectorAll("tr")) arm(row);

// Nobody's hand is on the list: nothing is asked there, no dialog is open, the keyboard is elsewhere.
function idle() {
  return live.checked && !leaving && !document.hidden && !list.contains(document.activeElement)
    && !document.querySelector("dialog[open], [data-lapses]");
}

async function refresh() {
  try {
    if (!idle()) return;
    const address = new URL(location.href);
    address.searchParams.delete("asked");
    const page = await load(address);
    const next = page.getElementById("list");
    if (idle() && next.innerHTML !== list.innerHTML) list.replaceChildren(...next.childNodes);
  } catch {
    live.checked = false; // seen by who looks; a reload says why
  } finally {
    setTimeout(refresh, EVERY);
  }
}

addEventListener("submit", (event) => { if (!event.defaultPrevented) leaving = true; });
addEventListener("pageshow", () => { leaving = false; });
live.closest("label").hidden = false;
setTimeout(refresh, EVERY);
