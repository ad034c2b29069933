"""Rows as they are drawn."""

import pytest

from vemetric.model import filter_text, filters
from vemetric.model.dashboard import Card, Row
from vemetric.model.project import Project
from vemetric.model.timespan import Timespan
from vemetric.stats import dimensions
from vemetric.web import card_rows, cards, dashboard_values
from vemetric.web.card_rows import Line
from vemetric.web.view import View


def line(card: str, choice: str, row: Row, users_max: int = 10) -> Line:
    kind = cards.KINDS[card]
    drawn = card_rows.lines(kind, kind.choice(choice), Card([row], 1, 1, users_max), "example.com")
    return drawn[0]


def test_every_choice_can_be_counted_and_every_countable_choice_is_offered() -> None:
    offered = {kind.name: {choice.dimension for choice in kind.choices} for kind in cards.KINDS.values()}
    assert offered == {card: set(choices) for card, choices in dimensions.CARDS.items()}


def test_the_default_is_the_same_here_and_where_it_is_counted() -> None:
    for kind in cards.KINDS.values():
        assert dimensions.find(kind.name)[0] == kind.choices[0].dimension


def test_page_of_the_project_and_of_another_host() -> None:
    own = line("pages", "top", Row("/pricing", 5, 9, "https://example.com"))
    assert (own.label, own.badge, own.link, own.width) == ("/pricing", "", "https://example.com/pricing", "50%")
    other = line("pages", "top", Row("", 5, 9, "https://docs.example.com"))
    assert (other.label, other.badge, other.link) == ("/", "docs", "https://docs.example.com")
    foreign = line("pages", "top", Row("/%C3%BCber", 5, 9, "https://example.com"))
    assert (foreign.label, foreign.link) == ("/\u00fcber", "https://example.com/%C3%BCber")
    strange = line("pages", "top", Row("/", 5, 9, "https://notexample.com"))
    assert strange.badge == "notexample.com"
    assert line("pages", "top", Row("/x", 5, 9, "javascript:alert(1)//")).link == ""


@pytest.mark.parametrize(
    ("choice", "row", "label", "mark"),
    [
        ("referrer", Row("", 1), "Direct / None", "icon:link"),
        ("referrer", Row("Google", 1, None, "https://www.google.com/"), "Google", "letter:G"),
        ("referrerUrl", Row("https://www.reddit.com/r/x", 1), "https://www.reddit.com/r/x", "letter:R"),
        ("referrerType", Row("llm", 1), "AI assistants", "icon:bolt"),
        ("referrerType", Row("direct", 1), "Direct / None", "icon:link"),
        ("utmSource", Row("newsletter", 1), "newsletter", "icon:tag"),
    ],
)
def test_source(choice: str, row: Row, label: str, mark: str) -> None:
    drawn = line("sources", choice, row)
    assert (drawn.label, drawn.mark) == (label, mark)


def test_only_web_addresses_of_referrers_are_links() -> None:
    assert line("sources", "referrer", Row("x", 1, None, "https://x.test/")).link == "https://x.test/"
    assert line("sources", "referrer", Row("x", 1, None, "javascript:alert(1)")).link == ""


@pytest.mark.parametrize(
    ("card", "choice", "row", "label", "mark"),
    [
        ("locations", "countries", Row("DE", 1), "Germany", "flag:DE"),
        ("locations", "countries", Row("", 1), "Unknown", "icon:globe"),
        ("locations", "cities", Row("Berlin", 1, None, "DE"), "Berlin (Germany)", "flag:DE"),
        ("locations", "cities", Row("", 1), "Unknown", "icon:globe"),
        ("clients", "browsers", Row("Firefox", 1), "Firefox", "letter:F"),
        ("clients", "devices", Row("mobile", 1), "Mobile", "icon:phone"),
        ("clients", "devices", Row("console", 1), "Console", "icon:devices"),
        ("events", "events", Row("$$outboundLink", 1, 1), "Outbound link", "icon:external"),
        ("events", "events", Row("Signup", 1, 1), "Signup", "icon:bolt"),
    ],
)
def test_label_and_mark(card: str, choice: str, row: Row, label: str, mark: str) -> None:
    drawn = line(card, choice, row)
    assert (drawn.label, drawn.mark) == (label, mark)


@pytest.mark.parametrize(("users", "users_max", "width"), [(10, 10, "100%"), (1, 3, "33.33%"), (1, 10**6, "1.5%")])
def test_bars_are_relative_to_the_longest_and_never_invisible(users: int, users_max: int, width: str) -> None:
    assert line("events", "events", Row("x", users, 1), users_max).width == width


@pytest.mark.parametrize("key", ["/" + "x" * 1000, "/a\0b"])
def test_rows_that_no_address_can_say_have_no_links(key: str) -> None:
    """They led to everybody instead, or nowhere."""
    project = Project(7, "acme", "Shop", "example.com", "the-token")
    rows = [Row(key, 1, 1, "https://example.com"), Row("/a", 1, 1, "https://example.com")]
    for card, links in (("pages", "users_links"), ("pages", "filter_links"), ("events", "deeper_links")):
        shown = dashboard_values.card(project, "/p/7", View(Timespan()), cards.KINDS[card], Card(rows, 2, 1, 1))
        assert [link is None for link in shown[links]] == [True, False]


def test_users_of_a_row_are_those_whom_the_filters_pick_too() -> None:
    """The link dropped the filters of the page, so that the list had more users than the row said."""
    project = Project(7, "acme", "Shop", "example.com", "the-token")
    for text, written in (
        ("user(anonymous)", "user(anonymous);event(name:is:Signup)"),
        ("or(user(anonymous);os(os:oneOf:Linux))", "or(user(anonymous);os(os:oneOf:Linux));event(name:is:Signup)"),
    ):
        state = View(Timespan("7days"), filters=filter_text.read(text) or filters.NOTHING)
        card = Card([Row("Signup", 1, 1)], 1, 1, 1)
        shown = dashboard_values.card(project, "/p/7", state, cards.KINDS["events"], card)
        assert shown["users_links"] == [f"/p/7/users?t=7days&f={written}"]
