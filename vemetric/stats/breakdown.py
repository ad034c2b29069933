"""Figures by what events and visits are like: by country, page, event, property and so on. Called by the API.

Users, page views and other events go by what the event itself says; bounces and durations by the visit, which has the
source and place it began with and the browser of its first page.
"""

from typing import Any

import msgspec

from vemetric.stats.metrics import Sums
from vemetric.stats.predicates import CITY, COUNTRY
from vemetric.stats.query import Query, Reader

PROPERTY = "JSONExtractString(customData, {property:String})"
# As people sort words: whatever the case, and letters with accents beside those without.
BY_WORD = "COLLATE 'en'"
RATES = {
    "users": "users",
    "pageViews": "pageViews",
    "events": "events",
    "bounceRate": "if(viewing = 0, 0, bounces / viewing)",
    "visitDuration": "if(lasting = 0, 0, seconds / lasting)",
}
# Rows that the figure says anything of.
COUNTED = {
    "users": "users > 0",
    "pageViews": "pageViews > 0",
    "events": "events > 0",
    "bounceRate": "viewing > 0",
    "visitDuration": "visits > 0",
}


class Kind(msgspec.Struct, frozen=True):
    """What rows are grouped by. empty: the word for an empty key; rows: those that have one at all.

    types: of the filters that restrict the rows themselves. visits: of what, in the row of a visit, the rates of visits
    are told; views: of what in those of its page views; without both there are none. lasts: whether durations are told.
    """

    key: str
    empty: str = ""
    rows: str = "true"
    types: tuple[str, ...] = ()
    visits: str = ""
    views: str = ""
    lasts: bool = False


def _visit(column: str, empty: str = "Unknown") -> Kind:
    return Kind(column, empty, visits=column, lasts=True)


def _client(column: str, empty: str = "Unknown") -> Kind:
    return Kind(column, empty, views=column)


def _event(expression: str) -> Kind:
    return Kind(expression, rows=f"isPageView = 0 AND {expression} != ''", types=("event",))


def _page(column: str) -> Kind:
    return Kind(column, rows=f"isPageView = 1 AND {column} != ''", types=("page",))


KINDS = {
    "country": _visit(COUNTRY),
    "city": _visit(CITY),
    "origin": _page("origin"),
    "path": _page("pathname"),
    "browser": _client("clientName"),
    "device": _client("deviceType", "unknown"),
    "os": _client("osName"),
    "referrer": _visit("referrer", "Direct / None"),
    "referrerType": _visit("referrerType", "unknown"),
    "utmCampaign": _visit("utmCampaign"),
    "utmContent": _visit("utmContent"),
    "utmMedium": _visit("utmMedium"),
    "utmSource": _visit("utmSource"),
    "utmTerm": _visit("utmTerm"),
    "event": _event("name"),
    # Of the property that is bound.
    "property": _event(PROPERTY),
}


class Wanted(msgspec.Struct, frozen=True):
    """Which rows. kind: of KINDS; figures: keys of RATES, of which a row has at least one.

    order: a figure, or `key`; property: for the kind of that name; keys: those rows alone, whatever the page.
    """

    kind: str
    figures: tuple[str, ...]
    order: str
    is_descending: bool
    limit: int
    offset: int = 0
    property: str = ""
    keys: tuple[str, ...] | None = None


class Row(msgspec.Struct, frozen=True):
    """A key and what was counted of it."""

    key: str
    sums: Sums


async def load(reader: Reader, query: Query, wanted: Wanted) -> list[Row]:
    """A page of rows, in order. Raises StoreBusy."""
    parameters: dict[str, Any] = {"limit": wanted.limit, "offset": wanted.offset}
    if wanted.kind == "property":
        parameters["property"] = wanted.property
    if wanted.keys is not None:
        parameters["keys"] = list(wanted.keys)
    rows = await reader.rows("breakdown", query.parameters() | parameters, _expressions(query, wanted))
    return [Row(key, _sums(*counts)) for key, *counts in rows]


def _sums(users: int, views: int, events: int, visits: int, viewing: int, bounces: int, lasting: int, s: int) -> Sums:
    sums = Sums(users, views, events)
    sums.add_visits(visits, viewing, bounces, 0, lasting, s)
    return sums


def _expressions(query: Query, wanted: Wanted) -> dict[str, str]:
    kind, conditions = KINDS[wanted.kind], query.conditions
    users = conditions.users()
    kept = conditions.rows(*kind.types) if kind.types else "true"
    direction = "DESC" if wanted.is_descending else "ASC"
    order = f"key {direction} {BY_WORD}" if wanted.order == "key" else f"{RATES[wanted.order]} {direction}"
    with_visits = {"bounceRate", "visitDuration"} & set(wanted.figures) and (kind.visits or kind.views)
    expressions = {
        "key": _named(kind.key, kind.empty),
        "pageRows": conditions.rows("page"),
        "eventRows": conditions.rows("event"),
        "rows": f"{kind.rows} AND {kept}",
        "users": users,
        "counted": " OR ".join(COUNTED[figure] for figure in wanted.figures),
        "order": order,
    }
    if wanted.keys is not None:
        expressions["found"] = "key IN {keys:Array(String)}"
    if with_visits:
        expressions |= _visits(query, kind, users, with_views="bounceRate" in wanted.figures)
    return expressions


def _visits(query: Query, kind: Kind, users: str, *, with_views: bool) -> dict[str, str]:
    """The places of visits. Their page views are read where something depends on them."""
    own_rows = "true" if query.events_prevent_bounce else "isPageView = 1"
    expressions = {"withVisits": "true", "visitUsers": users}
    expressions["withViews"] = own_rows if with_views or kind.views else "false"
    if query.events_prevent_bounce:
        expressions["quiet"] = "others = 0"
    if kind.visits:
        return expressions | {"visitKey": _named(kind.visits, kind.empty)}
    return expressions | {"viewKey": _named(kind.views, kind.empty), "visitNames": "false", "viewNames": "true"}


def _named(expression: str, empty: str) -> str:
    return f"if({expression} = '', '{empty}', {expression})" if empty else expression
