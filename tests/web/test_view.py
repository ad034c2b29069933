"""The URL is the state: read, written, changed."""

from datetime import date

import pytest

from vemetric.model.timespan import Timespan
from vemetric.web import cards, view
from vemetric.web.view import View

NOON_MS = 1_773_144_000_000
EVERYTHING = {
    "t": "custom",
    "sd": "2026-03-01",
    "ed": "2026-03-04",
    "ch": "pageViews,events",
    "p": "entry",
    "s": "utmSource",
    "sp": "3",
    "cl": "cities",
    "u": "os",
    "up": "2",
    "sf": "a-funnel",
    "fu": "1",
}


def parse(query: dict[str, str]) -> View:
    return view.parse(query, NOON_MS, "Europe/Vienna")


def test_everything_comes_back() -> None:
    state = parse(EVERYTHING)
    assert view.parameters(state) == EVERYTHING
    assert state.timespan == Timespan("custom", date(2026, 3, 1), date(2026, 3, 4))
    assert view.url("/p/1", state).startswith("/p/1?t=custom&sd=2026-03-01&ed=2026-03-04&ch=pageViews,events&")


def test_the_default_is_not_written() -> None:
    assert view.url("/p/1", parse({})) == "/p/1"
    assert parse({"t": "24hrs", "ch": "users,pageViews", "s": "referrer", "sp": "1", "u": "browsers"}) == View(
        Timespan(), choices={"sources": "referrer", "clients": "browsers"}
    )


@pytest.mark.parametrize(
    "query",
    [
        {"ch": ""},
        {"ch": "nothing,<script>"},
        {"s": "nonsense"},
        {"u": "\x00"},
        {"sp": "-1"},
        {"sp": "١"},
        {"sp": "9" * 400},
        {"t": "custom", "sd": "2026/03/01"},
        {"t": "custom", "sd": "2026-13-01"},
    ],
)
def test_nonsense_is_the_default(query: dict[str, str]) -> None:
    assert parse(query) == View(Timespan())


def test_series_keep_the_order_of_the_tiles_and_the_last_one_stays() -> None:
    state = parse({"ch": "events,users"})
    assert state.series == ("users", "events")
    only = view.toggled(state, "users")
    assert only.series == ("events",)
    assert view.toggled(only, "events") == only
    assert view.toggled(only, "bounceRate").series == ("bounceRate", "events")


def test_another_choice_begins_at_the_first_page_and_another_timespan_everywhere() -> None:
    state = parse({"sp": "3", "up": "2"})
    assert view.parameters(view.with_choice(state, "sources", "utmTerm")) == {"s": "utmTerm", "up": "2"}
    assert view.parameters(view.with_timespan(state, Timespan("live"))) == {"t": "live"}
    assert view.parameters(view.with_page(state, "clients", 1)) == {"sp": "3"}


def test_a_panel_sets_its_own_parameters_and_keeps_those_of_its_page() -> None:
    page = {"t": "7days", "s": "utmTerm", "sp": "4", "u": "os"}
    assert view.merged("sources", page, {"s": "referrerUrl"}) == {"t": "7days", "s": "referrerUrl", "u": "os"}
    assert view.merged("sources", page, {}) == {"t": "7days", "u": "os"}
    assert view.merged("chart", {"ch": "users", **page}, {}) == page


def test_no_two_panels_share_a_parameter() -> None:
    parameters = ["t", "sd", "ed", view.SERIES_PARAMETER]
    parameters += [name for kind in cards.KINDS.values() for name in kind.parameters]
    assert len(parameters) == len(set(parameters))
