"""The cards of the dashboard as a table: their choices, columns and words. Rows come from stats/dashboard.py."""

from typing import NamedTuple

from vemetric.enrich import countries
from vemetric.model import text
from vemetric.model.dashboard import Card, Row


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
    """A card. parameter: of the URL, '' for a card without a choice; the first choice is the default."""

    name: str
    title: str
    parameter: str
    page_parameter: str
    choices: tuple[Choice, ...]
    nothing: str

    def choice(self, value: str) -> Choice:
        """The choice of a URL's value; the default for one that does not exist."""
        return next((choice for choice in self.choices if choice.value == value), self.choices[0])

    @property
    def parameters(self) -> tuple[str, ...]:
        """The URL parameters that are this card's own."""
        return (self.parameter, self.page_parameter) if self.parameter else (self.page_parameter,)

    @property
    def groups(self) -> dict[str, list[Choice]]:
        """The choices by group, in order; one group called '' where there are none."""
        groups: dict[str, list[Choice]] = {}
        for choice in self.choices:
            groups.setdefault(choice.group, []).append(choice)
        return groups


REFERRER, UTM, NAMES, VERSIONS = "Referrer", "UTM", "Clients", "Versions"

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
        ),
        Kind(
            "locations",
            "Locations",
            "cl",
            "lp",
            (
                Choice("countries", "countries", "Countries", "Country", "countries", found_one="country"),
                Choice("cities", "cities", "Cities", "City", "cities", found_one="city"),
            ),
            "No visit in this timespan.",
        ),
        Kind(
            "clients",
            "Devices",
            "u",
            "up",
            (
                Choice("browsers", "browsers", "Browsers", "Browser", "browsers", NAMES, found_one="browser"),
                Choice("devices", "devices", "Devices", "Device", "kinds", NAMES, found_one="kind"),
                Choice("os", "os", "Systems", "Operating system", "systems", NAMES, found_one="system"),
                Choice(
                    "bv", "browserVersions", "Browser versions", "Version", "versions", VERSIONS, found_one="version"
                ),
                Choice("ov", "osVersions", "System versions", "Version", "versions", VERSIONS, found_one="version"),
            ),
            "No browser was seen in this timespan.",
        ),
    )
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
    """A row as it is drawn. mark: what stands before the label, as `icon:name`, `flag:de` or `letter:G`."""

    label: str
    mark: str
    badge: str
    link: str
    width: str
    users: int
    counted: int | None


def lines(kind: Kind, choice: Choice, card: Card, domain: str) -> list[Line]:
    """A card's rows as they are drawn."""
    return [_line(kind, choice, row, card.measure_max, domain) for row in card.rows]


def _line(kind: Kind, choice: Choice, row: Row, measure_max: int, domain: str) -> Line:
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
    width = f"{max(row.users / measure_max * 100, 1.5):.4g}%" if measure_max else "0%"
    if len(link) > LINK_LENGTH_MAX:
        link = ""
    return Line(text.shown(label), mark, text.shown(badge), link, width, row.users, row.count)


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
