"""What every page of /admin has around it, and the moments and spans it speaks of."""

from typing import Any, NamedTuple

from aiohttp import web

from vemetric.model import calendar
from vemetric.web import context, render

MINUTE_SECONDS, HOUR_SECONDS, DAY_SECONDS = 60, 3_600, 86_400
UNITS = ("B", "KB", "MB", "GB", "TB")
# How often a page comes anew, where that is asked for.
REFRESHES_SECONDS = (5, 15, 60)


class Link(NamedTuple):
    """An entry of the frame."""

    section: str
    label: str
    icon: str
    path: str


LINKS = (
    Link("queues", "Queues", "queue", "/admin"),
    Link("dead", "Dead letters", "alert", "/admin/dead"),
    Link("schedule", "Schedule", "clock", "/admin/schedule"),
    Link("mail", "Mail", "mail", "/admin/mail"),
    Link("system", "System", "devices", "/admin/system"),
)


def page(request: web.Request, template: str, section: str, **values: Any) -> web.Response:
    """A filled template of templates/admin, renewed by the browser as often as the address asks for."""
    asked = context.of(request)
    every = request.query.get("every", "")
    response = render.page(
        request,
        f"admin/{template}.html",
        links=LINKS,
        section=section,
        is_read_only=asked.services.config.admin_read_only,
        refreshes=REFRESHES_SECONDS,
        every=every,
        said=SAID.get(request.query.get("said", ""), ""),
        time_of=time_of,
        span=span,
        size=size,
        since=lambda at_ms: span((asked.services.clock.now_ms() - at_ms) / 1000),
        until=lambda at_ms: span((at_ms - asked.services.clock.now_ms()) / 1000),
        **values,
    )
    if every in map(str, REFRESHES_SECONDS):
        response.headers["Refresh"] = every
    return response


# What a page says after something was done, by the word in its address.
SAID = {
    "paused": "Paused: nothing is taken out of line.",
    "resumed": "Resumed.",
    "promoted": "Running now.",
    "retried": "Back in line.",
    "removed": "Removed.",
    "unmoved": "Nothing was changed: it is done or being worked on by now, or its work was put anew.",
    "asked": "It runs within half a minute.",
}


def time_of(at_ms: int) -> str:
    """A moment in UTC, to the second."""
    at = calendar.local(at_ms, calendar.zone("UTC"))
    return f"{at.day} {at:%b %Y, %H:%M:%S} UTC"


def span(seconds: float) -> str:
    """`2 d 3 h`, `5 min 2 s`, `0.4 s`."""
    if seconds < 10:
        return f"{max(0.0, seconds):.1f} s"
    whole = int(seconds)
    if whole < MINUTE_SECONDS:
        return f"{whole} s"
    if whole < HOUR_SECONDS:
        return f"{whole // MINUTE_SECONDS} min {whole % MINUTE_SECONDS} s"
    if whole < DAY_SECONDS:
        return f"{whole // HOUR_SECONDS} h {whole % HOUR_SECONDS // MINUTE_SECONDS} min"
    return f"{whole // DAY_SECONDS} d {whole % DAY_SECONDS // HOUR_SECONDS} h"


def size(count: float) -> str:
    """`1.5 GB`."""
    for unit in UNITS[:-1]:
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} {UNITS[-1]}"
