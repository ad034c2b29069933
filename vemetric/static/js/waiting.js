// The install page: shows what the hub sees as it happens, and becomes the dashboard with the first event.
const POLL_MS = 3000;

export function startWaiting(startPart) {
  const page = document.querySelector("[data-waiting]");
  if (!page) return;
  const place = page.querySelector("[data-seen]");
  const stream = new EventSource(page.dataset.waiting);
  stream.addEventListener("seen", (event) => show(place, JSON.parse(event.data), startPart));
  stream.addEventListener("ready", () => {
    stream.close();
    location.reload();
  });
  stream.addEventListener("error", () => {
    // Closed for good (signed out, or a proxy that does not let streams through): ask again now and then.
    if (stream.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), POLL_MS);
  });
}

function show(place, html, startPart) {
  if (place.innerHTML.trim() === html.trim()) return;
  place.innerHTML = html;
  startPart(place);
}
