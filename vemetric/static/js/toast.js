// A short message at the lower edge that goes away by itself.
const SHOWN_MS = 5000;

export function toast(text) {
  const place = document.querySelector("[data-toasts]");
  if (!place) return;
  const message = document.createElement("div");
  message.className = "toast";
  message.textContent = text;
  place.replaceChildren(message);
  setTimeout(() => message.remove(), SHOWN_MS);
}
