"""The dashboard's page and its panels, over real data."""

import dataclasses
import re
from collections.abc import Mapping
from html import unescape
from typing import Any

import pytest
from pytest_aiohttp import AiohttpClient

from tests.kit import visits
from tests.web.conftest import Browser, Cast, Page, Site
from vemetric import errors
from vemetric.clickhouse.engine import Engine
from vemetric.clock import FrozenClock
from vemetric.model.dashboard import Card
from vemetric.model.geo import Geo
from vemetric.web import app, dashboard_values

PANELS = ("chart", "pages", "sources", "events", "locations", "clients")


@pytest.fixture
async def alice(site: Site, cast: Cast, clock: FrozenClock) -> Browser:
    """Alice looks at the shop, which nine people visited this hour."""
    noon_ms = clock.now_ms()
    for number in range(9):
        clock.set(noon_ms - 60_000 * (10 - number))
        who = visits.sender(cast.shop, f"203.0.113.{number}")
        await visits.event(site.services, cast.shop, path=f"/page-{number}", who=who, place=Geo("DE", "Berlin"))
        await visits.event(site.services, cast.shop, "<b>Signup</b>", who=who)
    clock.set(noon_ms)
    await visits.settle(site.services)
    return await site.browser_of(cast.alice)


def path(cast: Cast, rest: str = "") -> str:
    return f"/p/{cast.shop.id}{rest}"


def words(page: Page) -> str:
    """The page's text, tags removed."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page.text)).split())


async def test_page_shows_tiles_chart_and_cards(alice: Browser, cast: Cast) -> None:
    page = await alice.get(path(cast))
    assert page.status == 200
    text = words(page)
    for wanted in ("3 online", "/page-0", "Direct / None", "Germany", "Chrome", "1 – 7 of 9", "Last 24 hours"):
        assert wanted in text, wanted
    assert text.count("could not be counted") == 0
    assert all(f'id="panel-{panel}"' in page.text for panel in PANELS)


async def test_what_sites_send_is_text(alice: Browser, cast: Cast) -> None:
    page = await alice.get(path(cast))
    assert "<b>Signup</b>" not in page.text
    assert "&lt;b&gt;Signup&lt;/b&gt;" in page.text


async def test_a_part_is_the_same_alone_and_in_its_page(alice: Browser, cast: Cast) -> None:
    whole = (await alice.get(path(cast, "?pp=2&u=devices"))).text
    for panel in PANELS:
        part = await alice.get(path(cast, f"/panels/{panel}?pp=2&u=devices"))
        assert part.status == 200
        section = part.text[part.text.index("<section") : part.text.index("</section>")]
        assert section in whole, panel


async def test_a_part_keeps_the_state_of_its_page_and_tells_the_new_address(alice: Browser, cast: Cast) -> None:
    address = f"https://stats.example.com{path(cast)}?t=7days&u=os&pp=2&sp=2"
    part = await alice.get(path(cast, "/panels/sources?s=utmTerm"), {"HX-Request": "true", "HX-Current-URL": address})
    assert part.headers["HX-Push-Url"] == path(cast, "?t=7days&pp=2&s=utmTerm&u=os")
    assert "Term" in words(part)
    chart = await alice.get(path(cast, "/panels/chart?ch=users"), {"HX-Request": "true", "HX-Current-URL": address})
    assert chart.headers["HX-Push-Url"] == path(cast, "?t=7days&ch=users&pp=2&sp=2&u=os")
    assert 'id="in-chart"' in chart.text


@pytest.mark.parametrize("query", ["", "?t=live", "?t=1hr", "?t=7days", "?t=30days", "?t=3months", "?t=1year"])
async def test_every_timespan(alice: Browser, cast: Cast, query: str) -> None:
    page = await alice.get(path(cast, query))
    assert page.status == 200
    assert "data-chart" in page.text
    assert ("data-refresh=" in page.text) == (query == "?t=live")


async def test_custom_range(alice: Browser, cast: Cast) -> None:
    page = await alice.get(path(cast, "?t=custom&sd=2026-03-09&ed=2026-03-10"))
    assert "Mar 9 - 10" in words(page)
    nothing = await alice.get(path(cast, "?t=custom&sd=2020-01-01"))
    assert "Nothing happened in this timespan" in words(nothing)
    assert "No page was viewed in this timespan." in words(nothing)


async def test_days_are_those_of_the_project(alice: Browser, cast: Cast) -> None:
    assert "Europe/Vienna, 13:00" in words(await alice.get(path(cast)))


@pytest.mark.parametrize("query", ["?sp=999", "?ch=%F0%9F%92%A9", "?t=custom&sd=x&ed=y", "?" + "a=b&" * 500])
async def test_odd_addresses_are_answered(alice: Browser, cast: Cast, query: str) -> None:
    assert (await alice.get(path(cast, query))).status == 200


async def test_unknown_parts_do_not_exist(alice: Browser, cast: Cast) -> None:
    assert (await alice.get(path(cast, "/panels/nonsense"))).status == 404


class BusyWithCards:
    """A store that has no time for cards."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[list[Any]]:
        if "offset" in (parameters or {}):
            raise errors.StoreBusy
        return await self._engine.query(sql, parameters)


async def test_a_store_that_is_busy_leaves_the_frame_and_a_way_to_try_again(
    site: Site, alice: Browser, cast: Cast, aiohttp_client: AiohttpClient
) -> None:
    busy: Any = BusyWithCards(site.services.engine)
    client = await aiohttp_client(app.make_app(dataclasses.replace(site.services, engine=busy)))
    async with client.get(path(cast), cookies=alice.cookies) as response:
        page = Page(response.status, response.headers, await response.text())
    assert page.status == 200
    assert words(page).count("This card could not be counted") == len(PANELS) - 1
    assert "data-chart" in page.text
    async with client.get(path(cast, "/panels/pages"), cookies=alice.cookies) as response:
        assert "Try again" in await response.text()


@pytest.mark.parametrize(
    ("rows", "page", "numbers"),
    [
        (0, 1, [1]),
        (7, 1, [1]),
        (8, 2, [1, 2]),
        (84, 1, [1, 2, 3, 4, None, 12]),
        (84, 6, [1, None, 5, 6, 7, None, 12]),
        (84, 12, [1, None, 9, 10, 11, 12]),
    ],
)
def test_paging(rows: int, page: int, numbers: list[int | None]) -> None:
    assert dashboard_values.paging(Card([], rows, page, 0)) == numbers
