// Swapped parts: Live refreshes itself while somebody looks, a slow page change veils the old figures, and a request
// that fails says so.
import { Stream } from "./stream.js";
import { toast } from "./toast.js";

let timer = 0;
let stream = null;

export function startLive() {
  stream = new Stream(refresh, schedule);
  follow();
  document.addEventListener("htmx:load", follow);
  document.addEventListener("htmx:sendError", () => toast("The server cannot be reached right now."));
  document.addEventListener("htmx:responseError", (event) => {
    if (event.detail.xhr.status !== 401) toast("This could not be loaded. Please try again.");
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[data-nav]");
    if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) veil(true);
  });
  addEventListener("pageshow", () => veil(false));
}

function panels() {
  return document.querySelector("#panels[data-refresh]");
}

// The server says when something happened; without a stream the page asks every few seconds.
function follow() {
  const place = panels();
  if (!place) {
    clearTimeout(timer);
    stream.close();
  } else if (!document.hidden && !stream.isOpen) {
    if (place.dataset.live) stream.open(place.dataset.live);
    else schedule();
  }
}

function schedule() {
  clearTimeout(timer);
  const place = panels();
  if (place) timer = setTimeout(refresh, Number(place.dataset.refreshSeconds) * 1000);
}

function refresh() {
  const place = panels();
  if (!place) return;
  const busy = document.hidden || place.querySelector("details.menu[open], [data-tip-box]:not([hidden])");
  if (busy) return document.hidden || schedule();
  const open = Boolean(document.querySelector("#chart-data[open]"));
  htmx
    .ajax("GET", place.dataset.refresh + location.search, { target: "#panels", swap: "outerHTML" })
    .then(() => {
      const table = document.getElementById("chart-data");
      if (open && table) table.open = true;
    })
    .finally(follow);
}

function veil(is) {
  document.getElementById("panels")?.setAttribute("aria-busy", String(is));
}
