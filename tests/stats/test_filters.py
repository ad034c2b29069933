"""Filters on known histories: the numbers of the original's fixture, and a test for each defect it had with filters."""

import pytest

from tests.stats.history import Event, Rows, Visit
from tests.stats.test_dashboard import EVENTS, MONTH_LATER, PEOPLE, TWO_DAYS, VIEWS, VISITS, at, values
from vemetric.model import filter_text, timespan
from vemetric.model.filters import EventFilter, PageFilter, Text
from vemetric.model.funnel import Funnel, Step
from vemetric.model.timespan import Timespan
from vemetric.stats import dashboard
from vemetric.stats.dashboard import Choice
from vemetric.stats.filters import compile_filters
from vemetric.stats.statements import statement

NOON = at("2026-03-10T12:00:00")
PLANS = {1: "pro", 2: "", 3: "starter", 4: ""}
SIGNED_UP = Funnel(
    "f", "Signup", (Step("1", "", PageFilter(Text(value="/"))), Step("2", "", EventFilter(Text(value="signup"))))
)


class Asking:
    """Writes a project's history and asks for it with filters."""

    def __init__(self, backend, project):
        self.engine = backend
        self.project = project

    async def write(self, *items):
        rows = Rows(self.project.id)
        for item in items:
            (rows.event if isinstance(item, Event) else rows.visit)(item)
        await rows.insert(self.engine)

    async def load(self, text, chosen=Timespan(), now="2026-03-10T12:20:00", **cards):  # noqa: B008
        range_ = timespan.resolve(chosen, at(now), "UTC")
        conditions = compile_filters(filter_text.read(text), [SIGNED_UP])
        return await dashboard.load(self.engine, self.project, range_, cards=cards, conditions=conditions)

    async def users(self, text):
        return values(await self.load(text))["users"]


@pytest.fixture
def asking(backend, project):
    return Asking(backend, project)


@pytest.fixture
async def fixture(asking):
    sessions = {visit.user: visit.id for visit in VISITS}
    views = [Event(user, at(when), sessions[user], pathname=path, **PEOPLE[user]) for user, when, path in VIEWS]
    plans = iter(("pro", None, "starter", "pro", None))
    events = [
        Event(user, at(when), sessions[user], name, pathname=path, data={"plan": plan} if plan else {}, **PEOPLE[user])
        for (user, when, name, path), plan in zip(EVENTS, plans, strict=True)
    ]
    await asking.write(*VISITS, *views, *events)
    return asking


def rows(shown, card):
    return {row.key: (row.users, row.count) for row in shown.cards[card].rows}


@pytest.mark.parametrize(
    ("text", "users", "page_views", "events"),
    [
        ("event(name:is:signup)", 2, 4, 3),
        ("event(name:is:signup,property:plan:is:pro)", 2, 4, 2),
        ("event(name:is:signup,property:plan:is:starter)", 1, 3, 1),
        ("page(path:is:/features)", 1, 1, 3 - 1),
        ("location(country:oneOf:US)", 3, 7, 4),
        ("location(country:noneOf:US)", 1, 1, 1),
        ("funnel(f:1:completed)", 2, 4, 3),
        ("funnel(f:1:notCompleted)", 2, 4, 2),
        ("funnel(f:0:completed)", 4, 8, 5),
        ("referrer(referrer:is:)", 1, 3, 1),
        ("utmTags(source:is:google);browser(browser:oneOf:Chrome)", 1, 1, 1),
        ("or(device(device:oneOf:mobile);os(os:oneOf:Linux))", 2, 4, 2),
    ],
)
async def test_the_fixture_with_filters(fixture, text, users, page_views, events):
    shown = values(await fixture.load(text, TWO_DAYS, MONTH_LATER))
    assert (shown["users"], shown["pageViews"], shown["events"]) == (users, page_views, events)


async def test_rows_of_the_filters_own_kind_are_restricted(fixture):
    pages = await fixture.load("page(path:is:/features)", TWO_DAYS, MONTH_LATER)
    assert rows(pages, "pages") == {"/features": (1, 1)}
    assert rows(pages, "events") == {"signup": (1, 2)}
    plans = await fixture.load(
        "event(name:is:signup,property:plan:is:pro)",
        Timespan("30days"),
        MONTH_LATER,
        events=Choice("values", event="signup", property="plan"),
    )
    assert rows(plans, "events") == {"pro": (1, 1)}
    assert rows(plans, "locations") == {"US": (1, None)}


async def test_two_negative_filters_both_hold(asking):
    """D5: isNot was not known to be negative, so that two of them were joined with or."""
    await asking.write(Event(1, NOON, pathname="/a"), Event(2, NOON, pathname="/b"), Event(3, NOON, pathname="/c"))
    shown = await asking.load("page(path:isNot:/a);page(path:isNot:/b)")
    assert rows(shown, "pages") == {"/c": (1, 1)}


async def test_positive_and_negative_rows_are_joined_with_brackets(asking):
    """D6: a or b and not c was read as a or (b and not c)."""
    await asking.write(
        Event(1, NOON, pathname="/a", hash="#x"), Event(1, NOON, pathname="/b"), Event(1, NOON, pathname="/c")
    )
    shown = await asking.load("page(path:is:/a);page(path:is:/b);page(hash:isNot:never)")
    assert rows(shown, "pages") == {"/a": (1, 1), "/b": (1, 1)}
    without = await asking.load("page(path:is:/a);page(path:is:/b);page(hash:isNot:x)")
    assert values(without)["users"] == 0


async def test_negative_rows_in_a_group_are_negative(asking):
    """A group of nothing but denials kept every other row, whatever stood beside it."""
    await asking.write(Event(1, NOON, pathname="/a"), Event(1, NOON, pathname="/b"), Event(1, NOON, pathname="/c"))
    shown = await asking.load("page(path:is:/a);and(page(path:isNot:/x))")
    assert rows(shown, "pages") == {"/a": (1, 1)}


async def test_a_negative_filter_means_never(asking):
    """D7: one other row was enough."""
    await asking.write(Event(1, NOON, pathname="/a"), Event(1, NOON, pathname="/b"), Event(2, NOON, pathname="/b"))
    assert await asking.users("page(path:isNot:/a)") == 1
    assert await asking.users("page(path:notContains:A)") == 1
    assert await asking.users("browser(browser:noneOf:Chrome)") == 0


async def test_groups_in_groups_hold(asking):
    """D8: they were ignored."""
    await asking.write(
        Event(1, NOON, pathname="/a"), Event(2, NOON, pathname="/b", os="Linux"), Event(3, NOON, pathname="/b")
    )
    assert await asking.users("or(page(path:is:/a);and(page(path:is:/b);or(os(os:oneOf:Linux))))") == 2
    assert await asking.users("page(path:is:/b);or(os(os:oneOf:Linux);os(os:oneOf:Windows))") == 1


async def test_properties_need_no_name(asking):
    """D9: without a name the whole filter was ignored."""
    await asking.write(
        Event(1, NOON, name="a", data={"plan": "pro"}), Event(2, NOON, name="b", data={"plan": "free"}), Event(3, NOON)
    )
    assert await asking.users("event(property:plan:is:pro)") == 1
    assert await asking.users("event(name:any:,property:plan:isNot:pro)") == 2


@pytest.mark.parametrize("value", ["foo", "#foo"])
async def test_fragments_compare_without_their_sign(asking, value):
    """D10: a # was put in, doubled, or searched for in the middle."""
    await asking.write(Event(1, NOON, hash="#foo"), Event(2, NOON, hash="#barfoo"), Event(3, NOON))
    assert await asking.users(f"page(hash:is:{value})") == 1
    assert await asking.users(f"page(hash:contains:{value})") == 2
    assert await asking.users(f"page(hash:endsWith:{value})") == 2
    assert await asking.users("page(hash:is:)") == 1


async def test_no_letter_stands_for_others_and_case_is_one_rule(asking):
    """D11: % and _ matched anything."""
    await asking.write(
        Event(1, NOON, pathname="/100%"), Event(2, NOON, pathname="/1000"), Event(3, NOON, pathname="/A_b")
    )
    assert await asking.users("page(path:contains:0%)") == 1
    assert await asking.users("page(path:startsWith:/a_)") == 1
    assert await asking.users("page(path:endsWith:_B)") == 1
    assert await asking.users("page(path:is:/a_b)") == 0


async def test_addresses_are_stored_with_escapes_and_typed_without(asking):
    await asking.write(
        Event(1, NOON, pathname="/%C3%BCber%20uns"),
        Event(2, NOON, pathname="/Stra%C3%9Fe", hash="#%C3%BCber"),
        Event(3, NOON, pathname="/uber", hash="#uber"),
    )
    expected = {
        "path:is:/\u00fcber uns": 1,
        "path:is:/\u00dcber uns": 0,
        "path:is:/\u00fcber%20uns": 1,
        "path:is:/%C3%BCber%20uns": 1,
        "path:isNot:/\u00fcber uns": 2,
        "path:contains:\u00dcBER": 1,
        "path:notContains:\u00dcber": 2,
        "path:startsWith:/\u00fc": 1,
        "path:endsWith:tra\u00dfe": 1,
        "hash:is:\u00fcber": 1,
    }
    assert {condition: await asking.users(f"page({condition})") for condition in expected} == expected


async def test_addresses_of_referrers_are_stored_with_escapes_too(asking):
    visit = Visit(1, NOON, referrer_url="https://example.com/%C3%BCber")
    await asking.write(visit, Event(1, NOON, visit.id), Event(2, NOON))
    assert await asking.users("referrerUrl(url:contains:/\u00fc)") == 1


async def test_properties_are_compared_by_what_they_are(asking):
    """D18: null, nothing and an empty text were one; numbers compared as text."""
    data = [{"n": 5}, {"n": "5"}, {"n": 10}, {"n": None}, {"n": ""}, {}, {"n": True}, {"n": 2.50}]
    await asking.write(*(Event(user, NOON, name="x", data=one) for user, one in enumerate(data)))
    assert await asking.users("event(property:n:is:5)") == 2
    assert await asking.users("event(property:n:is:5.0)") == 2
    assert await asking.users("event(property:n:is:)") == 1
    assert await asking.users("event(property:n:gt:5)") == 1
    assert await asking.users("event(property:n:gte:5)") == 3
    assert await asking.users("event(property:n:lt:5)") == 1
    assert await asking.users("event(property:n:is:true)") == 1
    assert await asking.users("event(property:n:is:2.5)") == 1


async def test_large_numbers_are_compared_to_the_last_digit(asking):
    """Beyond 2^53 neighbours were one number."""
    data = [{"n": 2**53}, {"n": 2**53 + 1}, {"n": str(2**53 + 2)}, {"n": 2**64 - 1}, {"n": -(2**63)}, {"n": 1e22}]
    await asking.write(*(Event(user, NOON, name="x", data=one) for user, one in enumerate(data)))
    assert await asking.users(f"event(property:n:gt:{2**53})") == 4
    assert await asking.users(f"event(property:n:gte:{2**53 + 1})") == 4
    assert await asking.users(f"event(property:n:lt:{2**53 + 1})") == 2
    assert await asking.users(f"event(property:n:lte:{2**53 + 1}.5)") == 3
    assert await asking.users(f"event(property:n:gt:{2**64 - 2}.5)") == 2
    assert await asking.users(f"event(property:n:lt:-{2**63 - 1})") == 1
    assert await asking.users(f"event(property:n:gte:{10**22})") == 1
    assert await asking.users(f"event(property:n:gt:{'9' * 300})") == 0


async def test_values_are_bound(asking):
    """D4: what a person typed was part of the statement's text."""
    await asking.write(Event(1, NOON, name="x", data={"sessionId": "it's \\' OR 1=1 --"}))
    assert await asking.users("event(property:sessionId:is:it's \\' OR 1=1 --)") == 1
    conditions = compile_filters(filter_text.read("page(path:is:' OR 1=1 --)"))
    assert "OR 1=1" not in statement("online", {"users": conditions.users()})


async def test_an_event_is_used_for_one_step(asking):
    """D25: one event was counted for all steps it fits, and the order within a second did not matter."""
    home = Step("1", "", PageFilter(Text(value="/")))
    await asking.write(
        Event(1, NOON, pathname="/"),
        Event(2, NOON, pathname="/"),
        Event(2, NOON, pathname="/"),
        Event(3, NOON + 1, pathname="/"),
        Event(3, NOON, name="signup", pathname="/"),
        Event(4, NOON, pathname="/"),
        Event(4, NOON + 7 * 86_400_000, name="signup"),
        Event(5, NOON, pathname="/"),
        Event(5, NOON + 7 * 86_400_000 + 1, name="signup"),
    )
    range_ = timespan.resolve(Timespan("30days"), NOON + 8 * 86_400_000, "UTC")

    async def users(text, funnel):
        conditions = compile_filters(filter_text.read(text), [funnel])
        shown = await dashboard.load_chart(asking.engine, asking.project, range_, conditions)
        return values(shown)["users"]

    assert await users("funnel(f:1:completed)", Funnel("f", "", (home, home))) == 1
    assert await users("funnel(f:1:completed)", SIGNED_UP) == 1
    assert await users("funnel(f:1:notCompleted)", SIGNED_UP) == 4
    assert await users("funnel(gone:1:completed)", SIGNED_UP) == 5
    assert await users("funnel(f:2:completed)", SIGNED_UP) == 5


async def test_a_deleted_visit_picks_nobody(asking):
    """D2."""
    visit = Visit(1, NOON, country="AT")
    rows_ = Rows(asking.project.id)
    rows_.visit(visit, version=1)
    rows_.visit(visit, version=2, deleted=True, batch=1)
    rows_.event(Event(1, NOON))
    await rows_.insert(asking.engine)
    assert await asking.users("location(country:oneOf:AT)") == 0
    assert await asking.users("") == 1


async def test_the_window_before_has_users_of_its_own(asking):
    await asking.write(
        Event(1, NOON, pathname="/a"),
        Event(1, NOON - 86_400_000, pathname="/b"),
        Event(2, NOON - 86_400_000, pathname="/a"),
    )
    tile = (await asking.load("page(path:is:/a)")).tiles["users"]
    assert (tile.value, tile.previous) == (1, 1)
    tile = (await asking.load("page(path:isNot:/a)")).tiles["users"]
    assert (tile.value, tile.previous) == (0, 1)
