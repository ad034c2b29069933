"""Funnels counted: the original's fixture, its defects, and random histories against plain Python."""

import asyncio
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.kit import engines
from tests.stats import filter_oracle, history
from tests.stats.conftest import in_process
from tests.stats.history import Event, Rows
from tests.stats.test_dashboard import EVENTS, TWO_DAYS, VIEWS, VISITS, at
from vemetric.accounts.funnels import STEPS_MAX
from vemetric.model import filter_text, timespan
from vemetric.model.filters import EventFilter, PageFilter, Property, Text, TextOperator
from vemetric.model.funnel import Funnel, Step
from vemetric.model.timespan import Timespan
from vemetric.stats import funnels
from vemetric.stats.filters import compile_filters

NOON = at("2026-03-10T12:00:00")
DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS


def page(path, operator=TextOperator.IS):
    return Step(path, "", PageFilter(Text(operator, path)))


def event(name, *properties):
    return Step(name, "", EventFilter(Text(value=name), properties))


SIGNUP = Funnel("f", "Signup", (page("/"), event("signup")))
TWICE = Funnel("t", "Twice", (page("/"), page("/")))
LONG = Funnel("l", "Long", (page("/"), page("/a"), event("signup"), page("/")), window_seconds=60)


class Asking:
    """Writes a project's history and counts its funnels."""

    def __init__(self, backend, project):
        self.engine = backend
        self.project = project
        self.rows = Rows(project.id)

    async def write(self, *items):
        for item in items:
            (self.rows.event if isinstance(item, Event) else self.rows.visit)(item)
        await self.rows.insert(self.engine)

    async def count(self, *asked, text="", chosen=Timespan("30days"), now=NOON + 8 * DAY_MS):  # noqa: B008
        range_ = timespan.resolve(chosen, now, "UTC")
        conditions = compile_filters(filter_text.read(text), asked)
        return await funnels.count(self.engine, self.project, range_, asked, conditions)

    async def users(self, funnel, **values):
        [counted] = await self.count(funnel, **values)
        return counted.users


@pytest.fixture
def asking(backend, project):
    return Asking(backend, project)


@pytest.mark.parametrize(
    ("text", "chosen", "active", "users", "rates"),
    [
        ("", TWO_DAYS, 4, (4, 2), (50, 50)),
        ("location(country:oneOf:US)", TWO_DAYS, 3, (3, 2), (66.67, 66.67)),
        ("", Timespan("30days"), 5, (4, 2), (50, 40)),
        ("location(country:oneOf:FR)", TWO_DAYS, 0, (0, 0), (0, 0)),
    ],
)
async def test_the_original_fixture(asking, text, chosen, active, users, rates):
    views = [Event(user, at(when), pathname=path) for user, when, path in VIEWS]
    await asking.write(*VISITS, *views, *(Event(user, at(when), name=name) for user, when, name, _ in EVENTS))
    [counted] = await asking.count(SIGNUP, text=text, chosen=chosen, now=at("2026-01-19T11:22:00"))
    assert (counted.active_users, counted.users) == (active, users)
    assert (counted.conversion, counted.active_conversion) == rates
    assert counted.step_rate(0) == (100 if users[0] else 0)
    assert counted.step_rate(1) == counted.conversion


def test_rates_are_rounded_half_up():
    counted = funnels.Counted(SIGNUP, (120, 45), 230)
    assert (counted.conversion, counted.active_conversion) == (37.5, 19.57)
    assert [funnels.rate(*one) for one in ((2, 3), (1, 800), (1, 0), (0, 7))] == [66.67, 0.13, 0, 0]


async def test_one_event_is_counted_for_one_step(asking):
    """D25 a: one event that fits several steps in a row was counted for all of them."""
    await asking.write(Event(1, NOON), Event(2, NOON), Event(2, NOON), Event(3, NOON), Event(3, NOON + 1))
    assert await asking.users(TWICE) == (3, 2)


async def test_the_order_within_a_second_counts(asking):
    """D25 b: within a second a sign-up before the page converted. Within one millisecond nothing has an order."""
    await asking.write(
        Event(1, NOON + 1),
        Event(1, NOON, name="signup"),
        Event(2, NOON, name="signup"),
        Event(2, NOON),
    )
    assert await asking.users(SIGNUP) == (2, 1)


async def test_events_of_one_instant_are_taken_as_suits_the_user_best(asking):
    """They were taken by the lowest step that each fits, so that the page was used up for the first step."""
    thrice = Funnel("r", "", (page("/"), event("signup"), page("/")))
    anything = Step("any", "", EventFilter())
    mixed = Funnel("m", "", (event("signup"), anything, event("buy"), anything))
    await asking.write(
        Event(1, NOON - 9), Event(1, NOON), Event(1, NOON, name="signup"),
        Event(2, NOON), Event(2, NOON), Event(2, NOON, name="signup"),
        Event(3, NOON), Event(3, NOON, name="signup"),
        *(Event(4, NOON, name=name) for name in ("buy", "signup", "buy", "x", "x")),
        *(Event(5, NOON, name="buy") for _ in range(200)), Event(5, NOON, name="signup"),
    )  # fmt: skip
    found = await asking.count(thrice, mixed)
    assert [one.users for one in found] == [(3, 3, 2), (5, 2, 2, 2)]


async def test_an_instant_may_hold_a_whole_way(asking):
    longest = Funnel("w", "", (page("/"), *(page("/", TextOperator.STARTS_WITH) for _ in range(STEPS_MAX - 1))))
    await asking.write(
        *(Event(1, NOON) for _ in range(STEPS_MAX)), *(Event(2, NOON, pathname="/a") for _ in range(STEPS_MAX)),
        Event(3, NOON), *(Event(3, NOON, pathname=f"/{number}") for number in range(STEPS_MAX - 2)),
    )  # fmt: skip
    assert await asking.users(longest) == (2,) * (STEPS_MAX - 1) + (1,)


async def test_the_window_is_inclusive_and_the_funnels_own(asking):
    """D25: it was fixed, in seconds."""
    await asking.write(
        Event(1, NOON),
        Event(1, NOON + WEEK_MS, name="signup"),
        Event(2, NOON),
        Event(2, NOON + WEEK_MS + 1, name="signup"),
    )
    assert await asking.users(SIGNUP) == (2, 1)
    shorter = Funnel("s", "", SIGNUP.steps, window_seconds=WEEK_MS // 1000 - 1)
    longer = Funnel("s", "", SIGNUP.steps, window_seconds=WEEK_MS // 1000 + 1)
    assert [one.users for one in await asking.count(shorter, longer)] == [(2, 0), (2, 2)]


async def test_a_later_start_opens_the_window_anew_and_others_do_not_close_it(asking):
    await asking.write(
        Event(1, NOON), Event(1, NOON + WEEK_MS), Event(1, NOON + WEEK_MS + 1, pathname="/x"),
        Event(1, NOON + WEEK_MS + 5, name="signup"),
    )  # fmt: skip
    assert await asking.users(SIGNUP) == (1, 1)


async def test_what_was_taken_back_or_given_to_another_user_counts_no_more(asking):
    """D1: rows that a merge took back were counted."""
    moved, gone = Event(1, NOON), Event(2, NOON, name="signup")
    asking.rows.event(moved)
    asking.rows.event(moved, sign=-1, batch=1)
    asking.rows.event(Event(2, NOON - 1, id=moved.id), batch=1)
    asking.rows.event(gone, batch=1)
    asking.rows.event(gone, sign=-1, batch=2)
    await asking.write()
    [counted] = await asking.count(SIGNUP)
    assert (counted.active_users, counted.users) == (1, (1, 0))


async def test_a_way_that_began_before_the_range_is_none(asking):
    """D25: steps before the range are not looked at, which the page says."""
    await asking.write(Event(1, NOON - DAY_MS), Event(1, NOON, name="signup"))
    assert await asking.users(SIGNUP, chosen=Timespan("24hrs"), now=NOON + 60_000) == (0, 0)
    assert await asking.users(SIGNUP, chosen=Timespan("7days"), now=NOON + 60_000) == (1, 1)


async def test_steps_take_operators_and_properties(asking):
    await asking.write(
        Event(1, NOON, pathname="/docs/a"), Event(1, NOON + 1, name="buy", data={"seats": 5}),
        Event(2, NOON, pathname="/docs"), Event(2, NOON + 1, name="buy", data={"seats": "2"}),
    )  # fmt: skip
    bought = Funnel(
        "b",
        "",
        (page("/DOCS", TextOperator.STARTS_WITH), event("buy", Property("seats", "gte", "3"))),
        window_seconds=60,
    )
    anything = Funnel("a", "", (Step("1", "", PageFilter()), Step("2", "", EventFilter())))
    assert [one.users for one in await asking.count(bought, anything)] == [(2, 1), (2, 2)]


async def test_more_funnels_than_one_statement_takes(asking):
    await asking.write(Event(1, NOON), Event(1, NOON + 1, name="signup"))
    asked = [SIGNUP, LONG] * funnels.FUNNELS_AT_ONCE
    found = await asking.count(*asked)
    assert [one.users for one in found] == [(1, 1), (1, 0, 0, 0)] * funnels.FUNNELS_AT_ONCE
    assert await asking.count() == []


async def test_progress_is_of_one_user_and_of_all_time(asking):
    await asking.write(
        Event(1, at("2019-01-01T00:00:00")), Event(1, at("2019-01-01T00:00:30"), pathname="/a"), Event(2, NOON)
    )
    assert await funnels.progress(asking.engine, asking.project, 1, [SIGNUP, LONG]) == [1, 2]
    assert await funnels.progress(asking.engine, asking.project, 3, [SIGNUP, LONG]) == [0, 0]


class Told:
    """A random history full of events of one millisecond, and random funnels."""

    def __init__(self, seed):
        chance = random.Random(seed)
        self.project = history.a_project()
        self.rows = Rows(self.project.id)
        self.events = []
        for _ in range(chance.randint(0, 24)):
            self._event(chance)
        self.funnels = [self._funnel(chance, number) for number in range(chance.randint(1, 3))]
        self.user = chance.randint(1, 4)
        self.text = chance.choice(("", "page(path:is:/a)", f"funnel(f0:{chance.randint(0, 3)}:notCompleted)"))

    def _event(self, chance):
        one = Event(
            user=chance.randint(1, 3),
            at_ms=NOON + chance.choice((0, 0, 0, 1, 2, 999, 1000, 1001, 59_999, 60_000, 60_001, -DAY_MS * 40)),
            name=chance.choice((history.PAGE_VIEW, history.PAGE_VIEW, "signup", "buy")),
            pathname=chance.choice(("/", "/a", "/b")),
        )
        self.rows.event(one)
        fate = chance.choice(("kept", "kept", "kept", "deleted", "moved"))
        if fate != "kept":
            self.rows.event(one, sign=-1, batch=1)
        if fate == "moved":
            one = Event(4, one.at_ms, name=one.name, pathname=one.pathname, id=one.id)
            self.rows.event(one, batch=1)
        if fate != "deleted":
            self.events.append(one)

    def _funnel(self, chance, number):
        steps = (
            page("/"), page("/a"), page("/", TextOperator.STARTS_WITH), page("/b", TextOperator.IS_NOT),
            event("signup"), event("buy"), Step("e", "", EventFilter()), Step("p", "", PageFilter()),
        )  # fmt: skip
        chosen = tuple(chance.choice(steps) for _ in range(chance.choice((1, 2, 3, 4, 5, STEPS_MAX))))
        return Funnel(f"f{number}", "", chosen, window_seconds=chance.choice((1, 60, 3600)))


def compare(backend, seed):
    backend = engines.of_any_loop(backend)
    told = Told(seed)
    range_ = timespan.resolve(Timespan("7days"), NOON + DAY_MS, "UTC")

    async def written_and_counted():
        await told.rows.insert(backend)
        conditions = compile_filters(filter_text.read(told.text), told.funnels)
        counted = await funnels.count(backend, told.project, range_, told.funnels, conditions)
        return counted, await funnels.progress(backend, told.project, told.user, told.funnels)

    counted, ever = asyncio.run(written_and_counted())
    inside = [one for one in told.events if range_.start_ms <= one.at_ms < range_.end_ms]
    picks = filter_oracle.Filters(filter_text.read(told.text), told.events, [], told.funnels).users(range_)
    users = {one.user for one in inside if picks(one.user)}
    for funnel, found in zip(told.funnels, counted, strict=True):
        stages = [filter_oracle.stage(funnel, [one for one in inside if one.user == user]) for user in users]
        assert found.users == tuple(sum(stage > step for stage in stages) for step in range(len(funnel.steps)))
        assert found.active_users == len(users)
    events = [one for one in told.events if one.user == told.user]
    assert ever == [filter_oracle.stage(funnel, events) for funnel in told.funnels]


def test_every_backend_counts_what_the_oracle_counts(backend):
    for seed in range(3):
        compare(backend, seed)


@in_process
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32))
def test_funnels_count_what_the_oracle_counts(backend, seed):
    compare(backend, seed)


@pytest.mark.long
@pytest.mark.timeout(3600)
@settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32))
def test_funnels_count_what_the_oracle_counts_for_long(backend, seed):
    compare(backend, seed)
