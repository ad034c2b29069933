"""What a card can be broken down by: each choice as the expressions that a statement of sql/ takes.

A source that a visit does not have is an empty text. A place that is not known is one too, however it is stored.
"""

import msgspec

from vemetric import errors


class Dimension(msgspec.Struct, frozen=True):
    """One choice of a card. key, detail, part and rows are SQL for the statement; counts: whether rows have a count."""

    statement: str
    key: str
    detail: str = "''"
    part: str | None = None
    rows: str | None = None
    counts: bool = False

    def expressions(self) -> dict[str, str]:
        """The statement's markers that this choice fills."""
        markers = {"key": self.key, "detail": self.detail, "part": self.part, "rows": self.rows}
        return {marker: expression for marker, expression in markers.items() if expression is not None}


EVENT = "event_card"
SESSION = "session_card"

# Server-side clients have no browser to speak of.
BROWSER_ROWS = "isPageView = 1 AND clientType = 'browser'"
COUNTRY = "toStringCutToZero(countryCode)"
CITY_IS_KNOWN = "lower(trimBoth(city)) NOT IN ('', 'unknown')"


def _source(column: str) -> Dimension:
    return Dimension(SESSION, column, rows=f"{column} != ''")


# The cards of the dashboard and their choices; the first choice of each is the default.
CARDS: dict[str, dict[str, Dimension]] = {
    "pages": {
        "pages": Dimension(EVENT, "pathname", detail="origin", rows="isPageView = 1", counts=True),
        "entryPages": Dimension(
            SESSION, "pathname", detail="origin", part="origin", rows="pathname != ''", counts=True
        ),
    },
    "sources": {
        "referrer": Dimension(SESSION, "referrer", detail="referrerUrl"),
        "referrerUrl": Dimension(
            SESSION, "referrerUrl", detail="referrerUrl", rows="referrerUrl != '' AND referrer != ''"
        ),
        "referrerType": _source("referrerType"),
        "utmCampaign": _source("utmCampaign"),
        "utmContent": _source("utmContent"),
        "utmMedium": _source("utmMedium"),
        "utmSource": _source("utmSource"),
        "utmTerm": _source("utmTerm"),
    },
    "events": {"events": Dimension(EVENT, "name", rows="isPageView = 0", counts=True)},
    "locations": {
        "countries": Dimension(SESSION, COUNTRY),
        "cities": Dimension(
            SESSION,
            f"if({CITY_IS_KNOWN}, city, '')",
            detail=f"if({CITY_IS_KNOWN}, {COUNTRY}, '')",
            part=f"if({CITY_IS_KNOWN}, {COUNTRY}, '')",
        ),
    },
    "clients": {
        "browsers": Dimension(EVENT, "clientName", rows=BROWSER_ROWS),
        "devices": Dimension(EVENT, "deviceType", rows=BROWSER_ROWS),
        "os": Dimension(EVENT, "osName", rows=BROWSER_ROWS),
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
