"""What the pages of users are filled with: who somebody is in words, a journey by visits, a calendar of days."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from vemetric.enrich import countries
from vemetric.model import calendar, text
from vemetric.model.project import Project
from vemetric.stats.events import Sent
from vemetric.stats.journey import LATEST, Journey, Session, Step
from vemetric.stats.person import Facts
from vemetric.stats.users import Listed
from vemetric.web import cards, figures

ANONYMOUS = "Anonymous"
UNKNOWN = "Unknown"
OUTBOUND = "$$outboundLink"
# What a page view is called among events.
VIEW_ICON = "page"
SHOWN_CHARACTERS_MAX = 1000
EVENT_ID_LENGTH_MAX = 100
# Half a year of whole weeks.
WEEKS = 26
CELL, GAP, LEFT, TOP = 9, 2, 22, 14
WEEKDAYS = ((0, "Mon"), (2, "Wed"), (4, "Fri"), (6, "Sun"))


class Item(NamedTuple):
    """A step as it is drawn. link: where a page or a link leads, '' for none; values: name and value of its data."""

    step: Step
    time: str
    label: str
    mark: str
    title: str
    spent: str
    link: str
    values: list[tuple[str, str, str]]
    device: str


class Visit(NamedTuple):
    """A visit as it is drawn, or what belongs to none. day: of its beginning; is_open: it may go on on the next."""

    day: str
    title: str
    source: str
    source_mark: str
    source_link: str
    items: list[Item]
    is_open: bool


class Cell(NamedTuple):
    """A day of the calendar. shade: 0 to 4; link: '' for a day without events."""

    x: int
    y: int
    shade: int
    label: str
    link: str
    is_chosen: bool


class Heat(NamedTuple):
    """The calendar of days, a column per week, Monday on top. months: where each begins."""

    width: int
    height: int
    cells: list[Cell]
    months: list[tuple[int, str]]
    weekdays: list[tuple[int, str]]
    total: int


def name(user: Listed | Facts | Sent) -> str:
    """What a user is called."""
    return text.shown(user.display_name or user.identifier or ANONYMOUS, SHOWN_CHARACTERS_MAX)


def place(country: str, city: str = "") -> str:
    """Where somebody is, in words."""
    found = countries.name(country) if country else ""
    return text.shown(", ".join(filter(None, (city, found or country))) or UNKNOWN)


def moment(at_ms: int, tz: ZoneInfo) -> str:
    """10 Mar 2026, 13:00:05."""
    at = calendar.local(at_ms, tz)
    return f"{at.day} {at:%b %Y, %H:%M:%S}"


def data(values: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Name, value and link of what a site told, the values as people read them."""
    found = []
    for key, value in values.items():
        said = _said(value)
        link = said if said.startswith(("https://", "http://")) and len(said) <= cards.LINK_LENGTH_MAX else ""
        found.append((text.shown(key), text.shown(said, SHOWN_CHARACTERS_MAX), link))
    return found


def visits(project: Project, journey: Journey, icons: Mapping[str, str], now_ms: int) -> list[Visit]:
    """The steps by visit, the latest first; a visit in whose midst another one took place is shown in parts."""
    tz, made = calendar.zone(project.time_zone), list[Visit]()
    groups: list[list[Step]] = []
    for step in journey.steps:
        if groups and groups[-1][0].session == step.session:
            groups[-1].append(step)
        else:
            groups.append([step])
    for steps in groups:
        session = journey.sessions.get(steps[0].session)
        items = [_item(step, icons, tz) for step in steps]
        is_open = journey.next is not None and steps is groups[-1]
        made.append(_visit(session, steps, items, tz, now_ms, is_open))
    return made


def heat(
    edges_ms: Sequence[int], counts: Mapping[int, int], tz: ZoneInfo, chosen: str, link: Callable[[str], str]
) -> Heat:
    """The calendar. edges_ms: of the days, the first one a Monday; chosen: a day as YYYY-MM-DD."""
    highest = max(counts.values(), default=0)
    cells, months = [], list[tuple[int, str]]()
    for number, start_ms in enumerate(edges_ms[:-1]):
        day, count = calendar.local(start_ms, tz).date(), counts.get(start_ms, 0)
        x, y = LEFT + number // 7 * (CELL + GAP), TOP + number % 7 * (CELL + GAP)
        if day.day <= 7 and number % 7 == 0:
            months.append((x, f"{day:%b}"))
        shade = -(-count * 4 // highest) if count else 0
        said = f"{day.day} {day:%b %Y}: {count:,} event{'s' if count != 1 else ''}"
        iso = day.isoformat()
        cells.append(Cell(x, y, shade, said, link("" if iso == chosen else iso) if count else "", iso == chosen))
    width = LEFT + -(-len(cells) // 7) * (CELL + GAP)
    names = [(TOP + row * (CELL + GAP) + CELL - 1, label) for row, label in WEEKDAYS]
    return Heat(width, TOP + 7 * (CELL + GAP), cells, months, names, sum(counts.values()))


def heat_edges(now_ms: int, tz: ZoneInfo) -> list[int]:
    """The starts of the days of the last weeks, from a Monday until tomorrow."""
    today = calendar.local(now_ms, tz).date()
    first = today - timedelta(days=today.weekday() + 7 * (WEEKS - 1))
    return [calendar.day_start(first + timedelta(days=n), tz) for n in range((today - first).days + 2)]


def day_of(value: str, tz: ZoneInfo) -> tuple[int, int] | None:
    """The instants that a day as YYYY-MM-DD begins and ends at; None for what is none."""
    try:
        day = date.fromisoformat(value)
        return calendar.day_start(day, tz), calendar.day_start(day + timedelta(days=1), tz)
    except (ValueError, OverflowError):
        return None


def mark_of(value: str) -> tuple[int, str]:
    """Where a page of events begins, of an address: (at_ms, id); the latest of all for what is none."""
    at, _, id_ = value.partition(".")
    is_number = at.isascii() and at.isdigit() and len(at) <= 16
    return (int(at), id_) if is_number and len(id_) <= EVENT_ID_LENGTH_MAX else LATEST


def _visit(
    session: Session | None, steps: Sequence[Step], items: list[Item], tz: ZoneInfo, now_ms: int, is_open: bool
) -> Visit:
    started_ms = session.started_ms if session is not None else steps[-1].at_ms
    at, now = calendar.local(started_ms, tz), calendar.local(now_ms, tz)
    day = figures.relative_day(at, now) + (f", {at.year}" if at.year != now.year else "")
    if session is None:
        return Visit(day, figures.clock(at), "", "", "", items, is_open)
    lasted = (session.ended_ms - session.started_ms) / 1000
    title = f"{figures.clock(at)} – {figures.clock(calendar.local(session.ended_ms, tz))}, {figures.duration(lasted)}"
    source = session.referrer or cards.DIRECT
    host = source.partition("://")[2] or source
    mark = f"letter:{host.removeprefix('www.')[:1].upper()}" if session.referrer else "icon:link"
    link = session.referrer_url if session.referrer_url.startswith(("https://", "http://")) else ""
    return Visit(day, title, text.shown(source), mark, link[: cards.LINK_LENGTH_MAX], items, is_open)


def _item(step: Step, icons: Mapping[str, str], tz: ZoneInfo) -> Item:
    address = step.origin + step.path + step.query + step.hash
    label = cards.EVENT_NAMES.get(step.name, step.name)
    if step.is_page_view:
        label = text.readable(step.path + step.query + step.hash) or "/"
    if step.name == OUTBOUND:
        label = str(step.data.get("href", label))
    mark = f"icon:{VIEW_ICON if step.is_page_view else cards.EVENT_ICONS.get(step.name, 'bolt')}"
    if step.name in icons:
        mark = f"emoji:{icons[step.name]}"
    device = " · ".join(filter(None, (step.browser, step.os, step.device)))
    is_link = address.startswith(("https://", "http://")) and len(address) <= cards.LINK_LENGTH_MAX
    return Item(
        step,
        f"{calendar.local(step.at_ms, tz):%H:%M:%S}",
        text.shown(label),
        mark,
        moment(step.at_ms, tz),
        figures.duration(step.seconds) if step.seconds is not None else "",
        address if is_link else "",
        data(step.data),
        text.shown(device),
    )


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
