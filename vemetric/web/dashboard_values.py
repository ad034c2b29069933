"""What the templates of the dashboard's panels are filled with: figures drawn, links made of the state."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

from vemetric.model import filter_text, filter_tree, filters, timespan
from vemetric.model.dashboard import Card, Dashboard
from vemetric.model.project import Project
from vemetric.model.timespan import PRESETS, Timespan
from vemetric.stats.cards import CARD_ROWS
from vemetric.web import card_rows, cards, filter_bar, view, world
from vemetric.web import chart as drawn
from vemetric.web.view import View

NO_ICONS: Mapping[str, str] = MappingProxyType({})


def chart(
    project: Project,
    path: str,
    state: View,
    loaded: Dashboard | None,
    *,
    is_late: bool = False,
    is_public: bool = False,
) -> dict[str, Any]:
    """For tiles and chart. loaded: None where nothing was counted, in time (is_late) or at all."""
    preset = PRESETS.get(state.timespan.key)
    return {
        "project": project,
        "path": path,
        "state": state,
        "dashboard": loaded,
        "is_late": is_late,
        "chart": None if loaded is None else drawn.draw(loaded, state.series, state.timespan),
        "labels": drawn.LABELS,
        "meanings": drawn.MEANINGS,
        "colours": drawn.COLOURS,
        "series_urls": {key: view.url(path, view.toggled(state, key)) for key in view.SERIES},
        "series_fragments": {key: fragment_url(path, view.CHART, view.toggled(state, key)) for key in view.SERIES},
        "here": view.url(path, state),
        "state_query": urlencode(view.parameters(state)),
        "chart_fragment": whole_fragment_url(path, view.CHART, state),
        "in_chart": in_chart(path, state),
        "live_url": view.url(path, view.with_timespan(state, Timespan("live"))),
        "wider_url": view.url(path, view.with_timespan(state, Timespan("30days"))),
        "unfiltered_url": view.url(path, view.with_filters(state, filters.NOTHING)),
        "exports": None if is_public else exports(path, view.CHART, state),
        "is_public": is_public,
        "refresh_seconds": preset.refresh_seconds if preset is not None else None,
    }


def card(
    project: Project,
    path: str,
    state: View,
    kind: cards.Kind,
    loaded: Card | None,
    *,
    is_late: bool = False,
    icons: Mapping[str, str] = NO_ICONS,
    is_public: bool = False,
) -> dict[str, Any]:
    """For a card. loaded: as in `chart`. icons: emoji by the names of events."""
    choice = state.choice(kind)
    lines = [] if loaded is None else card_rows.lines(kind, choice, loaded, project.domain, _deeper(state))
    if choice.dimension == "events":
        lines = [line._replace(mark=f"emoji:{icons[line.key]}") if line.key in icons else line for line in lines]

    def link(changed: View) -> dict[str, str]:
        return {"page": view.url(path, changed), "fragment": fragment_url(path, kind.name, changed)}

    return {
        "kind": kind,
        "choice": choice,
        "rows": loaded,
        "is_late": is_late,
        "lines": lines,
        "first": 0 if loaded is None else (loaded.page - 1) * CARD_ROWS + 1,
        "choice_links": {one.value: link(view.with_choice(state, kind.name, one.value)) for one in kind.choices},
        "pages": [] if loaded is None else paging(loaded),
        "page_links": lambda number: link(view.with_page(state, kind.name, number)),
        "search": state.searches.get(kind.name, ""),
        "search_kept": view.parameters(view.with_search(state, kind.name, "")),
        "search_clear": link(view.with_search(state, kind.name, "")),
        "filter_links": [_filter_link(path, state, line) for line in lines],
        "users_links": [None if is_public else _users_link(path, state, line) for line in lines],
        "deeper_links": [None if is_public else _deeper_link(state, choice, line, link) for line in lines],
        "trail": _trail(kind, state, link),
        "here": link(state),
        "state_query": urlencode(view.parameters(state)),
        "whole": whole_fragment_url(path, kind.name, state),
        "path": path,
        "exports": None if is_public else exports(path, kind.name, state),
        "in_chart": in_chart(path, state),
        **world.values(path, state, choice, loaded),
    }


def exports(path: str, panel: str, state: View) -> dict[str, str]:
    """Where a panel's figures are as files, by format."""
    values = view.parameters(state)
    return {kind: view.with_query(f"{path}/export/{panel}.{kind}", values) for kind in ("csv", "json")}


def in_chart(path: str, state: View) -> dict[str, Any]:
    """The button of the events card that shows them in the chart."""
    changed = view.toggled(state, "events")
    return {
        "is_on": "events" in state.series,
        "page": view.url(path, changed),
        "fragment": fragment_url(path, view.CHART, changed),
    }


def fragment_url(path: str, panel: str, state: View) -> str:
    """The address of a panel in a state: its own parameters only, the rest is that of the page it stands in."""
    own = view.own_parameters(panel)
    wanted = {name: value for name, value in view.parameters(state).items() if name in own}
    return view.with_query(f"{path}/panels/{panel}", wanted)


def whole_fragment_url(path: str, panel: str, state: View) -> str:
    """The address of a panel that says its whole state."""
    return view.with_query(f"{path}/panels/{panel}", view.parameters(state))


def paging(card: Card) -> list[int | None]:
    """The numbers below a card: the first, the last, those around the current one, None for a gap."""
    last = max(1, -(-card.total_rows // CARD_ROWS))
    near = {1, last, *range(card.page - 1, card.page + 2)}
    if card.page <= 3:
        near |= {2, 3, 4}
    if card.page >= last - 2:
        near |= {last - 3, last - 2, last - 1}
    numbers: list[int | None] = []
    for number in sorted(number for number in near if 1 <= number <= last):
        if numbers and number - (numbers[-1] or number) > 1:
            numbers.append(None)
        numbers.append(number)
    return numbers


def _deeper(state: View) -> card_rows.Deeper:
    return card_rows.Deeper(state.event, state.property)


def _filter_link(path: str, state: View, line: card_rows.Line) -> dict[str, Any] | None:
    """The button of a row that sets its filter, or takes it away. None where no address can say it."""
    if line.filter is None:
        return None
    group = filter_tree.toggled(state.filters, line.filter)
    if not filter_text.is_writable(group):
        return None
    return {"is_on": line.filter in state.filters.filters, "page": view.url(path, view.with_filters(state, group))}


def _users_link(path: str, state: View, line: card_rows.Line) -> str | None:
    """Where the users are whom a row counts, of those whom the filters pick."""
    if line.filter is None:
        return None
    group = filter_tree.narrowed(state.filters, line.filter)
    if not filter_text.is_writable(group):
        return None
    values = timespan.url_values(state.timespan) | {filter_bar.PARAMETER: filter_text.write(group)}
    return view.with_query(f"{path}/users", values)


def _deeper_link(state: View, choice: cards.Choice, line: card_rows.Line, link: Any) -> dict[str, str] | None:
    """From an event to its properties, from a property to its values. None for a name that no address can say."""
    if not view.is_sayable(line.key):
        return None
    if choice.dimension == "events":
        return dict(link(view.into(state, line.key)))
    if choice.dimension == "properties":
        return dict(link(view.into(state, state.event, line.key)))
    return None


def _trail(kind: cards.Kind, state: View, link: Any) -> list[tuple[str, dict[str, str] | None]]:
    """The way back from properties and values; None for where one is."""
    if kind.name != view.EVENTS or not state.event:
        return []
    name = cards.EVENT_NAMES.get(state.event, state.event)
    steps = [("Events", link(view.into(state, "")))]
    if not state.property:
        return [*steps, (name, None)]
    return [*steps, (name, link(view.into(state, state.event))), (state.property, None)]
