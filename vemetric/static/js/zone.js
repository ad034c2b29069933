// A new project starts with the browser's own time zone, where the server knows it.
export function startZone() {
  const select = document.querySelector("select[data-detect-zone]");
  if (!select) return;
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if ([...select.options].some((option) => option.value === zone)) select.value = zone;
}
