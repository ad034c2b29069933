"""Filters on the dashboard: set by forms and rows, shown as chips, kept under names, all by plain links and forms."""

import asyncio
import csv
import io
import json
import re
from collections.abc import Mapping
from html import unescape
from typing import Any
from urllib.parse import unquote_plus

import aiohttp
import pytest

from tests.web.conftest import Browser, Cast, Page, Site
from tests.web.test_dashboard_page import alice as alice  # noqa: PLC0414 - a fixture
from tests.web.test_dashboard_page import path, words
from vemetric import errors
from vemetric.accounts import saved_filters
from vemetric.clickhouse.engine import Engine
from vemetric.model import filter_text
from vemetric.stats import cards, events, users
from vemetric.web.pages import exports


class Slow:
    """A store whose queries do not go on before they may."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.goes_on = asyncio.Event()
        self.asked: list[tuple[str, str]] = []

    async def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[list[Any]]:
        self.asked.append((sql, str(parameters)))
        await self.goes_on.wait()
        return await self._engine.query(sql, parameters)


class Failing:
    """A store that answers so many queries and no more."""

    def __init__(self, engine: Engine, answers: int) -> None:
        self._engine = engine
        self._left = answers

    async def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[list[Any]]:
        self._left -= 1
        if self._left < 0:
            raise errors.StoreBusy
        return await self._engine.query(sql, parameters)


def tile(page: Page, key: str) -> str:
    found = re.search(rf'id="tile-{key}".*?metric__value">([^<]*)<', page.text, re.DOTALL)
    assert found is not None
    return found.group(1).strip()


def links(page: Page, label: str) -> list[str]:
    """The addresses of links with a label."""
    found = re.findall(rf'<a [^>]*href="([^"]*)"[^>]*aria-label="{re.escape(label)}"', page.text)
    return [unescape(address) for address in found]


async def test_filters_count_only_users_who_fit(alice: Browser, cast: Cast) -> None:
    page = await alice.get(path(cast, "?f=page(path:is:/page-3)"))
    assert (tile(page, "users"), tile(page, "pageViews"), tile(page, "events")) == ("1", "1", "1")
    assert "/page-3" in words(page)
    assert "/page-4" not in words(page)
    page = await alice.get(path(cast, "?f=page(path:isNot:/page-3)"))
    assert tile(page, "users") == "8"
    page = await alice.get(path(cast, "?f=or(page(path:is:/page-3);page(path:is:/page-4))"))
    assert tile(page, "users") == "2"


async def test_filters_that_say_nothing_are_none(alice: Browser, cast: Cast) -> None:
    for text in ("nonsense", "page(path:like:x)", "(" * 3000, "funnel(gone:0:completed)"):
        assert tile(await alice.get(path(cast, f"?f={text}")), "users") == "9"


async def test_rows_set_and_take_away_their_filter(alice: Browser, cast: Cast) -> None:
    page = await alice.get(path(cast))
    [address] = links(page, "Filter by /page-0")
    filtered = await alice.get(address)
    assert tile(filtered, "users") == "1"
    assert filter_text.read(unquote_plus(address.partition("f=")[2])) is not None
    [back] = links(filtered, "Remove the filter on /page-0")
    assert back == path(cast)


async def test_chips_are_removed_and_joined_by_links(alice: Browser, cast: Cast) -> None:
    page = await alice.get(path(cast, "?f=page(path:is:/page-3);user(anonymous)"))
    assert 'class="chip"' in page.text
    assert "\u00fcber" in words(await alice.get(path(cast, "?f=page(hash:is:%25C3%25BCber)")))
    [address] = links(page, "Remove the filter User is anonymous")
    assert unquote_plus(address) == path(cast, "?f=page(path:is:/page-3)")
    joined = re.findall(r'class="chip-op" href="([^"]*)"', page.text)
    assert [unquote_plus(unescape(one)) for one in joined] == [
        path(cast, "?f=or(page(path:is:/page-3);user(anonymous))")
    ]


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}])
async def test_every_type_has_a_form(alice: Browser, cast: Cast, headers: dict[str, str]) -> None:
    page = await alice.get(path(cast))
    kinds = {unescape(one) for one in re.findall(r'href="([^"]*/filter\?type=[^"]*)"', page.text)}
    assert len(kinds) == 12
    for address in sorted(kinds):
        form = await alice.get(address, headers)
        assert form.status == 200, address
        assert "filter/apply" in form.text


async def test_a_form_suggests_values_and_leads_back(alice: Browser, cast: Cast) -> None:
    back = path(cast, "?t=7days")
    form = await alice.get(path(cast, f"/filter?type=page&back={back}"))
    assert '<option value="/page-7">' in form.text
    answer = await alice.get(path(cast, f"/filter/apply?type=page&back={back}&path.op=startsWith&path=/page-7&into="))
    assert answer.status == 303
    assert unquote_plus(answer.location) == path(cast, "?t=7days&f=page(path:startsWith:/page-7,origin:any:,hash:any:)")
    assert tile(await alice.get(answer.location), "users") == "1"
    swapped = await alice.get(
        path(cast, f"/filter/apply?type=browser&back={back}&browser.op=oneOf&browser=Chrome&browser.more=Opera, Edge"),
        {"HX-Request": "true"},
    )
    assert unquote_plus(swapped.headers["HX-Redirect"]).endswith("f=browser(browser:oneOf:Chrome:Opera:Edge)")


async def test_a_form_changes_a_filter_in_its_place_and_adds_groups(alice: Browser, cast: Cast) -> None:
    back = path(cast, "?f=or(user(anonymous);os(os:oneOf:Linux))")
    changed = await alice.get(path(cast, f"/filter/apply?type=user&at=0&anonymous=no&back={back}"))
    assert unquote_plus(changed.location) == path(cast, "?f=or(user(identified);os(os:oneOf:Linux))")
    grouped = await alice.get(path(cast, f"/filter/apply?type=user&into=new&anonymous=no&back={back}"))
    assert unquote_plus(grouped.location) == path(
        cast, "?f=or(user(anonymous);os(os:oneOf:Linux);or(user(identified)))"
    )


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("type=page&path.op=any", "Please choose something"),
        ("type=event&property.0=seats&property.0.op=gt&value.0=many", "is not a number"),
        ("type=page&path.op=is&path=" + "x" * 2000, "cannot be used"),
        ("type=funnel&step=x", "no funnel yet"),
    ],
)
async def test_a_form_says_what_is_wrong(alice: Browser, cast: Cast, query: str, problem: str) -> None:
    answer = await alice.get(path(cast, f"/filter/apply?{query}"))
    assert problem in words(answer) or answer.status == 303
    assert (await alice.get(path(cast, "/filter/apply?type=moods"))).status == 404


@pytest.mark.parametrize("back", ["https://evil.example/", "//evil.example", "/p/1", "/login", "javascript:alert(1)"])
async def test_forms_lead_back_to_the_project_only(alice: Browser, cast: Cast, back: str) -> None:
    answer = await alice.get(path(cast, f"/filter/apply?type=user&anonymous=no&back={back}"))
    assert unquote_plus(answer.location) == path(cast, "?f=user(identified)")


async def test_filters_are_kept_renamed_overwritten_and_forgotten(site: Site, alice: Browser, cast: Cast) -> None:
    first, second = "user(anonymous)", "os(os:oneOf:Linux)"
    form = {"action": "keep", "name": "Strangers", "icon": "👻", "f": first, "back": path(cast, f"?f={first}")}
    csrf = (await alice.get(path(cast, f"?f={first}"))).csrf
    answer = await alice.post(path(cast, "/filters"), {"csrf": csrf, **form})
    assert (answer.status, answer.location) == (303, path(cast, f"?f={first}"))
    bob = await site.browser_of(cast.bob)
    page = await bob.get(path(cast))
    assert "Strangers" in words(page)
    [id_] = set(re.findall(r'name="id" value="([^"]*)"', page.text))
    for action, values, seen in (
        ("rename", {"name": "Ghosts", "icon": ""}, "Ghosts"),
        ("overwrite", {"f": second}, "os(os:oneOf:Linux)"),
        ("forget", {}, "None yet."),
    ):
        await bob.post(path(cast, "/filters"), {"csrf": page.csrf, "action": action, "id": id_, **values})
        page = await bob.get(path(cast))
        assert seen in words(page) + unquote_plus(page.text), action
    refused = await bob.post(path(cast, "/filters"), {"csrf": page.csrf, "action": "forget", "id": id_})
    assert refused.status == 404


async def test_saved_filters_are_bounded_and_belong_to_their_project(site: Site, alice: Browser, cast: Cast) -> None:
    csrf = (await alice.get(path(cast))).csrf
    no_filter = {"csrf": csrf, "action": "keep", "name": "x", "f": ""}
    assert (await alice.post(path(cast, "/filters"), no_filter)).status == 400
    no_name = {"csrf": csrf, "action": "keep", "name": " ", "f": "user(anonymous)"}
    assert (await alice.post(path(cast, "/filters"), no_name)).status == 400
    database, clock = site.services.database, site.services.clock
    group = filter_text.read("user(anonymous)")
    assert group is not None
    for number in range(saved_filters.PER_PROJECT_MAX):
        await saved_filters.keep(database, clock, cast.shop.id, f"filter {number}", "", group)
    too_many = {"csrf": csrf, "action": "keep", "name": "x", "f": "user(anonymous)"}
    assert (await alice.post(path(cast, "/filters"), too_many)).status == 400
    charlie = await site.browser_of(cast.charlie)
    for address in ("/filter", "/filter/apply?type=user", "/export/pages.csv"):
        assert (await charlie.get(path(cast, address))).status == 404


async def test_the_events_card_goes_into_events(alice: Browser, cast: Cast) -> None:
    page = await alice.get(path(cast, "?ev=<b>Signup</b>"))
    assert "Events › <b>Signup</b>" in words(page)
    assert (await alice.get(path(cast, "?ev=x&pr=plan"))).status == 200


async def test_a_card_is_searched(alice: Browser, cast: Cast) -> None:
    page = await alice.get(path(cast, "/panels/pages?pq=AGE-7"))
    assert "1 – 1 of 1" in words(page)
    assert "/page-7" in words(page)
    places = await alice.get(path(cast, "/panels/locations?lq=germ"))
    assert "Germany" in words(places)
    assert "contains “zzz”" in words(await alice.get(path(cast, "/panels/pages?pq=zzz")))


@pytest.mark.parametrize("panel", ["chart", "pages", "sources", "events", "locations", "clients"])
async def test_every_panel_is_a_file(alice: Browser, cast: Cast, panel: str) -> None:
    answer = await alice.get(path(cast, f"/export/{panel}.csv"))
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer.headers["Content-Disposition"]
    lines = list(csv.DictReader(io.StringIO(answer.text)))
    rows = json.loads((await alice.get(path(cast, f"/export/{panel}.json"))).text)
    assert len(lines) == len(rows) > 0
    if panel == "pages":
        assert {row["Path"] for row in rows} == {f"/page-{number}" for number in range(9)}
        assert {row["Users"] for row in rows} == {1}
    assert (await alice.get(path(cast, f"/export/{panel}.exe"))).status == 404


def test_cells_of_a_file_are_no_formulas() -> None:
    body = exports.Csv(["A"]).body([["=1+1"], ["@x"], ["plain"], ["\n=1+1"], ["\uff1d1+1"]])
    assert body == "'=1+1\r\n'@x\r\nplain\r\n\"'\n=1+1\"\r\n'\uff1d1+1\r\n".encode()


FILES = ("export/pages", "export/sources", "export/users", "events/export")


@pytest.mark.parametrize("end", ["csv", "json"])
async def test_a_file_has_all_rows(alice: Browser, cast: Cast, end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ended after 100,000 of them, and did not say so."""
    whole = [(await alice.get(path(cast, f"/{name}.{end}"))).text for name in FILES]
    for module in (cards, events, users):
        monkeypatch.setattr(module, "EXPORT_PAGE_ROWS", 2)
    monkeypatch.setattr(exports, "LINES_AT_ONCE", 1)
    assert [(await alice.get(path(cast, f"/{name}.{end}"))).text for name in FILES] == whole
    assert json.loads(whole[0]) if end == "json" else whole[0].count("\r\n") == 10
    empty = (await alice.get(path(cast, f"/export/pages.{end}?t=custom&sd=2020-01-01"))).text
    assert empty == ("[]" if end == "json" else "Path,Detail,Users,Views\r\n")


async def test_a_file_that_cannot_be_ended_is_broken_off(
    alice: Browser, cast: Cast, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(users, "EXPORT_PAGE_ROWS", 2)
    measured: Any = site.services.engine
    monkeypatch.setattr(measured, "_engine", Failing(measured._engine, 2))
    with pytest.raises(aiohttp.ClientPayloadError):
        await alice.get(path(cast, "/export/users.csv"))
    monkeypatch.setattr(measured, "_engine", Failing(measured._engine, 0))
    assert (await alice.get(path(cast, "/export/users.csv"))).status == 503


async def test_a_panel_that_is_late_is_counted_once(
    alice: Browser, cast: Cast, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page gave it up and asked for it again, so that it was counted twice."""
    from vemetric.web.pages import dashboard

    monkeypatch.setattr(dashboard, "PATIENCE_SECONDS", 0.05)
    measured: Any = site.services.engine
    slow = Slow(measured._engine)
    monkeypatch.setattr(measured, "_engine", slow)
    page = await alice.get(path(cast))
    late = re.findall(r'hx-get="([^"]*)" hx-trigger="load"', page.text)
    assert len(late) == 6
    slow.goes_on.set()
    begun = len(slow.asked)
    panels = [await alice.get(unescape(address)) for address in late]
    assert "Still counting" not in "".join(panel.text for panel in panels)
    # What was on its way is not asked again; a page has a few panels counted at a time.
    assert len(set(slow.asked)) == len(slow.asked) > begun > 0


async def test_a_page_does_not_wait_for_slow_panels(
    alice: Browser, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vemetric.web.pages import dashboard

    monkeypatch.setattr(dashboard, "PATIENCE_SECONDS", 0)
    page = await alice.get(path(cast))
    assert page.text.count("Still counting") == 6
    assert page.text.count('hx-trigger="load"') == 6
    assert "Still counting" not in (await alice.get(path(cast, "?wait=1"))).text
