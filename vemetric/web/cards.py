"""The cards of the dashboard as a table: their choices, columns and words. Their rows: card_rows.py."""

from typing import NamedTuple


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
