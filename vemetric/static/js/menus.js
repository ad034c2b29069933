// Menus are <details>: this adds what people expect of menus, closing by Escape or a click elsewhere and arrow keys.
const OPEN = "details.menu[open]";
const ITEMS = ".pop__item";

export function startMenus() {
  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll(OPEN)) {
      // By the path: what was clicked may have been replaced since.
      if (!event.composedPath().includes(menu)) menu.open = false;
    }
  });
  document.addEventListener("keydown", (event) => {
    const menu = event.target.closest?.(OPEN) ?? document.querySelector(OPEN);
    if (!menu) return;
    if (event.key === "Escape") close(menu);
    else if (event.key === "ArrowDown" || event.key === "ArrowUp") move(menu, event);
  });
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (event.target.closest?.("[data-stay]")) return;
    const menu = event.target.closest?.(OPEN);
    if (menu) menu.open = false;
  });
}

function close(menu) {
  const had = menu.contains(document.activeElement);
  menu.open = false;
  if (had) menu.querySelector("summary").focus();
}

function move(menu, event) {
  const items = [...menu.querySelectorAll(ITEMS)];
  if (!items.length || event.target.matches("input, select")) return;
  event.preventDefault();
  const step = event.key === "ArrowDown" ? 1 : -1;
  const at = items.indexOf(document.activeElement);
  const next = at < 0 ? (step > 0 ? 0 : items.length - 1) : (at + step + items.length) % items.length;
  items[next].focus();
}
