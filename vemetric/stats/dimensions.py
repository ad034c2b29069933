"""What a card can be broken down by: each choice as the expressions that a statement of sql/ takes.

A source that a visit does not have is an empty text. A place that is not known is one too, however it is stored.
"""

import msgspec

from vemetric import errors
from vemetric.stats.predicates import CITY, COUNTRY, PROPERTIES


class Dimension(msgspec.Struct, frozen=True):
    """One choice of a card. key, detail, part and rows are SQL for the statement; counts: whether rows have a count.

    by_count: the highest count is first, not the most users. types: of the filters that restrict the rows themselves.
    searched: the text in which a search looks, as people read it. needs: what a person chose before: an event, or an
    event and a property.
    """

    statement: str
    key: str
    detail: str = "''"
    part: str | None = None
    rows: str | None = None
    counts: bool = False
    by_count: bool = False
    types: tuple[str, ...] = ()
    searched: str = "key"
    needs: tuple[str, ...] = ()

    @property
    def has_detail(self) -> bool:
        """Whether its rows have something beside their key."""
        return self.statement == EXITS or self.detail != "''"

    def expressions(self) -> dict[str, str]:
        """The statement's markers that this choice fills."""
        markers = {"key": self.key, "detail": self.detail, "part": self.part, "rows": self.rows}
        if self.statement == EXITS:
            markers = {}
        if self.by_count:
            markers |= {"measure": "count", "order": "count DESC, users DESC"}
        return {marker: expression for marker, expression in markers.items() if expression is not None}


EVENT = "event_card"
SESSION = "session_card"
EXITS = "exit_card"

# Server-side clients have no browser to speak of.
BROWSER_ROWS = "isPageView = 1 AND clientType = 'browser'"
OF_EVENT = "isPageView = 0 AND name = {event:String}"
PAGE_SEARCHED = "concat(detail, key)"


def _source(column: str, types: tuple[str, ...] = ("utmTags",)) -> Dimension:
    return Dimension(SESSION, column, rows=f"{column} != ''", types=types)


def _version(name: str, version: str, kind: str) -> Dimension:
    key = f"trimRight(concat({name}, ' ', {version}))"
    return Dimension(EVENT, key, detail=name, rows=BROWSER_ROWS, types=(kind,))


# The cards of the dashboard and their choices; the first choice of each is the default.
CARDS: dict[str, dict[str, Dimension]] = {
    "pages": {
        "pages": Dimension(
            EVENT,
            "pathname",
            detail="origin",
            rows="isPageView = 1",
            counts=True,
            types=("page",),
            searched=PAGE_SEARCHED,
        ),
        "entryPages": Dimension(
            SESSION,
            "pathname",
            detail="origin",
            part="origin",
            rows="pathname != ''",
            counts=True,
            searched="concat(part, key)",
        ),
        "exitPages": Dimension(EXITS, "pathname", counts=True, searched=PAGE_SEARCHED),
    },
    "sources": {
        "referrer": Dimension(
            SESSION,
            "referrer",
            detail="referrerUrl",
            types=("referrer",),
            searched="if(key = '', 'Direct / None', key)",
        ),
        "referrerUrl": Dimension(
            SESSION,
            "referrerUrl",
            detail="referrerUrl",
            rows="referrerUrl != '' AND referrer != ''",
            types=("referrerUrl",),
        ),
        "referrerType": _source("referrerType", ("referrerType",)),
        "utmCampaign": _source("utmCampaign"),
        "utmContent": _source("utmContent"),
        "utmMedium": _source("utmMedium"),
        "utmSource": _source("utmSource"),
        "utmTerm": _source("utmTerm"),
    },
    "events": {
        "events": Dimension(EVENT, "name", rows="isPageView = 0", counts=True, types=("event",)),
        "properties": Dimension(
            EVENT,
            f"arrayJoin({PROPERTIES})",
            rows=OF_EVENT,
            counts=True,
            by_count=True,
            types=("event",),
            needs=("event",),
        ),
        "values": Dimension(
            EVENT,
            "JSONExtractString(customData, {property:String})",
            rows=f"{OF_EVENT} AND JSONType(customData, {{property:String}}) != 'Null'",
            counts=True,
            by_count=True,
            types=("event",),
            needs=("event", "property"),
        ),
    },
    "locations": {
        "countries": Dimension(SESSION, COUNTRY, types=("location",)),
        "cities": Dimension(
            SESSION,
            CITY,
            detail=f"if({CITY} = '', '', {COUNTRY})",
            part=f"if({CITY} = '', '', {COUNTRY})",
            types=("location",),
        ),
    },
    "clients": {
        "browsers": Dimension(EVENT, "clientName", rows=BROWSER_ROWS, types=("browser",)),
        "browserVersions": _version("clientName", "clientVersion", "browser"),
        "devices": Dimension(EVENT, "deviceType", rows=BROWSER_ROWS, types=("device",)),
        "os": Dimension(EVENT, "osName", rows=BROWSER_ROWS, types=("os",)),
        "osVersions": _version("osName", "osVersion", "os"),
    },
}


def find(card: str, name: str = "") -> tuple[str, Dimension]:
    """A choice of a card and its name; '' is the default. Raises errors.Invalid when there is none of that name."""
    choices = CARDS.get(card)
    if choices is None:
        raise errors.Invalid(f"There is no card called {card!r}.", {"card": "unknown"})
    name = name or next(iter(choices))
    if name not in choices:
        raise errors.Invalid(f"The card {card!r} has no breakdown by {name!r}.", {"dimension": "unknown"})
    return name, choices[name]
