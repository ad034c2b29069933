"""The pages of funnels: the list, one of them, the editor with its buttons, the file."""

import json
import re
from collections.abc import Mapping
from html import unescape
from typing import Any

import pytest

from tests.kit import visits
from tests.web.conftest import Browser, Cast, Page, Site
from vemetric import errors
from vemetric.accounts import funnels, project_settings, projects
from vemetric.clickhouse.engine import Engine
from vemetric.clock import FrozenClock
from vemetric.model import filters
from vemetric.model.filters import EventFilter, PageFilter, Property, Text
from vemetric.model.funnel import Funnel, Step
from vemetric.web import funnel_form, funnel_values

ERIN = "erin@example.net"
PRICING = Step("a", "Pricing", PageFilter(Text(value="/pricing")))
UPGRADED = Step("b", "", EventFilter(Text(value="Upgraded"), (Property("plan", value="gold"),)))
THANKS = Step("c", "Thanks", PageFilter(Text(value="/thanks")))


class Watched:
    """A store that keeps what it was asked."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.asked: list[str] = []

    async def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[list[Any]]:
        self.asked.append(sql)
        return await self._engine.query(sql, parameters)


@pytest.fixture
async def funnel(site: Site, cast: Cast, clock: FrozenClock) -> Funnel:
    """Three users saw the prices, two of them upgraded, of whom Erin saw the thanks. A fourth did something else."""
    services, noon_ms = site.services, clock.now_ms()
    people = [
        visits.sender(cast.shop, "203.0.113.1"),
        visits.sender(cast.shop, "203.0.113.2"),
        visits.sender(cast.shop, user_identifier=ERIN),
    ]
    for number, who in enumerate(people):
        clock.set(noon_ms - 60_000 * (30 - 10 * number))
        await visits.event(services, cast.shop, path="/pricing", who=who)
        clock.set(clock.now_ms() + 42_000)
        if number:
            await visits.event(services, cast.shop, "Upgraded", who=who, data={"plan": "gold"})
    clock.set(clock.now_ms() + 1)
    await visits.event(services, cast.shop, path="/thanks", who=people[2])
    await visits.event(services, cast.shop, path="/blog", who=visits.sender(cast.shop, "203.0.113.4"))
    clock.set(noon_ms)
    await visits.settle(services)
    drawn = funnels.Drawn("Up & away", "🚀", 3600, (PRICING, UPGRADED, THANKS))
    return await funnels.make(services.database, services.clock, cast.shop.id, drawn)


@pytest.fixture
async def alice(site: Site, cast: Cast) -> Browser:
    return await site.browser_of(cast.alice)


def words(page: Page) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page.text)).split())


def link(page: Page, label: str) -> str:
    found = re.search(rf'<a[^>]*href="([^"]*)"[^>]*>\s*{label}', page.text)
    assert found is not None, label
    return unescape(found[1])


async def test_a_project_without_funnels_says_what_one_is(alice: Browser, site: Site, cast: Cast) -> None:
    home = f"/p/{cast.shop.id}/funnels"
    assert "Create a funnel" in words(await alice.get(home))
    bob = words(await (await site.browser_of(cast.bob)).get(home))
    assert "An admin of the organization can create funnels" in bob
    assert "Create a funnel" not in bob


async def test_the_list_shows_how_far_users_get(alice: Browser, cast: Cast, funnel: Funnel) -> None:
    home = f"/p/{cast.shop.id}/funnels"
    shown = words(await alice.get(home))
    assert "Up & away 33.33%" in shown
    assert "Step 2: 2 users, 66.67%" in shown
    measured = await alice.get(f"{home}?u=1")
    assert "Up & away 25%" in words(measured)
    assert "Users (4)" in words(measured)
    assert "Active users: 4 users" in words(measured)


async def test_numbers_lead_to_the_users_they_count(alice: Browser, cast: Cast, funnel: Funnel) -> None:
    page = await alice.get(f"/p/{cast.shop.id}/funnels/{funnel.id}?f=browser(browser:oneOf:Chrome)")
    text = words(page)
    for wanted in (
        "3 users",
        "2 completed (66.67%)",
        "1 dropped out (33.33%)",
        "Event: Name is Upgraded; plan is gold",
    ):
        assert wanted in text, wanted
    assert "Within 1 hour" in text
    assert "2 users" in words(await alice.get(link(page, "2 users")))
    assert "1 user " in words(await alice.get(link(page, "1 dropped out")))
    assert ERIN in words(await alice.get(link(page, "1 user<")))


async def test_the_first_step_is_compared_with_active_users_only_where_these_are_shown(
    alice: Browser, cast: Cast, funnel: Funnel
) -> None:
    """The original said so also where they were hidden."""
    path = f"/p/{cast.shop.id}/funnels/{funnel.id}"
    assert "3 completed" not in words(await alice.get(path))
    shown = words(await alice.get(f"{path}?u=1"))
    assert "3 completed (75%)" in shown
    assert "1 dropped out (25%)" in shown


async def test_both_directions(alice: Browser, cast: Cast, funnel: Funnel) -> None:
    path = f"/p/{cast.shop.id}/funnels/{funnel.id}"
    lying = await alice.get(path)
    assert "fdetail--v" not in lying.text
    standing = await alice.get(link(lying, r"<svg[^>]*>\s*<use[^>]*>\s*</svg>\s*Vertical"))
    assert "fdetail--v" in standing.text
    assert "Horizontal" in words(standing)


async def test_files_say_what_the_pages_say(alice: Browser, cast: Cast, funnel: Funnel) -> None:
    home = f"/p/{cast.shop.id}/export"
    lines = json.loads((await alice.get(f"{home}/funnels.json?funnel={funnel.id}")).text)
    assert [line["Users"] for line in lines] == [3, 2, 1]
    assert [line["% of active users"] for line in lines] == [75, 50, 25]
    assert lines[1]["% of the step before"] == 66.67
    assert lines[1]["Name"] == "Step 2"
    filtered = await alice.get(f"{home}/funnels.csv?f=event(name:is:Upgraded)")
    assert filtered.text.splitlines()[1] == "Up & away,1,Pricing,2,100.0,100.0,100.0"
    assert (await alice.get(f"{home}/funnels.txt")).status == 404


async def test_filters_offer_the_funnels(alice: Browser, cast: Cast, funnel: Funnel) -> None:
    home = f"/p/{cast.shop.id}"
    form = await alice.get(f"{home}/filter?type=funnel")
    assert f'value="{funnel.id}.1"' in form.text
    applied = await alice.get(f"{home}/filter/apply?type=funnel&done=completed&step={funnel.id}.1&back={home}/users")
    assert f"funnel({funnel.id}:1:completed)" in unescape(applied.location)
    users = await alice.get(applied.location)
    assert "completed Up & away (step 2)" in words(users)
    assert "2 users" in words(users)


async def test_the_page_of_a_user_says_how_far_they_got(alice: Browser, cast: Cast, funnel: Funnel) -> None:
    jumped = await alice.get(f"/p/{cast.shop.id}/user/{ERIN}")
    found = words(await alice.get(jumped.location))
    assert "Up & away 100% Step 3 of 3: Thanks" in found


async def test_an_unknown_funnel_does_not_exist(alice: Browser, site: Site, cast: Cast, funnel: Funnel) -> None:
    services = site.services
    blog = await projects.create(services.database, services.clock, "acme", "Journal", "journal.example.com")
    for path in (f"/p/{cast.shop.id}/funnels/gone", f"/p/{blog.id}/funnels/{funnel.id}"):
        for more in ("", "/edit", "/delete"):
            assert (await alice.get(path + more)).status == 404


FORM = {
    "name": " Sign  up ",
    "icon": "🎯",
    "amount": "36",
    "unit": "hours",
    "step.0.id": "first",
    "step.0.name": "Home",
    "step.0.kind": "page",
    "step.0.path.op": "startsWith",
    "step.0.path": "/",
    "step.0.origin.op": "is",
    "step.0.origin": "https://docs.example.com",
    "step.1.id": "",
    "step.1.kind": "event",
    "step.1.event.op": "is",
    "step.1.event": "Signup",
    "step.1.property.0.key": "seats",
    "step.1.property.0.op": "gte",
    "step.1.property.0": "5",
    "step.1.property.1.key": "",
    "step.1.property.1": "left over",
}


async def test_a_funnel_is_made_changed_and_deleted(alice: Browser, cast: Cast, site: Site) -> None:
    home, database = f"/p/{cast.shop.id}/funnels", site.services.database
    made = await alice.fill(f"{home}/new", FORM)
    [kept] = await funnels.of_project(database, cast.shop.id)
    assert made.location == f"{home}/{kept.id}?saved=1"
    assert (kept.name, kept.icon, kept.window_seconds) == ("Sign up", "🎯", 36 * 3600)
    assert kept.steps[0] == Step(
        "first", "Home", PageFilter(Text("startsWith", "/"), Text(value="https://docs.example.com"))
    )
    assert kept.steps[1].filter == EventFilter(Text(value="Signup"), (Property("seats", "gte", "5"),))
    shown = await alice.get(f"{home}/{kept.id}/edit")
    assert 'value="https://docs.example.com"' in shown.text
    assert "<option selected>hours</option>" in shown.text
    await alice.fill(f"{home}/{kept.id}/edit", FORM | {"name": "Other", "icon": "", "step.0.kind": "event"})
    page = await alice.fill(f"{home}/{kept.id}/edit", FORM | {"amount": "1.5"})
    assert (page.status, "Use a whole number" in words(page)) == (400, True)
    await alice.fill(f"{home}/{kept.id}/edit", FORM | {"name": "Other", "icon": ""})
    changed = await funnels.find(database, cast.shop.id, kept.id)
    assert (changed.name, changed.icon, changed.created_at_ms) == ("Other", None, kept.created_at_ms)
    assert "Delete the funnel Other" in words(await alice.get(f"{home}/{kept.id}/delete"))
    assert "The funnel is deleted" in words(
        await alice.get((await alice.fill(f"{home}/{kept.id}/delete", {})).location)
    )
    with pytest.raises(errors.NotFound):
        await funnels.find(database, cast.shop.id, kept.id)


async def test_buttons_change_the_form_and_keep_what_was_typed(alice: Browser, cast: Cast) -> None:
    path = f"/p/{cast.shop.id}/funnels/new"

    async def ids(button: str) -> list[str]:
        page = await alice.fill(path, FORM | {"step.1.id": "second", "do": button})
        assert page.status == 200
        assert 'value="left over"' not in page.text
        assert 'value="/"' in page.text or button == "remove.0"
        return re.findall(r'name="step\.\d+\.id" value="(\w+)"', page.text)

    assert (await ids("add"))[:2] == ["first", "second"]
    assert len(await ids("add")) == 3
    assert await ids("down.0") == await ids("up.1") == ["second", "first"]
    assert await ids("up.0") == await ids("down.1") == await ids("nonsense.9") == ["first", "second"]
    assert await ids("remove.0") == ["second"]


async def test_what_is_wrong_stands_beside_its_field(alice: Browser, cast: Cast) -> None:
    path = f"/p/{cast.shop.id}/funnels/new"
    for changed, said in (
        ({"name": "x"}, "Use 2 to 100 characters"),
        ({"icon": "no"}, "Use one emoji"),
        ({"amount": "367", "unit": "days"}, "one minute to 366 days"),
        ({"amount": "0"}, "one minute to 366 days"),
        ({"step.0.path": ""}, "Say which"),
        ({"step.1.event": ""}, "Say which"),
        ({"step.1.property.0": "many"}, "not a number to compare with"),
        ({"step.0.path.op": "like"}, "cannot be used"),
        ({"step.0.name": "x" * 101}, "at most 100 characters"),
        ({f"step.{n}.id": "i" for n in range(11)} | {f"step.{n}.path": "/" for n in range(11)}, "1 to 10 steps"),
        ({"step.0.id": "", "step.0.path.op": "is"}, ""),
    ):
        page = await alice.fill(path, FORM | changed)
        assert said in words(page), said
        assert page.status == (400 if said else 303)
        assert "Please look at" not in words(page)
    assert (await alice.fill(path, {"name": "None"})).status == 400


async def test_a_project_has_a_bounded_number_of_funnels(
    alice: Browser, cast: Cast, funnel: Funnel, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/p/{cast.shop.id}/funnels"
    monkeypatch.setattr(funnels, "PER_PROJECT_MAX", 2)
    assert (await alice.fill(f"{path}/new", FORM)).status == 303
    refused = await alice.fill(f"{path}/new", FORM)
    assert (refused.status, "A project can have 2 funnels." in words(refused)) == (400, True)
    assert "Delete one to make another" in words(await alice.get(path))


def test_a_funnel_is_the_same_after_its_form() -> None:
    one = Funnel("f", "Trip", (PRICING, UPGRADED, THANKS), "🚀", 5400)
    typed = funnel_form.of_funnel(one)
    assert (typed.amount, typed.unit) == ("90", "minutes")
    drawn = funnel_form.drawn(typed)
    assert (drawn.name, drawn.icon, drawn.window_seconds, drawn.steps) == ("Trip", "🚀", 5400, one.steps)


def test_windows_and_rates_in_words() -> None:
    said = [funnel_values.duration(seconds) for seconds in (604_800, 90_061, 3600, 59, 0)]
    assert said == ["7 days", "1 day 1 hour 1 minute 1 second", "1 hour", "59 seconds", "0 seconds"]
    assert [funnel_values.percent(*one) for one in ((1, 2), (1, 8), (1, 3), (0, 0))] == [
        "50%",
        "12.50%",
        "33.33%",
        "0%",
    ]


def test_bars_are_measured_by_the_highest() -> None:
    bars = funnel_values.bars([200, 100, 0], with_active=True)
    assert [bar.height for bar in bars] == ["100", "50", "0.6"]
    assert [bar.is_all for bar in bars] == [True, False, False]
    assert [bool(bar.flow) for bar in bars] == [True, True, False]
    assert [bar.height for bar in funnel_values.bars([0, 0], with_active=False)] == ["0.6", "0.6"]


async def test_the_dashboard_has_a_card_of_funnels(alice: Browser, cast: Cast, funnel: Funnel) -> None:
    home = f"/p/{cast.shop.id}"
    card = await alice.get(f"{home}/panels/funnels")
    assert "1 defined" in words(card)
    assert "Up & away 1 33.33%" in words(card)
    assert "Up & away 1 25%" in words(await alice.get(f"{home}?fu=1"))
    steps = words(await alice.get(f"{home}?sf={funnel.id}"))
    for wanted in ("Funnels › Up & away", "1 Pricing 3 100%", "2 Step 2 2 66.67%", "3 Thanks 1 33.33%"):
        assert wanted in steps, wanted
    filtered = await alice.get(
        unescape(re.findall(r'href="([^"]*)"[^>]*aria-label="Filter by Up &amp; away"', card.text)[0])
    )
    assert "completed Up & away" in words(filtered)
    assert 'aria-label="Remove the filter on Up &amp; away"' in filtered.text


async def test_all_panels_of_a_page_share_who_got_through(
    alice: Browser, cast: Cast, site: Site, funnel: Funnel, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: Any = site.services.engine
    watched = Watched(measured._engine)
    monkeypatch.setattr(measured, "_engine", watched)
    home = f"/p/{cast.shop.id}"
    page = words(await alice.get(f"{home}?wait=1&f=funnel({funnel.id}:1:completed)"))
    assert "Users , in the chart 2" in page
    assert sum("-- Who got through" in sql for sql in watched.asked) == 1
    # The chart, six cards and the users online; the card of funnels asks twice.
    assert sum("{reached0:String}" in sql for sql in watched.asked) >= 9
    # A panel that is asked for alone finds them itself.
    watched.asked.clear()
    await alice.get(f"{home}/panels/pages?f=funnel({funnel.id}:1:completed)")
    assert not any("{reached0:" in sql for sql in watched.asked)


async def test_what_no_address_can_say_is_no_link(alice: Browser, cast: Cast, funnel: Funnel) -> None:
    """With as many filters as a set may have, one more is none: the links led to everybody."""
    home, full = f"/p/{cast.shop.id}", ";".join(["page(path:startsWith:/)"] * filters.FILTERS_MAX)
    for path in ("?f=", f"?sf={funnel.id}&f="):
        page = (await alice.get(f"{home}{path}{full}")).text
        assert "Up &amp; away" in page
        assert "Users who completed" not in page
        assert "Filter by" not in page.partition('id="panel-funnels"')[2]
    for path in ("/funnels", f"/funnels/{funnel.id}"):
        page = (await alice.get(f"{home}{path}?f={full}")).text
        assert "Up &amp; away" in page
        assert 'href=""' not in page
        assert "funnel(" not in page


async def test_the_public_sees_rates_but_neither_users_nor_conditions(site: Site, cast: Cast, funnel: Funnel) -> None:
    services = site.services
    await project_settings.publish(services.database, services.clock, cast.shop.id, is_public=True)
    path = f"/public/{cast.shop.domain}"
    page = await site.browser().get(f"{path}?sf={funnel.id}")
    assert "2 Step 2 2 66.67%" in words(page)
    card = (await site.browser().get(f"{path}/panels/funnels?sf={funnel.id}")).text
    for hidden in ("Upgraded", "gold", "/users", "/funnels/", "export", "funnel("):
        assert hidden not in card, hidden
    await funnels.delete(services.database, cast.shop.id, funnel.id)
    assert "panel-funnels" not in (await site.browser().get(path)).text
