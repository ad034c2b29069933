// The crosshair of the chart, by mouse, touch and arrow keys. Every number comes from the chart's own table.
const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 1000;
const HEIGHT = 300;
const GAP_PX = 14;
// The crosshair that is shown. One listener for all charts, so that those that are swapped out are let go.
let shown = null;
document.addEventListener("pointerdown", (event) => shown?.plot.contains(event.target) || shown?.hide());

export function startChart(part) {
  const plots = part.matches?.("[data-chart]") ? [part] : part.querySelectorAll("[data-chart]");
  for (const plot of plots) new Crosshair(plot);
}

class Crosshair {
  constructor(plot) {
    this.plot = plot;
    this.cursor = plot.querySelector("[data-cursor]");
    this.tip = plot.querySelector("[data-tip-box]");
    const table = plot.closest(".card").querySelector("#chart-data table");
    this.series = [...table.querySelectorAll("th[data-key]")].map((cell) => ({
      label: cell.textContent,
      colour: cell.dataset.colour,
      isBars: cell.dataset.key === "events",
      isUsers: cell.dataset.key === "users",
    }));
    this.rows = [...table.tBodies[0].rows];
    this.at = -1;
    plot.addEventListener("pointermove", (event) => this.point(event));
    plot.addEventListener("pointerdown", (event) => this.point(event));
    plot.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && this.hide());
    plot.addEventListener("keydown", (event) => this.key(event));
    plot.addEventListener("blur", () => this.hide());
  }

  point(event) {
    const box = this.plot.getBoundingClientRect();
    const share = (event.clientX - box.left) / box.width;
    this.show(Math.min(Math.max(Math.floor(share * this.rows.length), 0), this.rows.length - 1));
  }

  key(event) {
    const last = this.rows.length - 1;
    const start = this.at < 0 ? last + 1 : this.at;
    const targets = { ArrowLeft: Math.max(start - 1, 0), ArrowRight: Math.min(this.at + 1, last), Home: 0, End: last };
    if (event.key === "Escape") this.hide();
    else if (event.key in targets) {
      event.preventDefault();
      this.show(targets[event.key]);
    }
  }

  show(at) {
    if (at === this.at) return;
    this.at = at;
    shown = this;
    const row = this.rows[at];
    const x = Number(row.dataset.x);
    const cells = [...row.cells].slice(1);
    const drawn = this.series
      .map((series, number) => ({ ...series, text: cells[number].textContent, y: cells[number].dataset.y }))
      .filter((series) => series.y !== undefined);
    this.draw(x, drawn);
    this.tell(row, drawn);
    this.place(x);
  }

  draw(x, drawn) {
    const marks = [path("cursor-s", `M${x} 0V${HEIGHT}`)];
    for (const series of drawn.filter((one) => !one.isBars)) {
      const group = document.createElementNS(SVG, "g");
      group.setAttribute("class", series.colour);
      group.append(path("dot-s", `M${x} ${series.y}h0`), path("dot-s dot-s--in", `M${x} ${series.y}h0`));
      marks.push(group);
    }
    this.cursor.replaceChildren(...marks);
  }

  tell(row, drawn) {
    const title = element("p", "tip__title", row.cells[0].textContent);
    const lines = drawn.map((series) => {
      const line = element("div", `tip__row ${series.colour}`);
      const change = series.isUsers ? row.dataset.change : "";
      line.append(element("span", "swatch swatch--on"), element("span", "", series.label));
      line.append(element("span", "", series.text), element("span", "", change));
      return line;
    });
    if (drawn.some((series) => series.isUsers)) {
      const before = element("div", "tip__row");
      before.append(element("span", ""), element("span", "quiet", "Users, period before"));
      before.append(element("span", "quiet", row.dataset.before), element("span", ""));
      lines.push(before);
    }
    this.tip.replaceChildren(title, ...lines);
    this.tip.hidden = false;
  }

  place(x) {
    const width = this.plot.clientWidth;
    const at = (x / WIDTH) * width;
    const fits = at + GAP_PX + this.tip.offsetWidth <= width;
    const left = fits ? at + GAP_PX : at - GAP_PX - this.tip.offsetWidth;
    this.tip.style.left = `${Math.max(left, 0)}px`;
    this.tip.style.top = "10px";
  }

  hide() {
    if (this.at < 0) return;
    this.at = -1;
    shown = null;
    this.cursor.replaceChildren();
    this.tip.hidden = true;
  }
}

function path(name, data) {
  const made = document.createElementNS(SVG, "path");
  made.setAttribute("class", name);
  made.setAttribute("vector-effect", "non-scaling-stroke");
  made.setAttribute("d", data);
  return made;
}

function element(tag, name, text = "") {
  const made = document.createElement(tag);
  if (name) made.className = name;
  made.textContent = text;
  return made;
}
