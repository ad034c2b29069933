"""The public dashboard: who sees it, what it keeps to itself, and how little it may cost."""

import asyncio
import re

import pytest

from tests.kit import visits
from tests.web.conftest import Browser, Cast, Site
from vemetric import errors
from vemetric.accounts import project_settings, public_access
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
PASSWORD = "open sesame"


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
    for kept in (SECRET, IDENTIFIER, cast.shop.token, str(cast.shop.id), "/export/"):
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


async def protect(site: Site, cast: Cast, **asked: object) -> str:
    """Make the dashboard ask for something; where it is from then on."""
    services = site.services
    wanted = {"needs_link": False, "needs_password": False} | asked
    access = await public_access.change(services.database, cast.shop.id, **wanted)  # type: ignore[arg-type]
    return public_access.path_of(services.secret, cast.shop, access)


async def test_a_secret_link_is_the_only_way(anybody: Browser, shown: Site, cast: Cast) -> None:
    link = await protect(shown, cast, needs_link=True)
    token = link.removeprefix(f"{PATH}/")
    assert len(token) == 24
    page = await anybody.get(link)
    assert (page.status, page.headers["X-Robots-Tag"]) == (200, "noindex, nofollow")
    for path in (f"{link}/panels/pages", f"{link}/filter?type=page", f"{link}/filter"):
        assert (await anybody.get(path)).status == 200, path
    # Every link of the page keeps to it.
    assert not re.search(rf'(href|action|hx-get)="{PATH}(?!/{token})', page.text)
    for rest in ("", "/panels/pages", "/filter", f"/{'A' * 24}", f"/{token.swapcase()}", f"/{'A' * 24}/panels/pages"):
        assert (await anybody.get(PATH + rest)).status == 404, rest
    await public_access.renew_link(shown.services.database, cast.shop.id)
    assert (await anybody.get(link)).status == 404


async def test_a_password_is_asked_for_once(anybody: Browser, shown: Site, cast: Cast, clock: FrozenClock) -> None:
    await protect(shown, cast, needs_password=True, password=PASSWORD)
    asked = await anybody.get(f"{PATH}?t=7days")
    assert "asks for a password" in asked.text
    assert "/pricing" not in asked.text
    for rest in ("/panels/pages", "/panels/all", "/filter?type=page"):
        assert (await anybody.get(PATH + rest)).status == 403, rest
    wrong = await anybody.fill(PATH, {"password": "wrong", "next": PATH}, f"{PATH}/password")
    assert (wrong.status, "This is not the password." in wrong.text) == (400, True)
    right = await anybody.fill(f"{PATH}?t=7days", {"password": PASSWORD, "next": f"{PATH}?t=7days"}, f"{PATH}/password")
    assert (right.status, right.location) == (303, f"{PATH}?t=7days")
    assert "/pricing" in (await anybody.get(PATH)).text
    assert (await anybody.get(f"{PATH}/panels/pages")).status == 200
    [ticket] = [value for name, value in anybody.cookies.items() if "ticket" in name]
    assert str(cast.shop.id) not in ticket
    # Another password ends it, and so does time.
    await protect(shown, cast, needs_password=True, password=f"{PASSWORD} 2")
    assert "asks for a password" in (await anybody.get(PATH)).text
    await anybody.fill(PATH, {"password": f"{PASSWORD} 2", "next": "//evil.example"}, f"{PATH}/password")
    assert "/pricing" in (await anybody.get(PATH)).text
    clock.advance(8 * 86_400_000)
    assert "asks for a password" in (await anybody.get(PATH)).text


async def test_passwords_are_not_tried_for_long(anybody: Browser, shown: Site, cast: Cast) -> None:
    await protect(shown, cast, needs_password=True, password=PASSWORD)
    form = {"csrf": (await anybody.get(PATH)).csrf, "next": PATH}
    answers = [
        (await anybody.post(f"{PATH}/password", form | {"password": f"wrong {number}"})).status
        for number in range(public_access.TRIES.tries)
    ]
    assert set(answers) == {400}
    late = await anybody.post(f"{PATH}/password", form | {"password": PASSWORD})
    assert late.status == 429
    assert "Retry-After" in late.headers


def test_tickets_are_of_one_dashboard_and_cannot_be_made_up() -> None:
    access = public_access.PublicAccess(password_hash="a hash")
    for ticket in ("", "x", "9" * 30 + ".x", f"{1 << 60}.{'0' * 64}", "1.é"):
        assert not public_access.admits(b"secret", 7, access, ticket, 5)
    assert public_access.admits(b"secret", 7, public_access.PublicAccess(), "", 5)


async def test_admins_say_who_may_see_it(shown: Site, cast: Cast) -> None:
    alice, settings = await shown.browser_of(cast.alice), f"/p/{cast.shop.id}/settings"
    form = {"is_public": "on", "is_indexed": "on", "needs_link": "on", "needs_password": "on"}
    wanting = await alice.fill(settings, form | {"password": ""}, f"{settings}/public")
    assert (wanting.status, "Type the password" in wanting.text) == (400, True)
    short = await alice.fill(settings, form | {"password": "short"}, f"{settings}/public")
    assert (short.status, "at least 8 characters" in short.text) == (400, True)
    saved = await alice.fill(settings, form | {"password": PASSWORD}, f"{settings}/public")
    assert saved.status == 303
    shop = await public_access.of_project(shown.services.database, cast.shop.id)
    link = public_access.path_of(shown.services.secret, cast.shop, shop)
    assert shop.password_hash.startswith("$argon2id$")
    page = await alice.get(settings)
    assert link in page.text
    assert shop.password_hash not in page.text
    bob = await shown.browser_of(cast.bob)
    assert link not in (await bob.get(settings)).text
    # An empty password keeps the one there is; without the box it goes.
    await alice.fill(settings, form | {"password": ""}, f"{settings}/public")
    assert await public_access.of_project(shown.services.database, cast.shop.id) == shop
    await alice.fill(settings, {}, f"{settings}/public/link")
    assert link not in (await alice.get(settings)).text
    await alice.fill(settings, {"is_public": "on"}, f"{settings}/public")
    assert (await public_access.of_project(shown.services.database, cast.shop.id)).is_open


async def test_anybody_filters_by_forms_that_ask_nothing_personal(anybody: Browser, shown: Site) -> None:
    types = await anybody.get(f"{PATH}/filter")
    assert "Page" in types.text
    assert "Funnel" not in types.text
    event = await anybody.get(f"{PATH}/filter?type=event&back={PATH}")
    assert '<option value="Upgraded">' in event.text
    for kept in ("property", SECRET, "plan", IDENTIFIER):
        assert kept not in event.text, kept
    assert 'name="hash"' not in (await anybody.get(f"{PATH}/filter?type=page")).text
    assert (await anybody.get(f"{PATH}/filter/apply?type=funnel")).status == 404
    elsewhere = await anybody.get(f"{PATH}/filter/apply?type=event&name=x&name.op=is&back=/p/1")
    assert elsewhere.location == f"{PATH}?f=event(name:is:x)"
    back = f"{PATH}?p=entry"
    applied = await anybody.get(f"{PATH}/filter/apply?type=page&path=/pricing&path.op=is&back={back}")
    assert applied.location.startswith(f"{PATH}?p=entry&f=page(path:is:/pricing,")


async def test_suggestions_are_counted_for_all_and_bounded(anybody: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await anybody.get(f"{PATH}/filter?type=browser")).status == 200
    monkeypatch.setattr(showcase, "COUNTS_PER_ADDRESS_AND_MINUTE_MAX", 0)
    assert (await anybody.get(f"{PATH}/filter?type=browser")).status == 200
    assert (await anybody.get(f"{PATH}/filter?type=os")).status == 429
