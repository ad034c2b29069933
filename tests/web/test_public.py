"""The public dashboard: who sees it, what it keeps to itself, and how little it may cost."""

import asyncio

import pytest

from tests.kit import visits
from tests.web.conftest import Browser, Cast, Site
from vemetric import errors
from vemetric.accounts import project_settings
from vemetric.clock import FrozenClock
from vemetric.model import filter_text
from vemetric.model.geo import Geo
from vemetric.model.timespan import Timespan
from vemetric.web import showcase
from vemetric.web.pages import public
from vemetric.web.showcase import Showcase
from vemetric.web.view import View

PATH = "/public/shop.example.com"
SECRET = "gold-4711"
IDENTIFIER = "erin@example.net"


@pytest.fixture
async def shown(site: Site, cast: Cast, clock: FrozenClock) -> Site:
    """The shop is public, and was visited by somebody whose name and plan nobody shall learn."""
    services, noon_ms = site.services, clock.now_ms()
    clock.set(noon_ms - 120_000)
    who = visits.sender(cast.shop, user_identifier=IDENTIFIER)
    await visits.event(services, cast.shop, path="/pricing", who=who, place=Geo("AT", "Vienna"))
    await visits.event(services, cast.shop, "Upgraded", who=who, data={"plan": SECRET})
    clock.set(noon_ms)
    await visits.settle(services)
    await project_settings.publish(services.database, services.clock, cast.shop.id, is_public=True)
    return site


@pytest.fixture
def anybody(shown: Site) -> Browser:
    return shown.browser()


async def test_everybody_sees_the_dashboard(anybody: Browser) -> None:
    page = await anybody.get(PATH)
    assert page.status == 200
    for wanted in ("/pricing", "Austria", "Upgraded", 'id="panel-chart"', "Last 24 hours"):
        assert wanted in page.text, wanted
    assert (await anybody.get("/public/WWW.Shop.Example.com")).status == 200


async def test_unknown_and_private_domains_answer_alike(anybody: Browser, cast: Cast, shown: Site) -> None:
    unknown = await anybody.get("/public/nowhere.example.com")
    await project_settings.publish(shown.services.database, shown.services.clock, cast.shop.id, is_public=False)
    private = await anybody.get(PATH)
    alice = await shown.browser_of(cast.alice)
    assert (unknown.status, private.status, (await alice.get(PATH)).status) == (404, 404, 404)
    assert unknown.text.replace("nowhere.example.com", "shop.example.com") == private.text
    assert (await anybody.get(f"{PATH}/panels/pages")).status == 404


@pytest.mark.parametrize(
    "rest",
    [
        "",
        "?ev=Upgraded",
        "?ev=Upgraded&pr=plan",
        "/panels/events?ev=Upgraded&pr=plan",
        "/panels/events?ev=Upgraded",
        "/panels/all?ev=Upgraded&pr=plan",
    ],
)
async def test_tells_no_property_and_nobodys_name(anybody: Browser, cast: Cast, rest: str) -> None:
    page = await anybody.get(PATH + rest)
    assert page.status == 200
    assert "Upgraded" in page.text
    for kept in (SECRET, IDENTIFIER, cast.shop.token, str(cast.shop.id), "/export/", "/filter?"):
        assert kept not in page.text, kept


async def test_values_cannot_be_guessed_by_filters(anybody: Browser) -> None:
    """What a property filter leaves over would tell whether anybody has the value."""
    figures = []
    for value in (SECRET, "another"):
        page = await anybody.get(f"{PATH}/panels/pages?f=event(name:is:Upgraded,property:plan:is:{value})")
        figures.append("/pricing" in page.text)
    assert figures == [True, True]


def test_takes_guesses_out_of_every_depth() -> None:
    read = filter_text.read("page(path:is:/a,hash:is:secret);or(funnel(x:0:completed);browser(browser:oneOf:Chrome))")
    group = public.harmless(View(Timespan(), event="a", property="b", filters=read)) if read else None
    assert group is not None
    assert (group.event, group.property) == ("", "")
    written = filter_text.write(group.filters)
    assert "secret" not in written
    assert "funnel" not in written
    assert "Chrome" in written


async def test_filters_by_the_rows_and_takes_them_away(anybody: Browser) -> None:
    page = await anybody.get(f"{PATH}?f=browser(browser:oneOf:Firefox)")
    assert "Nothing happened in this timespan" in page.text
    assert "data-chip-remove" in page.text


@pytest.mark.parametrize(("is_indexed", "query", "robots"), [(0, "", 0), (1, "", 1), (1, "?t=7days", 0)])
async def test_only_the_plain_address_is_for_search_engines_if_wanted(
    anybody: Browser, shown: Site, cast: Cast, is_indexed: bool, query: str, robots: bool
) -> None:
    await project_settings.publish(shown.services.database, shown.services.clock, cast.shop.id, True, bool(is_indexed))
    page = await anybody.get(PATH + query)
    assert page.headers["X-Robots-Tag"] == ("all" if robots else "noindex, nofollow")
    assert ('content="index, follow"' in page.text) == robots


async def test_is_counted_once_for_all_who_look_at_the_same() -> None:
    window, counted = Showcase(FrozenClock(90_000)), []

    async def count() -> int:
        counted.append(1)
        await asyncio.sleep(0)
        return 7

    found = await asyncio.gather(*(window.shared("a", "203.0.113.1", count) for _ in range(9)))
    assert (found, len(counted), window.moment(is_live=False)) == ([7] * 9, 1, 60_000)
    assert window.moment(is_live=True) == 90_000


async def test_what_could_not_be_counted_is_counted_anew() -> None:
    window, answers = Showcase(FrozenClock(0)), [None, 3]

    async def count() -> int | None:
        return answers.pop(0)

    assert [await window.shared("a", "", count) for _ in range(3)] == [None, 3, 3]


async def test_an_address_has_so_many_a_minute_and_few_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(showcase, "COUNTS_PER_ADDRESS_AND_MINUTE_MAX", 2)
    monkeypatch.setattr(showcase, "WAITING_MAX", 2)
    clock, gate = FrozenClock(0), asyncio.Event()
    window = Showcase(clock)

    async def count() -> int:
        return 1

    async def wait() -> int:
        await gate.wait()
        return 1

    assert [await window.shared(key, "203.0.113.1", count) for key in (1, 2)] == [1, 1]
    with pytest.raises(errors.TooManyRequests):
        await window.shared(3, "203.0.113.1", count)
    clock.set(60_000)
    assert await window.shared(3, "203.0.113.1", count) == 1
    waiting = [asyncio.create_task(window.shared(key, key, wait)) for key in ("a", "b")]
    await asyncio.sleep(0)
    with pytest.raises(errors.TooManyRequests):
        await window.shared("c", "c", wait)
    gate.set()
    assert await asyncio.gather(*waiting) == [1, 1]


async def test_forgets_the_oldest_panels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(showcase, "PANELS_KEPT_MAX", 2)
    window, counted = Showcase(FrozenClock(0)), []

    async def count() -> int:
        counted.append(1)
        return 1

    for key in ("a", "b", "c", "b", "a"):
        await window.shared(key, "", count)
    assert len(counted) == 4
