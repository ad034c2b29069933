"""The cards of the dashboard as a table: their choices, columns and words. Rows come from stats/dashboard.py."""

from collections.abc import Callable
from typing import NamedTuple

from vemetric.enrich import countries
from vemetric.model import filters, text
from vemetric.model.dashboard import Card, Row
from vemetric.model.filters import Choice as FilterChoice
from vemetric.model.filters import Filter, Text


class Choice(NamedTuple):
    """One way to break a card down. value: in the URL; dimension: in stats/dimensions.py; group: of the menu.

    found, found_one: what the rows are called beside their number.
    """

    value: str
    dimension: str
    label: str
    heading: str
    found: str
    group: str = ""
    count_heading: str = ""
    found_one: str = ""


class Kind(NamedTuple):
    """A card. parameter: of the URL; the first choice is the default. means: what is counted, in plain words."""

    name: str
    title: str
    parameter: str
    page_parameter: str
    choices: tuple[Choice, ...]
    nothing: str
    means: str

    def choice(self, value: str) -> Choice:
        """The choice of a URL's value; the default for one that does not exist."""
        return next((choice for choice in self.choices if choice.value == value), self.choices[0])

    @property
    def parameters(self) -> tuple[str, ...]:
        """The URL parameters that are this card's own."""
        return (self.parameter, self.page_parameter, self.search_parameter)

    @property
    def search_parameter(self) -> str:
        """The URL parameter of the search in this card."""
        return f"{self.page_parameter[0]}q"

    @property
    def groups(self) -> dict[str, list[Choice]]:
        """The choices by group, in order; one group called '' where there are none."""
        groups: dict[str, list[Choice]] = {}
        for choice in self.choices:
            groups.setdefault(choice.group, []).append(choice)
        return groups


# The menus that choices stand in; those of none stand beside one another.
# The choice that is drawn, not listed.
MAP = "map"
REFERRER, UTM, VERSIONS, ALONE = "Referrer", "UTM", "Versions", ""

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "pages",
            "Pages",
            "p",
            "pp",
            (
                Choice("top", "pages", "Top", "Path", "visited", count_heading="Views"),
                Choice("entry", "entryPages", "Entry", "Entry page", "entered", count_heading="Visits"),
                Choice("exit", "exitPages", "Exit", "Exit page", "left from", count_heading="Visits"),
            ),
            "No page was viewed in this timespan.",
            "Users who viewed each page, and its views. Entry and exit are the first and the last page of each visit.",
        ),
        Kind(
            "sources",
            "Sources",
            "s",
            "sp",
            (
                Choice("referrer", "referrer", "Referrer", "Referrer", "found", REFERRER),
                Choice("referrerUrl", "referrerUrl", "Referrer URL", "Referrer URL", "found", REFERRER),
                Choice("referrerType", "referrerType", "Referrer type", "Type", "found", REFERRER),
                Choice("utmCampaign", "utmCampaign", "Campaign", "Campaign", "found", UTM),
                Choice("utmContent", "utmContent", "Content", "Content", "found", UTM),
                Choice("utmMedium", "utmMedium", "Medium", "Medium", "found", UTM),
                Choice("utmSource", "utmSource", "Source", "Source", "found", UTM),
                Choice("utmTerm", "utmTerm", "Term", "Term", "found", UTM),
            ),
            "Nobody came from anywhere in this timespan.",
            "Users by where their visits came from. Who came from several sources counts in each of them.",
        ),
        Kind(
            "events",
            "Events",
            "e",
            "ep",
            (
                Choice("events", "events", "Events", "Name", "names", count_heading="Count", found_one="name"),
                Choice(
                    "properties",
                    "properties",
                    "Properties",
                    "Property",
                    "properties",
                    count_heading="Count",
                    found_one="property",
                ),
                Choice("values", "values", "Values", "Value", "values", count_heading="Count", found_one="value"),
            ),
            "No custom event in this timespan. Send one with trackEvent(name).",
            "Everything that is no page view: users who sent the event, and how often. Go into one for its properties.",
        ),
        Kind(
            "locations",
            "Locations",
            "cl",
            "lp",
            (
                Choice(MAP, "countries", "Map", "Country", "countries", found_one="country"),
                Choice("countries", "countries", "Countries", "Country", "countries", found_one="country"),
                Choice("cities", "cities", "Cities", "City", "cities", found_one="city"),
            ),
            "No visit in this timespan.",
            "Users by the place of their visits, which the address they came from suggests.",
        ),
        Kind(
            "clients",
            "Devices",
            "u",
            "up",
            (
                Choice("browsers", "browsers", "Browsers", "Browser", "browsers", ALONE, found_one="browser"),
                Choice("devices", "devices", "Devices", "Device", "kinds", ALONE, found_one="kind"),
                Choice("os", "os", "Systems", "Operating system", "systems", ALONE, found_one="system"),
                Choice(
                    "bv", "browserVersions", "Browser versions", "Version", "versions", VERSIONS, found_one="version"
                ),
                Choice("ov", "osVersions", "System versions", "Version", "versions", VERSIONS, found_one="version"),
            ),
            "No browser was seen in this timespan.",
            "Users by the browser, device or system with which they viewed pages.",
        ),
    )
}

# Choices whose rows are ordered by their count.
BY_COUNT = ("properties", "values")
UTM_FIELDS = {
    "utmCampaign": "campaign",
    "utmContent": "content",
    "utmMedium": "medium",
    "utmSource": "source",
    "utmTerm": "term",
}
DIRECT = "Direct / None"
# Longer addresses are shown, cut, and not linked.
LINK_LENGTH_MAX = 2048
UNKNOWN = "Unknown"
EMPTY = "(empty)"
REFERRER_TYPES = {
    "search": "Search",
    "email": "E-mail",
    "paid": "Paid",
    "social": "Social",
    "llm": "AI assistants",
    "direct": DIRECT,
    "unknown": "Other sites",
}
REFERRER_ICONS = {
    "search": "search",
    "email": "mail",
    "paid": "tag",
    "social": "share",
    "llm": "bolt",
    "direct": "link",
    "unknown": "globe",
}
EVENT_NAMES = {"$$outboundLink": "Outbound link"}
EVENT_ICONS = {"$$outboundLink": "external"}
DEVICE_ICONS = {"desktop": "desktop", "mobile": "phone", "tablet": "tablet"}


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
        label = row.key or "/"
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
    """The host where it is another than the project's own, and the page's address."""
    if not row.detail.startswith(("https://", "http://")):
        return "", ""
    host = row.detail.partition("://")[2]
    return ("" if host == domain else host), row.detail + row.key


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
