// The address is the state. A part that was swapped in changes it, so the links of the other parts, which were drawn
// before, are brought up to date: each changes what it was to change, and leaves the rest as it is now.
const PAGES = ["page", "pp", "sp", "ep", "lp", "up"];
const TIMESPAN = ["t", "sd", "ed"];
const FILTERS = "f";
const drawn = new WeakMap();

export function startAddress() {
  document.addEventListener("htmx:pushedIntoHistory", update);
  document.addEventListener("htmx:configRequest", (event) => {
    // The form of a filter leads back to the page as it is now.
    const url = new URL(event.detail.path, location.href);
    if (!url.searchParams.has("back")) return;
    leadHere(url);
    event.detail.path = url.pathname + url.search;
  });
}

function update() {
  for (const part of document.querySelectorAll("[data-state]")) {
    const state = new URLSearchParams(part.dataset.state);
    for (const link of part.querySelectorAll("a[href]")) {
      if (link.closest("[data-state]") !== part || link.pathname !== location.pathname) continue;
      if (!drawn.has(link)) drawn.set(link, new URL(link.href));
      link.search = changed(state, drawn.get(link).searchParams).toString();
    }
    for (const form of part.querySelectorAll("form[data-range]")) keep(form);
  }
  for (const link of document.querySelectorAll("[data-state] a[href*='back=']")) {
    const url = new URL(link.href);
    leadHere(url);
    link.href = url.pathname + url.search;
  }
}

// The address as it is now, with what lies between the state that a link was drawn in and the one it leads to.
function changed(from, to) {
  const next = new URLSearchParams(location.search);
  const names = [...new Set([...from.keys(), ...to.keys()])].filter((name) => from.get(name) !== to.get(name));
  for (const name of names) {
    if (to.has(name)) next.set(name, to.get(name));
    else next.delete(name);
  }
  // Other filters or another timespan: every card begins at its first page.
  if (names.includes(FILTERS) || TIMESPAN.some((name) => names.includes(name))) {
    for (const name of PAGES) next.delete(name);
  }
  return next;
}

// What a form sends along beside its own fields.
function keep(form) {
  for (const field of form.querySelectorAll("input[type='hidden']")) if (field.name !== "t") field.remove();
  for (const [name, value] of new URLSearchParams(location.search)) {
    if (TIMESPAN.includes(name) || PAGES.includes(name)) continue;
    const field = document.createElement("input");
    Object.assign(field, { type: "hidden", name, value });
    form.append(field);
  }
}

// The way back leads to the page as it is now. Its path is as the server names it, without the base path of the host.
function leadHere(url) {
  const [path] = url.searchParams.get("back").split("?");
  url.searchParams.set("back", path + location.search);
}
