// The month grid of the custom range: first click the first day, second the last; a month's title takes the month.
// Days are ISO texts throughout, so that no time zone of the browser can shift them.
const NAMES = ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"];
const STEPS = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -7, ArrowDown: 7 };

export function startRange() {
  const form = document.querySelector("[data-range]");
  if (form) new Picker(form);
}

class Picker {
  constructor(form) {
    this.form = form;
    this.place = form.querySelector("[data-month]");
    this.first = form.elements.sd;
    this.last = form.elements.ed;
    this.pending = "";
    this.preview = "";
    this.month = this.last.value.slice(0, 7);
    this.place.addEventListener("keydown", (event) => this.key(event));
    for (const input of [this.first, this.last]) input.addEventListener("change", () => this.draw());
    this.draw();
  }

  draw(focus = "") {
    const { earliest, latest, today } = this.form.dataset;
    const grid = node("div", "month__grid");
    for (const name of NAMES) grid.append(node("span", "month__name", name));
    const [start, end] = this.chosen();
    for (let blank = weekday(`${this.month}-01`); blank > 0; blank -= 1) grid.append(node("span", ""));
    for (let day = `${this.month}-01`; day.startsWith(this.month); day = moved(day, 1)) {
      const cell = button("day-cell", String(Number(day.slice(8))), () => this.pick(day));
      cell.dataset.day = day;
      cell.disabled = day < earliest || day > latest;
      cell.setAttribute("aria-label", named(day, { day: "numeric", month: "long", year: "numeric" }));
      if (day === today) cell.setAttribute("aria-current", "date");
      cell.classList.toggle("is-in", day > start && day < end);
      cell.classList.toggle("is-end", day === start || day === end);
      cell.setAttribute("aria-pressed", String(day >= start && day <= end));
      cell.addEventListener("pointerenter", () => this.hover(day));
      grid.append(cell);
    }
    this.place.replaceChildren(this.head(earliest, latest), grid);
    if (focus) this.place.querySelector(`[data-day="${focus}"]`)?.focus();
  }

  head(earliest, latest) {
    const head = node("div", "month__head");
    const before = button("act", "‹", () => this.turn(-1));
    before.setAttribute("aria-label", "Previous month");
    before.disabled = this.month <= earliest.slice(0, 7);
    const title = button("month__title", named(`${this.month}-01`, { month: "long", year: "numeric" }), () => this.whole());
    title.title = "Take the whole month";
    const after = button("act", "›", () => this.turn(1));
    after.setAttribute("aria-label", "Next month");
    after.disabled = this.month >= latest.slice(0, 7);
    head.append(before, title, after);
    return head;
  }

  chosen() {
    const other = this.preview || this.pending;
    if (!this.pending) return [this.first.value, this.last.value || this.first.value];
    return other < this.pending ? [other, this.pending] : [this.pending, other];
  }

  hover(day) {
    if (!this.pending || this.preview === day) return;
    this.preview = day;
    const [start, end] = this.chosen();
    for (const cell of this.place.querySelectorAll("[data-day]")) {
      cell.classList.toggle("is-in", cell.dataset.day > start && cell.dataset.day < end);
      cell.classList.toggle("is-end", cell.dataset.day === start || cell.dataset.day === end);
    }
  }

  pick(day) {
    if (!this.pending) {
      this.pending = this.preview = day;
      this.first.value = this.last.value = day;
      this.draw(day);
      return;
    }
    this.preview = day;
    this.send(...this.chosen());
  }

  whole() {
    const { latest } = this.form.dataset;
    const end = moved(`${shifted(this.month, 1)}-01`, -1);
    this.send(`${this.month}-01`, end > latest ? latest : end);
  }

  send(start, end) {
    this.pending = "";
    this.first.value = start;
    this.last.value = end;
    this.form.requestSubmit();
  }

  turn(step) {
    this.month = shifted(this.month, step);
    this.draw();
    this.place.querySelector(step < 0 ? ".act" : ".act:last-child")?.focus();
  }

  key(event) {
    const day = event.target.dataset?.day;
    if (!day || !(event.key in STEPS)) return;
    event.preventDefault();
    event.stopPropagation();
    const target = moved(day, STEPS[event.key]);
    const { earliest, latest } = this.form.dataset;
    if (target < earliest || target > latest) return;
    this.month = target.slice(0, 7);
    if (this.pending) this.preview = target;
    this.draw(target);
  }
}

function moved(day, days) {
  const at = new Date(`${day}T00:00:00Z`);
  at.setUTCDate(at.getUTCDate() + days);
  return at.toISOString().slice(0, 10);
}

function shifted(month, months) {
  const at = new Date(`${month}-01T00:00:00Z`);
  at.setUTCMonth(at.getUTCMonth() + months);
  return at.toISOString().slice(0, 7);
}

// 0 for Monday.
function weekday(day) {
  return (new Date(`${day}T00:00:00Z`).getUTCDay() + 6) % 7;
}

function named(day, format) {
  return new Date(`${day}T00:00:00Z`).toLocaleDateString("en", { ...format, timeZone: "UTC" });
}

function node(tag, name, text = "") {
  const made = document.createElement(tag);
  if (name) made.className = name;
  made.textContent = text;
  return made;
}

function button(name, text, action) {
  const made = node("button", name, text);
  made.type = "button";
  made.addEventListener("click", action);
  return made;
}
