// The timespan that was chosen last goes along, in this window only: links to dashboards that say none get it.
const KEY = "vemetric-timespan";
const NAMES = ["t", "sd", "ed"];

export function startTimespan() {
  if (document.querySelector("[data-range]")) remember();
  for (const link of document.querySelectorAll("a[data-timespan]")) carry(link);
}

function remember() {
  const query = new URLSearchParams(location.search);
  const chosen = new URLSearchParams(NAMES.filter((name) => query.has(name)).map((name) => [name, query.get(name)]));
  try {
    sessionStorage.setItem(KEY, chosen.toString());
  } catch {
    // No storage, no memory.
  }
}

function carry(link) {
  let chosen = "";
  try {
    chosen = sessionStorage.getItem(KEY) ?? "";
  } catch {
    return;
  }
  if (chosen) link.href = `${link.pathname}?${chosen}`;
}
