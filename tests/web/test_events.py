"""The page of events: the list, its pages, what is new, the file."""

import json
import re
from html import unescape

import pytest

from tests.kit import visits
from tests.web.conftest import Browser, Cast, Page, Site
from vemetric.accounts import event_icons
from vemetric.clock import FrozenClock
from vemetric.model.geo import Geo
from vemetric.stats import events as stats
from vemetric.web.pages import events

ERIN = "erin@example.net"
FRAGMENT = {"HX-Request": "true"}


@pytest.fixture
async def alice(site: Site, cast: Cast, clock: FrozenClock) -> Browser:
    """Alice looks at the shop, where Erin upgraded before and after midnight in Vienna and strangers signed up."""
    services, noon_ms = site.services, clock.now_ms()
    erin = visits.sender(cast.shop, user_identifier=ERIN)
    for hours, name, who in ((14, "Upgraded", erin), (3, "<b>Signup</b>", visits.sender(cast.shop)), (2, "Bye", erin)):
        clock.set(noon_ms - hours * 3_600_000)
        await visits.event(services, cast.shop, path="/pricing", who=who, place=Geo("AT", "Vienna"))
        data = {"plan": "gold", "at": "https://x.example/a"}
        await visits.event(services, cast.shop, name, who=who, data=data, place=Geo("AT", "Vienna"))
    clock.advance(1)
    await visits.event(services, cast.shop, "$$outboundLink", who=erin, data={"href": "https://y.example/"})
    clock.set(noon_ms)
    await visits.settle(services)
    return await site.browser_of(cast.alice)


def words(page: Page) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page.text)).split())


def names(page: Page) -> list[str]:
    return [unescape(name) for name in re.findall(r'class="feed__name"><b class="clip">([^<]*)</b>', page.text)]


async def list_of(browser: Browser, cast: Cast, query: str = "", headers: dict[str, str] | None = None) -> Page:
    page = await browser.get(f"/p/{cast.shop.id}/events{query}", headers)
    assert page.status == 200, page.text
    return page


async def test_lists_events_by_the_days_of_the_project(alice: Browser, cast: Cast, site: Site) -> None:
    await event_icons.put(site.services.database, cast.shop.id, "Upgraded", "🎉")
    page = await list_of(alice, cast)
    assert names(page) == ["Outbound link", "Bye", "<b>Signup</b>", "Upgraded"]
    assert re.findall(r'<h2 class="day" data-day="([-\d]+)">(\w+)', page.text) == [
        ("2026-03-10", "Today"),
        ("2026-03-09", "Yesterday"),
    ]
    text = words(page)
    # 22:00 UTC is 23:00 in Vienna.
    for wanted in ("23:00:00", ERIN, "Anonymous", "Vienna, Austria", "plan gold", "https://y.example/", "🎉"):
        assert wanted in text, wanted
    assert 'href="https://x.example/a" target="_blank" rel="noopener noreferrer"' in page.text
    assert "<b>Signup</b>" not in page.text
    assert "/settings/icons?event=Upgraded" in page.text


async def test_pages_follow_one_another_by_links_and_as_parts(
    alice: Browser, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stats.load_page, "__defaults__", (3,))
    first = await list_of(alice, cast)
    rest = unescape(re.findall(r'id="events-more" href="([^"]*)"', first.text)[0])
    second, part = await alice.get(rest), await alice.get(rest, FRAGMENT)
    assert names(first) + names(second) == ["Outbound link", "Bye", "<b>Signup</b>", "Upgraded"]
    assert ("Latest events" in second.text, "<html" in part.text, names(part)) == (True, False, ["Upgraded"])
    assert "data-events-live" in first.text
    assert "data-events-live" not in second.text
    # The day whose heading the page before has is not headed again.
    monkeypatch.setattr(stats.load_page, "__defaults__", (2,))
    first = await list_of(alice, cast)
    rest = unescape(re.findall(r'id="events-more" href="([^"]*)"', first.text)[0])
    assert re.findall(r'<h2 class="day" data-day="([-\d]+)"', (await alice.get(rest)).text) == ["2026-03-09"]


async def test_searches_and_filters(alice: Browser, cast: Cast) -> None:
    assert names(await list_of(alice, cast, "?q=UPGR")) == ["Upgraded"]
    assert names(await list_of(alice, cast, "?q=erin")) == ["Outbound link", "Bye", "Upgraded"]
    filtered = await list_of(alice, cast, "?f=or(event(name:is:Bye);user(anonymous))")
    assert names(filtered) == ["Bye", "<b>Signup</b>"]
    assert names(await list_of(alice, cast, "?f=page(path:is:/none)")) == names(await list_of(alice, cast))


async def test_places_are_those_of_the_visit_and_of_its_events_alike(alice: Browser, cast: Cast) -> None:
    """D30: users were picked by their visits, events by themselves, and the two did not agree."""
    query = "?f=location(country:oneOf:AT,city:oneOf:Vienna)"
    assert names(await list_of(alice, cast, query)) == ["Bye", "<b>Signup</b>", "Upgraded"]
    assert "2 users" in words(await alice.get(f"/p/{cast.shop.id}/users{query}"))
    other = query.replace("AT", "DE")
    assert names(await list_of(alice, cast, other)) == []
    assert "Nobody" in words(await alice.get(f"/p/{cast.shop.id}/users{other}"))


async def test_a_second_filter_is_another_way_to_fit(alice: Browser, cast: Cast) -> None:
    back = f"/p/{cast.shop.id}/events?f=event(name:is:Bye)"
    query = f"?back={back}&type=user&anonymous=yes"
    changed = await alice.get(f"/p/{cast.shop.id}/filter/apply{query}")
    assert "f=or(event(name:is:Bye);user(anonymous))" in unescape(changed.location)


async def test_says_what_to_do_where_there_is_nothing(alice: Browser, cast: Cast) -> None:
    assert "Nothing in this timespan fits “nobody”." in words(await list_of(alice, cast, "?q=nobody"))
    assert "Remove all filters" in words(await list_of(alice, cast, "?f=event(name:is:None)"))
    past = await list_of(alice, cast, "?t=custom&sd=2020-01-01")
    assert "How to send events" in words(past)
    assert "data-events-live" not in past.text


@pytest.mark.parametrize("query", ["?before=x", "?before=1.é", "?f=x", "?t=x", "?before=99999999999999999.a"])
async def test_odd_addresses_are_answered(alice: Browser, cast: Cast, query: str) -> None:
    assert len(names(await list_of(alice, cast, query))) in (0, 4)


async def test_the_file_has_the_events_of_the_page(alice: Browser, cast: Cast) -> None:
    path = f"/p/{cast.shop.id}/events/export"
    lines = (await alice.get(f"{path}.csv")).text.splitlines()
    assert lines[0].startswith("Time,Event,User id")
    assert [line.split(",")[1] for line in lines[1:]] == ["$$outboundLink", "Bye", "<b>Signup</b>", "Upgraded"]
    [bye] = json.loads((await alice.get(f"{path}.json?q=bye")).text)
    assert (bye["Time"], bye["Identifier"]) == ("2026-03-10T11:00:00.000+01:00", ERIN)
    assert bye["Properties"] == {"at": "https://x.example/a", "plan": "gold"}
    assert (await alice.get(f"{path}.exe")).status == 404


async def test_who_looks_at_the_same_list_is_answered_by_one_question(
    alice: Browser, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    load_page = stats.load_page

    async def counted(*arguments: object) -> stats.Page:
        asked.append(arguments)
        return await load_page(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(events.events, "load_page", counted)
    for _ in range(3):
        await list_of(alice, cast, headers=FRAGMENT)
    assert len(asked) == 1
    await list_of(alice, cast, "?q=bye", FRAGMENT)
    assert len(asked) == 2


@pytest.mark.parametrize("path", ["", "/users", "/events"])
async def test_whether_anything_came_is_known_and_not_looked_for(
    site: Site, cast: Cast, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """D21: every page looked through all events to find out whether there was one."""
    alice, asked = await site.browser_of(cast.alice), []

    async def noted(_: object, sql: str, parameters: object = None) -> list[list[object]]:
        asked.append(sql)
        return []

    monkeypatch.setattr(type(site.services.engine), "query", noted)
    page = await alice.get(f"/p/{cast.shop.id}{path}")
    assert (page.status, asked) == (200, [])
    assert cast.shop.token in page.text


def test_state_is_its_address() -> None:
    for query in ({}, {"q": "é"}, {"t": "7days", "f": "event(name:is:a)"}, {"before": "1773144000000.ab"}):
        assert events.parameters(events.parse(query, 1_773_144_000_000, "UTC")) == query
