// A middle click on a filter takes it away, as its cross does.
export function startFilters() {
  document.addEventListener("auxclick", (event) => {
    const chip = event.button === 1 ? event.target.closest?.(".chip") : null;
    const cross = chip?.querySelector("[data-chip-remove]");
    if (!cross) return;
    event.preventDefault();
    cross.click();
  });
}
