"""The timespan menu and the range picker of a page (panels/timespan.html). Days are those of its time zone."""

from collections.abc import Mapping
from typing import Any

from vemetric.model import calendar, timespan
from vemetric.model.dashboard import Range
from vemetric.model.timespan import PRESETS, Timespan
from vemetric.web.filter_bar import address


def values(path: str, chosen: Timespan, range_: Range, kept: Mapping[str, str]) -> dict[str, Any]:
    """What the template needs. kept: the page's other parameters, which stay with another timespan."""
    tz = calendar.zone(range_.time_zone)
    today = calendar.local(range_.now_ms, tz)
    first = range_.start_date or calendar.local(range_.start_ms, tz).date().isoformat()
    return {
        "path": path,
        "timespan_now": chosen,
        "timespan_label": timespan.label(chosen, today.date()),
        "timespans": [
            (preset, address(path, timespan.url_values(Timespan(preset.key)) | dict(kept)))
            for preset in PRESETS.values()
        ],
        "picker": {
            "first": first,
            "last": range_.end_date or today.date().isoformat(),
            "earliest": timespan.FIRST_DAY.isoformat(),
            "latest": calendar.month_end(today.date()).isoformat(),
            "today": today.date().isoformat(),
            "kept": kept,
        },
        "zone_label": f"{range_.time_zone}, {today:%H:%M}",
    }
