// The page of events: new ones slide in where they belong while somebody looks and has not paused it.
import { Stream } from "./stream.js";

// So many events stay on the page; older ones come back by "Earlier events".
const EVENTS_MAX = 1000;

export function startEvents() {
  const place = document.querySelector("[data-events-live]");
  if (place) new Feed(place);
}

class Feed {
  constructor(place) {
    this.place = place;
    this.isPaused = false;
    this.isAsking = false;
    this.stream = new Stream(
      () => this.refresh(),
      () => {},
    );
    this.stream.open(place.dataset.eventsLive);
    const toggle = document.querySelector("[data-live-toggle]");
    toggle.hidden = false;
    toggle.addEventListener("click", () => this.pause(toggle));
  }

  pause(toggle) {
    this.isPaused = !this.isPaused;
    toggle.setAttribute("aria-pressed", String(!this.isPaused));
    toggle.querySelector(".dot").classList.toggle("dot--live", !this.isPaused);
    if (this.isPaused) this.stream.close();
    else this.refresh();
  }

  async refresh() {
    if (this.isPaused || this.isAsking) return;
    this.isAsking = true;
    try {
      const answer = await fetch(this.place.dataset.events, { headers: { "HX-Request": "true" } });
      if (answer.ok) this.merge(await answer.text());
    } catch {
      // The next change asks again.
    } finally {
      this.isAsking = false;
      this.stream.open(this.place.dataset.eventsLive);
    }
  }

  merge(html) {
    const page = document.createElement("template");
    page.innerHTML = html;
    const fresh = [...page.content.querySelectorAll(".feed__li")];
    const isNew = fresh.filter((item) => !document.getElementById(item.id));
    if (!isNew.length) return;
    for (const item of isNew) item.classList.add("is-new");
    // Nothing in common: more came than a page holds, so what was shown does not follow on it.
    if (isNew.length === fresh.length) this.place.replaceChildren(page.content);
    else for (const item of isNew) this.insert(item);
    this.trim();
    htmx.process(this.place);
    const said = document.querySelector("[data-events-said]");
    said.textContent = isNew.length === 1 ? "1 new event" : `${isNew.length} new events`;
  }

  // Before the first event that is older, in the list of its day.
  insert(item) {
    const list = item.closest(".feed");
    const older = this.items().find((other) => other.dataset.order < item.dataset.order);
    if (older && older.closest(".feed").dataset.day === list.dataset.day) return older.before(item);
    const own = [...this.place.querySelectorAll(".feed")].filter((one) => one.dataset.day === list.dataset.day).at(-1);
    if (own) return own.append(item);
    const day = list.cloneNode(false);
    day.append(item);
    const heading = list.ownerDocument.createElement("h2");
    heading.className = "day";
    heading.dataset.day = list.dataset.day;
    heading.textContent = list.previousElementSibling?.textContent ?? list.dataset.day;
    const next = older?.closest(".feed");
    const mark = next?.previousElementSibling?.matches(".day") ? next.previousElementSibling : next;
    this.place.insertBefore(heading, mark ?? document.getElementById("events-rest"));
    heading.after(day);
  }

  items() {
    return [...this.place.querySelectorAll(".feed__li")];
  }

  trim() {
    const items = this.items();
    const more = document.getElementById("events-more");
    if (!more || items.length <= EVENTS_MAX) return;
    for (const item of items.slice(EVENTS_MAX)) item.remove();
    for (const list of this.place.querySelectorAll(".feed:empty")) list.remove();
    const url = new URL(more.href);
    url.searchParams.set("before", items[EVENTS_MAX - 1].dataset.order);
    more.href = url.pathname + url.search;
    more.setAttribute("hx-get", more.getAttribute("href"));
  }
}
