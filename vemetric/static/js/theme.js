// The theme changes at once; the server is told behind the page, so that the next one starts with it.
export function startTheme() {
  for (const form of document.querySelectorAll("[data-theme-form]")) {
    form.addEventListener("submit", (event) => {
      const chosen = event.submitter?.value;
      if (chosen === undefined) return;
      event.preventDefault();
      show(chosen);
      const body = new URLSearchParams(new FormData(form));
      body.set("theme", chosen);
      fetch(form.action, { method: "POST", body, redirect: "manual" });
    });
  }
}

function show(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  for (const button of document.querySelectorAll("[data-theme-form] button")) {
    button.setAttribute("aria-pressed", String(button.value === theme));
  }
  showBarColour(theme);
}

// The browser's own bar follows: with a chosen theme both colours are that theme's.
function showBarColour(theme) {
  for (const meta of document.querySelectorAll('meta[name="theme-color"]')) meta.remove();
  const colours = { light: "#f4f6f6", dark: "#0d1113" };
  for (const name of theme ? [theme] : ["light", "dark"]) {
    const meta = document.createElement("meta");
    meta.name = "theme-color";
    meta.content = colours[name];
    if (!theme) meta.media = `(prefers-color-scheme: ${name})`;
    document.head.append(meta);
  }
}
