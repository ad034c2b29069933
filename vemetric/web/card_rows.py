"""The rows of cards as they are drawn: labels, marks, bars, and the filter that each row's button sets.

Rows come from stats/dashboard.py; what cards there are, cards.py says.
"""

from collections.abc import Callable
from typing import NamedTuple

from vemetric.enrich import countries
from vemetric.model import filters, text
from vemetric.model.dashboard import Card, Row
from vemetric.model.filters import Choice as FilterChoice
from vemetric.model.filters import Filter, Text
from vemetric.web.cards import (
    DEVICE_ICONS,
    DIRECT,
    EMPTY,
    EVENT_ICONS,
    EVENT_NAMES,
    LINK_LENGTH_MAX,
    REFERRER_ICONS,
    REFERRER_TYPES,
    UNKNOWN,
    UTM,
    Choice,
    Kind,
)

# Choices whose rows are ordered by their count.
BY_COUNT = ("properties", "values")
UTM_FIELDS = {
    "utmCampaign": "campaign",
    "utmContent": "content",
    "utmMedium": "medium",
    "utmSource": "source",
    "utmTerm": "term",
}


class Line(NamedTuple):
    """A row as it is drawn. mark: what stands before the label, as `icon:name`, `flag:de` or `letter:G`.

    filter: what its filter button sets, None where there is none. key: of the row, for what goes deeper.
    """

    label: str
    mark: str
    badge: str
    link: str
    width: str
    users: int
    counted: int | None
    filter: Filter | None = None
    key: str = ""


class Deeper(NamedTuple):
    """What the events card has gone into."""

    event: str = ""
    property: str = ""


def lines(kind: Kind, choice: Choice, card: Card, domain: str, deeper: Deeper = Deeper()) -> list[Line]:  # noqa: B008
    """A card's rows as they are drawn."""
    return [_line(kind, choice, row, card.measure_max, domain, deeper) for row in card.rows]


def _line(kind: Kind, choice: Choice, row: Row, measure_max: int, domain: str, deeper: Deeper) -> Line:
    label, mark, badge, link = row.key, "", "", ""
    if kind.name == "pages":
        badge, link = _page(row, domain)
        label = text.readable(row.key) or "/"
    elif kind.name == "sources":
        label, mark = _source(choice, row.key)
        link = row.detail if row.detail.startswith(("https://", "http://")) else ""
    elif kind.name == "events" and choice.dimension != "events":
        label = row.key or EMPTY
    elif kind.name == "events":
        label, mark = EVENT_NAMES.get(row.key, row.key), f"icon:{EVENT_ICONS.get(row.key, 'bolt')}"
    elif kind.name == "locations":
        label, mark = _place(choice, row)
    else:
        label, mark = _client(choice, row.key)
    measure = (row.count or 0) if choice.dimension in BY_COUNT else row.users
    width = f"{max(measure / measure_max * 100, 1.5):.4g}%" if measure_max else "0%"
    if len(link) > LINK_LENGTH_MAX:
        link = ""
    chosen = row_filter(choice.dimension, row, deeper)
    return Line(text.shown(label), mark, text.shown(badge), link, width, row.users, row.count, chosen, row.key)


def row_filter(dimension: str, row: Row, deeper: Deeper) -> Filter | None:
    """The filter that a row's button sets: users who have what the row says. None where there is no such filter."""
    if dimension in UTM_FIELDS:
        return filters.UtmFilter(**{UTM_FIELDS[dimension]: Text(value=row.key)})
    if dimension == "values":
        return filters.EventFilter(Text(value=deeper.event), (filters.Property(deeper.property, value=row.key),))
    made = ROW_FILTERS.get(dimension)
    return made(row) if made is not None else None


def _text(row: Row) -> Text:
    return Text(value=row.key)


def _listed(row: Row) -> FilterChoice:
    return FilterChoice(values=(row.key,))


def _city(row: Row) -> Filter:
    """Cities of the same name lie in different countries."""
    country = FilterChoice(values=(row.detail,)) if row.key else None
    return filters.LocationFilter(country=country, city=_listed(row))


ROW_FILTERS: dict[str, Callable[[Row], Filter]] = {
    "pages": lambda row: filters.PageFilter(path=_text(row), origin=Text(value=row.detail)),
    "events": lambda row: filters.EventFilter(name=_text(row)),
    "referrer": lambda row: filters.ReferrerFilter(_text(row)),
    "referrerUrl": lambda row: filters.ReferrerUrlFilter(_text(row)),
    "referrerType": lambda row: filters.ReferrerTypeFilter(_listed(row)),
    "countries": lambda row: filters.LocationFilter(country=_listed(row)),
    "cities": _city,
    "browsers": lambda row: filters.BrowserFilter(_listed(row)),
    "devices": lambda row: filters.DeviceFilter(_listed(row)),
    "os": lambda row: filters.OsFilter(_listed(row)),
}


def _page(row: Row, domain: str) -> tuple[str, str]:
    """The host where it is another than the project's own, a subdomain without what all have; the page's address."""
    if not row.detail.startswith(("https://", "http://")):
        return "", ""
    host = row.detail.partition("://")[2]
    return ("" if host == domain else host.removesuffix(f".{domain}")), row.detail + row.key


def _source(choice: Choice, key: str) -> tuple[str, str]:
    if choice.dimension == "referrerType":
        return REFERRER_TYPES.get(key, key or DIRECT), f"icon:{REFERRER_ICONS.get(key, 'globe')}"
    if choice.group == UTM:
        return key, "icon:tag"
    if not key:
        return DIRECT, "icon:link"
    host = key.partition("://")[2] or key
    return key, f"letter:{host.removeprefix('www.')[:1].upper()}"


def _place(choice: Choice, row: Row) -> tuple[str, str]:
    if choice.dimension == "countries":
        return (countries.name(row.key), f"flag:{row.key}") if row.key else (UNKNOWN, "icon:globe")
    if not row.key:
        return UNKNOWN, "icon:globe"
    country = countries.name(row.detail)
    return f"{row.key} ({country})" if country else row.key, f"flag:{row.detail}"


def _client(choice: Choice, key: str) -> tuple[str, str]:
    if choice.dimension == "devices":
        label = key[:1].upper() + key[1:] if key else UNKNOWN
        return label, f"icon:{DEVICE_ICONS.get(key, 'devices')}"
    return key or UNKNOWN, f"letter:{(key or '?')[:1].upper()}"
