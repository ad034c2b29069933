// Swapped parts: Live refreshes itself while somebody looks, a slow page change veils the old figures, and a request
// that fails says so.
import { toast } from "./toast.js";

let timer = 0;
let stream = null;

export function startLive() {
  follow();
  document.addEventListener("htmx:load", follow);
  document.addEventListener("visibilitychange", () => {
    // Nobody looks at a hidden page: its stream is given back, and opened again when it is seen.
    if (document.hidden) unfollow();
    else refresh();
  });
  addEventListener("pagehide", unfollow);
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
  if (!place) return unfollow();
  if (document.hidden || stream) return;
  if (!place.dataset.live) return schedule();
  stream = new EventSource(place.dataset.live);
  stream.addEventListener("change", refresh);
  stream.addEventListener("error", () => {
    if (!stream || stream.readyState !== EventSource.CLOSED) return;
    unfollow();
    schedule();
  });
}

function unfollow() {
  clearTimeout(timer);
  stream?.close();
  stream = null;
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
    .finally(() => stream || follow());
}

function veil(is) {
  document.getElementById("panels")?.setAttribute("aria-busy", String(is));
}
