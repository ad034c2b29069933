"""The dashboard's state, which is its URL: read from a query, and written back into the links of the page."""

from collections.abc import Mapping

import msgspec

from vemetric.model import filter_text, filters, timespan
from vemetric.model.filters import Group
from vemetric.model.timespan import Timespan
from vemetric.stats.cards import CARD_PAGE_MAX, SEARCH_CHARACTERS_MAX
from vemetric.stats.cards import Choice as Wanted
from vemetric.web import cards, filter_bar

# The series of the chart in the order of the tiles, and those that are shown unless the URL says otherwise.
SERIES = ("users", "pageViews", "bounceRate", "visitDuration", "visits", "viewsPerVisit", "events")
SERIES_SHOWN = ("users", "pageViews")
SERIES_PARAMETER = "ch"
CHART = "chart"
# Whose properties the events card shows, and which property's values.
EVENT_PARAMETER, PROPERTY_PARAMETER = "ev", "pr"
EVENTS = "events"
# Which funnel's steps the funnels card shows, and whether its rates are of all active users.
FUNNEL_PARAMETER, OF_ACTIVE_PARAMETER = "sf", "fu"
FUNNELS = "funnels"
FUNNEL_CHARACTERS_MAX = 36
NAME_CHARACTERS_MAX = 1000


class View(msgspec.Struct, frozen=True):
    """What is looked at. choices, pages, searches: by card; a card that is not in them shows its default.

    event, property: what the events card goes into; funnel: what the funnels card does, of_active: what it measures by.
    """

    timespan: Timespan
    series: tuple[str, ...] = SERIES_SHOWN
    choices: dict[str, str] = {}
    pages: dict[str, int] = {}
    searches: dict[str, str] = {}
    event: str = ""
    property: str = ""
    filters: Group = filters.NOTHING
    funnel: str = ""
    of_active: bool = False

    def wanted(self, kind: cards.Kind) -> Wanted:
        """What to ask stats/ for."""
        return Wanted(
            self.choice(kind).dimension,
            self.pages.get(kind.name, 1),
            self.event,
            self.property,
            self.searches.get(kind.name, ""),
        )

    def choice(self, kind: cards.Kind) -> cards.Choice:
        """How a card is broken down. The events card goes as deep as an event and a property are chosen."""
        if kind.name == EVENTS:
            return kind.choice("values" if self.event and self.property else "properties" if self.event else EVENTS)
        return kind.choice(self.choices.get(kind.name, ""))


def parse(query: Mapping[str, str], now_ms: int, time_zone: str) -> View:
    """The state of a URL's query. Never fails: what makes no sense falls back to the default."""
    asked = query.get(SERIES_PARAMETER, "").split(",")
    choices = {kind.name: query[kind.parameter] for kind in cards.KINDS.values() if query.get(kind.parameter)}
    return View(
        timespan=timespan.parse(query, now_ms, time_zone),
        series=tuple(key for key in SERIES if key in asked) or SERIES_SHOWN,
        choices={name: value for name, value in choices.items() if _exists(name, value)},
        pages={
            kind.name: page for kind in cards.KINDS.values() if (page := _page(query.get(kind.page_parameter, ""))) > 1
        },
        searches={
            kind.name: search[:SEARCH_CHARACTERS_MAX]
            for kind in cards.KINDS.values()
            if (search := query.get(kind.search_parameter, "").strip())
        },
        event=query.get(EVENT_PARAMETER, "")[:NAME_CHARACTERS_MAX],
        property=query.get(PROPERTY_PARAMETER, "")[:NAME_CHARACTERS_MAX],
        filters=filter_bar.read(query),
        funnel=query.get(FUNNEL_PARAMETER, "")[:FUNNEL_CHARACTERS_MAX],
        of_active=query.get(OF_ACTIVE_PARAMETER) == "1",
    )


def parameters(view: View) -> dict[str, str]:
    """The query that leads back to a state; what is as by default is left out."""
    values = timespan.url_values(view.timespan)
    if view.series != SERIES_SHOWN:
        values[SERIES_PARAMETER] = ",".join(view.series)
    for kind in cards.KINDS.values():
        if view.choices.get(kind.name, kind.choices[0].value) != kind.choices[0].value:
            values[kind.parameter] = view.choices[kind.name]
        if view.pages.get(kind.name, 1) > 1:
            values[kind.page_parameter] = str(view.pages[kind.name])
        if search := view.searches.get(kind.name):
            values[kind.search_parameter] = search
    if view.event:
        values[EVENT_PARAMETER] = view.event
        if view.property:
            values[PROPERTY_PARAMETER] = view.property
    if view.funnel:
        values[FUNNEL_PARAMETER] = view.funnel
    if view.of_active:
        values[OF_ACTIVE_PARAMETER] = "1"
    if written := filter_text.write(view.filters):
        values[filter_bar.PARAMETER] = written
    return values


def own_parameters(panel: str) -> tuple[str, ...]:
    """The parameters that belong to one panel; a fragment of it sets them all, and no other."""
    if panel == CHART:
        return (SERIES_PARAMETER,)
    if panel == FUNNELS:
        return (FUNNEL_PARAMETER, OF_ACTIVE_PARAMETER)
    deeper = (EVENT_PARAMETER, PROPERTY_PARAMETER) if panel == EVENTS else ()
    return cards.KINDS[panel].parameters + deeper


def url(path: str, view: View) -> str:
    """The address of a state."""
    return with_query(path, parameters(view))


def with_query(path: str, values: Mapping[str, str]) -> str:
    """A path with a query, if there is anything to say."""
    return filter_bar.address(path, values)


def is_sayable(name: str) -> bool:
    """Whether an address can name an event or a property: it is not cut off, and has no NUL."""
    return len(name) <= NAME_CHARACTERS_MAX and "\0" not in name


def with_timespan(view: View, chosen: Timespan) -> View:
    """The same for another timespan; every card begins at its first page."""
    return msgspec.structs.replace(view, timespan=chosen, pages={})


def with_choice(view: View, card: str, value: str) -> View:
    return msgspec.structs.replace(view, choices={**view.choices, card: value}, pages={**view.pages, card: 1})


def with_page(view: View, card: str, page: int) -> View:
    return msgspec.structs.replace(view, pages={**view.pages, card: page})


def with_filters(view: View, group: Group) -> View:
    """The same for other filters; every card begins at its first page."""
    return msgspec.structs.replace(view, filters=group, pages={})


def with_search(view: View, card: str, search: str) -> View:
    searches = {**view.searches, card: search} if search else {k: v for k, v in view.searches.items() if k != card}
    return msgspec.structs.replace(view, searches=searches, pages={**view.pages, card: 1})


def into(view: View, event: str, property_: str = "") -> View:
    """The events card one step deeper, or back."""
    deeper = msgspec.structs.replace(view, event=event, property=property_)
    return with_search(deeper, EVENTS, "")


def toggled(view: View, key: str) -> View:
    """With a series shown or hidden; the last one stays."""
    left = [name for name in SERIES if (name in view.series) != (name == key)]
    return msgspec.structs.replace(view, series=tuple(left)) if left else view


def merged(panel: str, page_query: Mapping[str, str], asked: Mapping[str, str]) -> dict[str, str]:
    """The query of a page after one of its panels was asked for: the panel's own parameters are those asked.

    Whatever else is asked was so when the panel was drawn; since then other panels may have changed it.
    """
    own = own_parameters(panel)
    kept = {name: value for name, value in page_query.items() if name not in own}
    return kept | {name: value for name, value in asked.items() if name in own}


def _exists(card: str, value: str) -> bool:
    return cards.KINDS[card].choice(value).value == value


def _page(text: str) -> int:
    is_number = text.isascii() and text.isdigit() and len(text) < 10
    return min(int(text), CARD_PAGE_MAX) if is_number else 1
