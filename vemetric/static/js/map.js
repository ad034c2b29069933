// The map of the world: nearer and farther by buttons, keys, a pinch, or the wheel with Ctrl; moved by dragging and by
// arrow keys. The table behind it says the same without any of this.
const NEAREST = 8;
const STEP = 1.5;
const SHIFT = 0.15;
const DRAG_PX = 4;
// What is looked at stays when the card is drawn anew.
let kept = { k: 1, x: 0, y: 0 };

export function startMap(part) {
  const maps = part.matches?.("[data-map]") ? [part] : part.querySelectorAll("[data-map]");
  for (const map of maps) new WorldMap(map);
}

class WorldMap {
  constructor(place) {
    this.place = place;
    this.svg = place.querySelector("svg.map");
    this.width = this.svg.viewBox.baseVal.width;
    this.height = this.svg.viewBox.baseVal.height;
    this.cities = [...this.svg.querySelectorAll("circle")].map((circle) => [circle, Number(circle.getAttribute("r"))]);
    this.fingers = new Map();
    this.dragged = false;
    const tools = place.querySelector("[data-map-tools]");
    tools.hidden = false;
    tools.addEventListener("click", (event) => this.key(event, event.target.closest("button")?.dataset.key));
    place.addEventListener("keydown", (event) => this.key(event, event.key));
    this.svg.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.svg.addEventListener("pointerdown", (event) => this.down(event));
    this.svg.addEventListener("pointermove", (event) => this.move(event));
    for (const end of ["pointerup", "pointercancel", "pointerleave"]) {
      this.svg.addEventListener(end, (event) => this.fingers.delete(event.pointerId));
    }
    // Whoever has dragged did not mean the country under the pointer.
    this.svg.addEventListener("click", (event) => this.dragged && event.preventDefault(), true);
    this.svg.addEventListener("dragstart", (event) => event.preventDefault());
    this.look(kept);
  }

  key(event, key) {
    const { k, x, y } = kept;
    const by = SHIFT / k;
    const views = {
      "+": () => this.zoom(STEP),
      "=": () => this.zoom(STEP),
      "-": () => this.zoom(1 / STEP),
      0: () => this.look({ k: 1, x: 0, y: 0 }),
      ArrowLeft: () => this.look({ k, x: x - by * this.width, y }),
      ArrowRight: () => this.look({ k, x: x + by * this.width, y }),
      ArrowUp: () => this.look({ k, x, y: y - by * this.height }),
      ArrowDown: () => this.look({ k, x, y: y + by * this.height }),
    };
    const isMove = key?.startsWith("Arrow");
    if (!(key in views) || event.ctrlKey || event.metaKey || event.altKey || (isMove && k === 1)) return;
    event.preventDefault();
    views[key]();
  }

  wheel(event) {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    this.zoom(event.deltaY < 0 ? STEP : 1 / STEP, this.at(event));
  }

  down(event) {
    this.fingers.set(event.pointerId, { x: event.clientX, y: event.clientY, fromX: event.clientX, fromY: event.clientY });
    this.dragged = false;
  }

  move(event) {
    const finger = this.fingers.get(event.pointerId);
    if (!finger) return;
    const [first, second] = [...this.fingers.values()];
    const before = second && Math.hypot(first.x - second.x, first.y - second.y);
    const [dx, dy] = [event.clientX - finger.x, event.clientY - finger.y];
    [finger.x, finger.y] = [event.clientX, event.clientY];
    if (Math.hypot(finger.x - finger.fromX, finger.y - finger.fromY) > DRAG_PX) this.dragged = true;
    if (second) {
      const now = Math.hypot(first.x - second.x, first.y - second.y);
      this.zoom(now / before, this.at({ clientX: (first.x + second.x) / 2, clientY: (first.y + second.y) / 2 }));
    } else if (kept.k > 1 && this.dragged) {
      const unit = this.width / kept.k / this.svg.clientWidth;
      this.look({ k: kept.k, x: kept.x - dx * unit, y: kept.y - dy * unit });
    }
  }

  // Where on the map a pointer is.
  at(event) {
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.svg.getScreenCTM().inverse());
    return [point.x, point.y];
  }

  zoom(factor, [x, y] = [kept.x + this.width / kept.k / 2, kept.y + this.height / kept.k / 2]) {
    const k = Math.min(Math.max(kept.k * factor, 1), NEAREST);
    const share = kept.k / k;
    this.look({ k, x: x - (x - kept.x) * share, y: y - (y - kept.y) * share });
  }

  look({ k, x, y }) {
    const [width, height] = [this.width / k, this.height / k];
    const within = (value, most) => Math.min(Math.max(value, 0), most);
    kept = { k, x: within(x, this.width - width), y: within(y, this.height - height) };
    this.svg.setAttribute("viewBox", `${kept.x} ${kept.y} ${width} ${height}`);
    this.svg.classList.toggle("map--near", k > 1);
    for (const [circle, radius] of this.cities) circle.setAttribute("r", radius / Math.sqrt(k));
    for (const button of this.place.querySelectorAll("[data-map-tools] button")) {
      const isEnd = button.dataset.key === "+" ? k >= NEAREST : k <= 1;
      button.setAttribute("aria-disabled", String(isEnd));
    }
  }
}
