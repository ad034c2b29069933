"""Random filters over random histories: the store picks the users and rows that the oracle picks."""

import asyncio
import random

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.kit import engines
from tests.stats import history
from tests.stats.conftest import in_process
from tests.stats.filter_oracle import Filters
from tests.stats.test_oracle import CASES, MOMENTS, PATHS, History, a_range, check
from vemetric.clickhouse.engine import Engine
from vemetric.model import filter_text, filters
from vemetric.model.filters import Choice, Group, Joined, ListOperator, Property, PropertyOperator, Text, TextOperator
from vemetric.model.funnel import Funnel, Step
from vemetric.stats.filters import compile_filters

FUNNELS = (
    Funnel(
        "f",
        "Signup",
        (
            Step("1", "", filters.PageFilter(path=Text(TextOperator.IS_NOT, "/c"))),
            Step("2", "", filters.PageFilter(path=Text(TextOperator.STARTS_WITH, "/"))),
            Step("3", "", filters.EventFilter()),
        ),
        window_seconds=7200,
    ),
)


def text(chance: random.Random, *values: str) -> Text:
    return Text(chance.choice([*TextOperator]), chance.choice(values))


def choice(chance: random.Random, *values: str) -> Choice:
    return Choice(chance.choice([*ListOperator]), tuple(chance.sample(values, chance.randint(0, 2))))


def some(chance: random.Random, value):
    return chance.choice((None, value))


def a_property(chance: random.Random) -> Property:
    return Property(
        chance.choice(("plan", "seats", "50%_", "none")),
        chance.choice([*PropertyOperator]),
        chance.choice(("pro", "START", "5", "5.0", "7", "2.4", "9007199254740993", str(2**60 + 1), "_", "%", "")),
    )


def a_leaf(chance: random.Random) -> filters.Leaf:
    origins = ("https://example.com", "DOCS", "%")
    return chance.choice(
        (
            lambda: filters.PageFilter(
                some(chance, text(chance, *PATHS, "Ü", "%", "_")),
                some(chance, text(chance, *origins)),
                some(chance, text(chance, "", "top", "#top", "o")),
            ),
            lambda: filters.EventFilter(
                some(chance, text(chance, "signup", "CLICK", "i", "%")),
                tuple(a_property(chance) for _ in range(chance.randint(0, 2))),
            ),
            lambda: filters.UserFilter(chance.choice((True, False))),
            lambda: filters.LocationFilter(
                some(chance, choice(chance, "AT", "DE", "")), some(chance, choice(chance, "Linz", "Wien", ""))
            ),
            lambda: filters.ReferrerFilter(text(chance, "", "Google", "NEW")),
            lambda: filters.ReferrerUrlFilter(text(chance, "", "https://google.com", "example")),
            lambda: filters.ReferrerTypeFilter(choice(chance, "search", "unknown")),
            lambda: filters.UtmFilter(
                source=some(chance, text(chance, "", "spring")), campaign=text(chance, "launch", "Launch")
            ),
            lambda: filters.BrowserFilter(choice(chance, "Chrome", "Safari", "Firefox")),
            lambda: filters.DeviceFilter(choice(chance, "desktop", "mobile")),
            lambda: filters.OsFilter(choice(chance, "macOS", "Linux", "Windows")),
            lambda: filters.FunnelFilter(
                chance.choice(("f", "f", "f", "gone")), chance.randint(0, 3), chance.choice([*filters.FunnelOperator])
            ),
        )
    )()


def a_group(chance: random.Random, depth: int = 0) -> Group:
    children = tuple(
        a_group(chance, depth + 1) if depth < 2 and chance.random() < 0.25 else a_leaf(chance)
        for _ in range(chance.choice((0, 1, 1, 2, 3) if depth else (1, 1, 2, 3)))
    )
    return Group(chance.choice([*Joined]), children)


def compare(backend: Engine, seed: int, chosen: str, zone: str) -> None:
    backend = engines.of_any_loop(backend)
    chance = random.Random(seed)
    range_ = a_range(chance, chosen, zone)
    told = History(chance, range_)
    group = a_group(chance)

    async def written_and_checked() -> None:
        await told.rows.insert(backend)
        pick = Filters(group, told.events, told.visits, FUNNELS)
        await check(backend, told, range_, compile_filters(group, FUNNELS), pick)

    asyncio.run(written_and_checked())


@in_process
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(**CASES)
def test_filters_pick_what_the_oracle_picks(backend, seed, chosen, zone):
    compare(backend, seed, chosen, zone)


def test_every_backend_picks_what_the_oracle_picks(backend):
    for seed, zone in enumerate(("Europe/Vienna", "Pacific/Apia")):
        compare(backend, seed, "7days", zone)


# 600 examples take longer than a test may.
@pytest.mark.long
@pytest.mark.timeout(3600)
@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(**CASES)
def test_filters_pick_what_the_oracle_picks_for_long(backend, seed, chosen, zone):
    compare(backend, seed, chosen, zone)


@in_process
async def test_merges_change_nothing_for_filters(backend):
    told = []
    for seed, zone in enumerate(MOMENTS):
        chance = random.Random(seed)
        range_ = a_range(chance, "7days", zone)
        told.append((History(chance, range_), range_, a_group(chance)))
        await told[-1][0].rows.insert(backend)
    await history.merge(backend)
    for one, range_, group in told:
        pick = Filters(group, one.events, one.visits, FUNNELS)
        await check(backend, one, range_, compile_filters(group, FUNNELS), pick)


# One group in a set, which was read as the set itself.
@example(561)
@given(st.integers(0, 2**32))
def test_every_set_is_the_same_after_its_url(seed):
    group = a_group(random.Random(seed))
    read = filter_text.read(filter_text.write(group))
    assert read is not None
    assert [*filters.leaves(read)] == [*filters.leaves(group)]
    assert filter_text.read(filter_text.write(read)) == read
