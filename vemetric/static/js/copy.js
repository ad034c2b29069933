// Copy buttons. The clipboard's own interface exists on https and localhost only; elsewhere a selection is copied.
const DONE_MS = 1600;

export function startCopy(part) {
  for (const button of part.querySelectorAll("[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", () => copy(button));
  }
}

async function copy(button) {
  const source = document.getElementById(button.dataset.copy);
  const done = await write(source);
  if (!done) return;
  const label = button.getAttribute("aria-label");
  button.classList.add("is-done");
  button.setAttribute("aria-label", "Copied");
  swapIcon(button, "copy", "check");
  setTimeout(() => {
    button.classList.remove("is-done");
    button.setAttribute("aria-label", label);
    swapIcon(button, "check", "copy");
  }, DONE_MS);
}

function swapIcon(button, from, to) {
  const use = button.querySelector("use");
  use.setAttribute("href", use.getAttribute("href").replace(`#${from}`, `#${to}`));
}

async function write(source) {
  if (navigator.clipboard && window.isSecureContext) {
    try {
      await navigator.clipboard.writeText(source.textContent);
      return true;
    } catch {
      // Not permitted: try it by selection.
    }
  }
  const selection = getSelection();
  const range = document.createRange();
  range.selectNodeContents(source);
  selection.removeAllRanges();
  selection.addRange(range);
  const done = document.execCommand("copy");
  if (done) selection.removeAllRanges();
  return done;
}
