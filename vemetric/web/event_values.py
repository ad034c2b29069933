"""What the page of events is filled with: each event in words, day by day in the project's time zone."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from vemetric.model import calendar, text
from vemetric.stats.events import Sent
from vemetric.web import cards, figures, user_values

SHOWN_CHARACTERS_MAX = 1000


class Item(NamedTuple):
    """An event as it is drawn. order: sorts as events do; link: where it was sent from, '' where that is no address.

    detail: what stands beside the name, the target of a link that was followed; initials: '' for who is not known.
    """

    id: str
    order: str
    time: str
    when: str
    name: str
    label: str
    detail: str
    mark: str
    user_id: str
    user: str
    is_known: bool
    country: str
    place: str
    link: str
    values: list[tuple[str, str, str]]
    device: str


class Day(NamedTuple):
    """The events of a day. key: YYYY-MM-DD; label: as people say it."""

    key: str
    label: str
    items: list[Item]


def days(events: Sequence[Sent], icons: Mapping[str, str], tz: ZoneInfo, now_ms: int) -> list[Day]:
    """The events by day, in their order."""
    made: list[Day] = []
    now = calendar.local(now_ms, tz)
    for event in events:
        at = calendar.local(event.at_ms, tz)
        key = at.date().isoformat()
        if not made or made[-1].key != key:
            made.append(Day(key, _label(at, now), []))
        made[-1].items.append(_item(event, icons, tz))
    return made


def order(at_ms: int, id_: str) -> str:
    """A place in the order of events, as it stands in addresses: text of equal length up to the id."""
    return f"{at_ms:013d}.{id_}"


def _label(at: datetime, now: datetime) -> str:
    return figures.relative_day(at, now) + (f", {at.year}" if at.year != now.year else "")


def _item(event: Sent, icons: Mapping[str, str], tz: ZoneInfo) -> Item:
    is_link = event.address.startswith(("https://", "http://")) and len(event.address) <= cards.LINK_LENGTH_MAX
    mark = f"icon:{cards.EVENT_ICONS.get(event.name, 'bolt')}"
    if event.name in icons:
        mark = f"emoji:{icons[event.name]}"
    target = str(event.data.get("href", "")) if event.name == user_values.OUTBOUND else ""
    device = " · ".join(filter(None, (event.browser, event.os, event.device)))
    return Item(
        event.id,
        order(event.at_ms, event.id),
        f"{calendar.local(event.at_ms, tz):%H:%M:%S}",
        user_values.moment(event.at_ms, tz),
        event.name,
        text.shown(cards.EVENT_NAMES.get(event.name, event.name), SHOWN_CHARACTERS_MAX),
        text.shown(target, SHOWN_CHARACTERS_MAX),
        mark,
        str(event.user_id),
        user_values.name(event),
        bool(event.display_name or event.identifier),
        event.country,
        user_values.place(event.country, event.city),
        event.address if is_link else "",
        user_values.data(event.data),
        text.shown(device),
    )
