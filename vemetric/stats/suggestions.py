"""What filters can be set to: the values that a project's events and visits have. Called by the filters' forms."""

from collections.abc import Iterable
from typing import NamedTuple

from vemetric.clickhouse.engine import Engine
from vemetric.enrich import countries
from vemetric.model.dashboard import Range
from vemetric.model.project import Project
from vemetric.stats.predicates import CITY, COUNTRY, PROPERTIES
from vemetric.stats.query import Reader

# Suggestions look back so far, even when the range is shorter; the most frequent values are told.
LOOK_BACK_MS = 90 * 86_400_000
VALUES_MAX = 200
EVENTS, VISITS = "event_values", "session_values"
COUNTRIES_MAX = 1000
BY_WORD = "value ASC COLLATE 'en', value"
# Names of our own stand where people look for what they are called.
BY_WORDS = {"event": "if(value = '$$outboundLink', 'Outbound link', value) ASC COLLATE 'en', value"}
OF_EVENTS = "isPageView = 0"
OF_ONE_EVENT = "isPageView = 0 AND ({event:String} = '' OR name = {event:String})"


class Source(NamedTuple):
    """Where the values of a field are."""

    statement: str
    value: str
    rows: str


def _visits(column: str) -> Source:
    return Source(VISITS, column, "true")


def _views(column: str) -> Source:
    return Source(EVENTS, column, "isPageView = 1")


# By field: names that forms and the API ask by. `property` takes the event, `value` event and property.
FIELDS = {
    "path": _views("pathname"),
    "origin": _views("origin"),
    "hash": _views("if(startsWith(urlHash, '#'), substring(urlHash, 2), urlHash)"),
    "event": Source(EVENTS, "name", OF_EVENTS),
    "property": Source(EVENTS, f"arrayJoin({PROPERTIES})", OF_ONE_EVENT),
    "value": Source(EVENTS, "JSONExtractString(customData, {property:String})", OF_ONE_EVENT),
    "country": _visits(COUNTRY),
    "city": _visits(CITY),
    "referrer": _visits("referrer"),
    "referrerUrl": Source(
        VISITS,
        "referrerUrl",
        "NOT (domain(referrerUrl) = {domain:String} OR endsWith(domain(referrerUrl), concat('.', {domain:String})))",
    ),
    "referrerType": _visits("referrerType"),
    "utmCampaign": _visits("utmCampaign"),
    "utmContent": _visits("utmContent"),
    "utmMedium": _visits("utmMedium"),
    "utmSource": _visits("utmSource"),
    "utmTerm": _visits("utmTerm"),
    "browser": _views("clientName"),
    "device": _views("deviceType"),
    "os": _views("osName"),
}


async def of_fields(
    engine: Engine, project: Project, range_: Range, names: Iterable[str], *, event: str = "", property_: str = ""
) -> dict[str, list[str]]:
    """The values of some fields, in order: countries by their names, all else as texts. Raises StoreBusy."""
    reader = Reader(engine)
    start_ms = min(range_.start_ms, range_.end_ms - LOOK_BACK_MS)
    parameters = {
        "project": project.id,
        "start": start_ms,
        "end": range_.end_ms,
        "limit": VALUES_MAX,
        "offset": 0,
        "event": event,
        "property": property_,
        "domain": project.domain,
    }
    found = {}
    for name in names:
        source = FIELDS[name]
        rows = await reader.rows(source.statement, parameters, {"value": source.value, "rows": source.rows})
        found[name] = _in_order(name, [str(row[0]) for row in rows])
    return found


async def page_of_field(
    reader: Reader, project_id: int, range_: Range, name: str, limit: int, offset: int
) -> list[str]:
    """Values of a field within the range alone, in the order of words; countries by their names. Raises StoreBusy."""
    source = FIELDS[name]
    parameters = {"project": project_id, "start": range_.start_ms, "end": range_.end_ms, "event": ""}
    expressions = {"value": f"toString({source.value})", "rows": source.rows, "order": BY_WORDS.get(name, BY_WORD)}
    if name != "country":
        rows = await reader.rows(source.statement, parameters | {"limit": limit, "offset": offset}, expressions)
        return [str(row[0]) for row in rows]
    # There are a few hundred of them, and the store does not know their names.
    rows = await reader.rows(source.statement, parameters | {"limit": COUNTRIES_MAX, "offset": 0}, expressions)
    return _in_order(name, [str(row[0]) for row in rows])[offset : offset + limit]


def _in_order(name: str, values: list[str]) -> list[str]:
    if name == "country":
        names = countries.names()
        return sorted((code for code in values if code in names), key=names.__getitem__)
    return sorted(values, key=lambda value: (value.casefold(), value))
