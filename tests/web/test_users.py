"""The pages of users: the list, a user, the jump by identifier, the file."""

import re
from html import unescape

import pytest

from tests.kit import visits
from tests.stats.history import know
from tests.web.conftest import Browser, Cast, Page, Site
from vemetric.clock import FrozenClock
from vemetric.database import identities
from vemetric.model import calendar
from vemetric.model.geo import Geo
from vemetric.stats import users as stats
from vemetric.web import user_values
from vemetric.web.pages import users

ERIN = "erin@example.net"
UTC = calendar.zone("UTC")


@pytest.fixture
async def alice(site: Site, cast: Cast, clock: FrozenClock) -> Browser:
    """Alice looks at the shop, where Erin, whom the site knows, and two strangers were."""
    services, noon_ms = site.services, clock.now_ms()
    for number, who in enumerate(
        (
            visits.sender(cast.shop, "203.0.113.1"),
            visits.sender(cast.shop, "203.0.113.2"),
            visits.sender(cast.shop, user_identifier=ERIN),
        )
    ):
        clock.set(noon_ms - 60_000 * (30 - 10 * number))
        await visits.event(services, cast.shop, path="/pricing", who=who, place=Geo("AT", "Vienna"))
        clock.set(clock.now_ms() + 42_000)
        await visits.event(
            services, cast.shop, "<b>Upgraded</b>", who=who, data={"plan": "gold", "at": "https://x.example"}
        )
        await visits.event(services, cast.shop, path=f"/thanks/{number}", who=who)
    clock.set(noon_ms)
    await visits.settle(services)
    return await site.browser_of(cast.alice)


def words(page: Page) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page.text)).split())


async def list_of(browser: Browser, cast: Cast, query: str = "") -> Page:
    page = await browser.get(f"/p/{cast.shop.id}/users{query}")
    assert page.status == 200, page.text
    return page


async def erin(site: Site, cast: Cast) -> str:
    async with site.services.database.connect() as connection:
        return f"/p/{cast.shop.id}/users/{await identities.by_identifier(connection, cast.shop.id, ERIN)}"


async def test_lists_the_users_of_the_timespan(alice: Browser, cast: Cast) -> None:
    page = await list_of(alice, cast)
    text = words(page)
    for wanted in ("3 users", ERIN, "Anonymous", "Austria", "9m ago"):
        assert wanted in text, wanted
    assert "Nobody did anything" in words(await list_of(alice, cast, "?t=custom&sd=2020-01-01"))


async def test_finds_users_and_leads_to_those_who_did_nothing(alice: Browser, site: Site, cast: Cast) -> None:
    assert "1 user " in words(await list_of(alice, cast, "?q=ERIN"))
    elsewhen = await list_of(alice, cast, f"?q={ERIN}&t=custom&sd=2020-01-01")
    assert f'href="{await erin(site, cast)}"' in elsewhen.text
    assert "fits “nobody else”" in words(await list_of(alice, cast, "?q=nobody else"))


async def test_pages_of_users_follow_one_another(alice: Browser, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stats.load_page, "__defaults__", (*stats.load_page.__defaults__[:-1], 2))
    first = await list_of(alice, cast, "?by=name")
    after = unescape(re.findall(r'href="([^"]*after=[^"]*)"', first.text)[0])
    second = await alice.get(after)
    links = [
        re.findall(rf'class="cover clip" href="(/p/{cast.shop.id}/users/\d+)"', one.text) for one in (first, second)
    ]
    assert [len(one) for one in links] == [2, 1]
    assert len({link for one in links for link in one}) == 3
    assert "First page" in second.text


@pytest.mark.parametrize(
    "query",
    [
        "?by=x&dir=y&after=z",
        "?after=0.1.x",
        "?after=9.1.1",
        "?after=0.99999999999999999999.1",
        # Orders that the API has and the page does not.
        "?by=country",
        "?by=identifier",
    ],
)
async def test_odd_addresses_are_answered(alice: Browser, cast: Cast, query: str) -> None:
    await list_of(alice, cast, query)


async def test_order_and_filters_stay_in_the_links(alice: Browser, cast: Cast) -> None:
    page = await list_of(alice, cast, "?by=event&ev=Never&q=erin&f=browser(browser:oneOf:Chrome)")
    assert "Never" in words(page)
    assert "f=browser(browser:oneOf:Chrome)" in unescape(page.text)
    assert "1 user " in words(page)


async def test_user_page_tells_who_it_is_and_what_was_done(alice: Browser, site: Site, cast: Cast) -> None:
    page = await alice.get(await erin(site, cast))
    text = words(page)
    for wanted in (ERIN, "Vienna, Austria", "/pricing", "42s", "plan gold", "Today", "Direct / None", "Activity"):
        assert wanted in text, wanted
    assert "<b>Upgraded</b>" not in page.text
    assert 'href="https://x.example" target="_blank" rel="noopener noreferrer"' in page.text
    day = unescape(re.findall(r'<a href="([^"]*date=[^"]*)"', page.text)[0])
    chosen = await alice.get(day)
    assert "/pricing" in words(chosen)
    empty = await alice.get(f"{await erin(site, cast)}?date=2020-01-01")
    assert "See all events" in empty.text
    filtered = await alice.get(f"{await erin(site, cast)}?f=page(path:is:/pricing)")
    assert "42s" in words(filtered)
    assert "/thanks/" not in words(filtered)


@pytest.mark.parametrize(("address", "is_link"), [("https://cdn.example/a.png", True), ("javascript:alert(1)", False)])
async def test_pictures_of_users_are_links_and_nothing_is_loaded(
    site: Site, cast: Cast, address: str, is_link: bool
) -> None:
    services = site.services
    await know(services.engine, cast.shop, 77, "dan", services.clock.now_ms(), displayName="Dan Ost", avatarUrl=address)
    page = await (await site.browser_of(cast.alice)).get(f"/p/{cast.shop.id}/users/77")
    assert page.status == 200
    assert (f'href="{address}"' in page.text) == is_link
    assert f'src="{address}"' not in page.text
    assert 'aria-hidden="true">DO</span>' in page.text


@pytest.mark.parametrize("odd", ["x", "0", "18446744073709551616", "99999999999999999999999", "-1", "%00", "7"])
async def test_a_user_who_does_not_exist_is_not_found(alice: Browser, cast: Cast, odd: str) -> None:
    assert (await alice.get(f"/p/{cast.shop.id}/users/{odd}")).status == 404


@pytest.mark.parametrize("query", ["?date=x", "?date=9999-12-31", "?before=x", "?before=1.é", "?f=x"])
async def test_odd_addresses_of_a_user_are_answered(alice: Browser, site: Site, cast: Cast, query: str) -> None:
    assert (await alice.get(await erin(site, cast) + query)).status == 200


async def test_jumps_by_identifier(alice: Browser, site: Site, cast: Cast) -> None:
    found = await alice.get(f"/p/{cast.shop.id}/user/{ERIN}")
    assert (found.status, found.location) == (303, await erin(site, cast))
    assert (await alice.get(f"/p/{cast.shop.id}/user/nobody")).status == 404
    assert (await alice.get(f"/p/{cast.shop.id}/user/{'x' * 1001}")).status == 404


async def test_the_file_has_the_users_of_the_page(alice: Browser, cast: Cast) -> None:
    file = await alice.get(f"/p/{cast.shop.id}/export/users.csv?q=erin")
    head, line = file.text.split()[0], file.text.splitlines()[1]
    assert head.startswith("Id,Name,Identifier")
    assert ERIN in line
    assert len((await alice.get(f"/p/{cast.shop.id}/export/users.csv")).text.splitlines()) == 4
    assert (await alice.get(f"/p/{cast.shop.id}/export/users.exe")).status == 404


async def test_rows_of_the_dashboard_lead_to_their_users(alice: Browser, cast: Cast) -> None:
    page = await alice.get(f"/p/{cast.shop.id}?t=7days")
    link = unescape(re.findall(r'href="([^"]*/users\?[^"]*thanks/1[^"]*)"', page.text)[0])
    assert "1 user " in words(await alice.get(link))


def test_state_is_its_address() -> None:
    for query in (
        {},
        {"by": "name"},
        {"by": "name", "dir": "desc"},
        {"dir": "asc", "q": "é"},
        {"by": "event", "ev": "x"},
    ):
        assert users.parameters(users.parse(query, 0, "UTC")) == query


def test_calendar_is_of_whole_weeks_from_a_monday() -> None:
    now_ms = 1_773_144_000_000
    edges = user_values.heat_edges(now_ms, UTC)
    heat = user_values.heat(edges, {edges[-2]: 3, edges[0]: 1}, UTC, "2026-03-10", lambda day: f"?{day}")
    assert calendar.local(edges[0], UTC).weekday() == 0
    assert len(heat.cells) == 7 * (user_values.WEEKS - 1) + 2
    assert (heat.cells[-1].shade, heat.cells[0].shade, heat.cells[1].shade) == (4, 2, 0)
    assert (heat.cells[-1].is_chosen, heat.cells[-1].link, heat.cells[1].link) == (True, "?", "")
    assert heat.cells[-1].label == "10 Mar 2026: 3 events"
