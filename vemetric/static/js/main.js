// The one entry of every page: each module looks for its own elements and does nothing without them.
import { startAddress } from "./address.js";
import { startChart } from "./chart.js";
import { startCopy } from "./copy.js";
import { startEvents } from "./events.js";
import { startFilters } from "./filters.js";
import { startLive } from "./live.js";
import { startMap } from "./map.js";
import { startMenus } from "./menus.js";
import { startPicture } from "./picture.js";
import { startRange } from "./range.js";
import { startTheme } from "./theme.js";
import { startTimespan } from "./timespan.js";
import { startWaiting } from "./waiting.js";
import { startZone } from "./zone.js";

// What works anew in every part that is swapped in.
function startPart(part) {
  startChart(part);
  startCopy(part);
  startMap(part);
}

startMenus();
startAddress();
startTheme();
startZone();
startPicture();
startRange();
startTimespan();
startFilters();
startEvents();
startLive();
startWaiting(startPart);
startPart(document);
// When the page is there htmx may tell of its whole body, after or before this: a map started twice zooms twice as far.
document.addEventListener("htmx:load", (event) => event.detail.elt !== document.body && startPart(event.detail.elt));
