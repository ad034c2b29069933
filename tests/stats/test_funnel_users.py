"""Who the funnels of a page's filters pick: found once for all its statements, up to a bound, for that page alone."""

import pytest

from tests.stats.history import Event, Rows, Visit
from tests.stats.test_dashboard import at, values
from vemetric.model import filter_text, timespan
from vemetric.model.filters import EventFilter, PageFilter, Text
from vemetric.model.funnel import Funnel, Step
from vemetric.model.timespan import Timespan
from vemetric.stats import dashboard, funnel_users, funnels
from vemetric.stats.filters import compile_filters

NOON = at("2026-03-10T12:00:00")
WEEK_MS = 7 * 86_400_000
HOME, SIGNUP = Step("1", "", PageFilter(Text(value="/"))), Step("2", "", EventFilter(Text(value="signup")))
FUNNEL = Funnel("f", "Signup", (HOME, SIGNUP))
RANGE = timespan.resolve(Timespan("7days"), NOON + 60_000, "UTC")
DONE, FAILED = "funnel(f:1:completed)", "funnel(f:1:notCompleted)"
# Users 1 to 3 and 5 begin, 1 and 3 sign up; in the week before, 5 and 6 did.
DONE_IN_BOTH = 4


class Watched:
    """A store that keeps what it was asked."""

    def __init__(self, engine):
        self._engine = engine
        self.asked = []

    async def query(self, sql, parameters=None):
        self.asked.append((sql, parameters))
        return await self._engine.query(sql, parameters)

    @property
    def folds(self):
        return sum("arrayFold" in sql for sql, _ in self.asked)


@pytest.fixture
async def watched(backend, project):
    rows = Rows(project.id)
    for user in (1, 2, 3, 5):
        rows.visit(Visit(user, NOON - 9, id=f"v{user}"))
        rows.event(Event(user, NOON - 9, f"v{user}"))
    for user, at_ms in ((1, NOON), (3, NOON), (2, NOON - 10), (5, NOON - WEEK_MS), (6, NOON - WEEK_MS)):
        rows.event(Event(user, at_ms, f"v{user}", "signup"))
    for user in (5, 6):
        rows.event(Event(user, NOON - WEEK_MS - 1, f"w{user}"))
    await rows.insert(backend)
    return Watched(backend)


def compiled(text):
    return compile_filters(filter_text.read(text), [FUNNEL])


async def load(watched, project, text):
    return await dashboard.load(watched, project, RANGE, conditions=compiled(text))


async def test_all_statements_of_a_page_share_what_was_found(watched, project):
    shown = await load(watched, project, DONE)
    assert (values(shown)["users"], values(shown)["visits"], shown.cards["pages"].rows[0].users) == (2, 2, 2)
    assert shown.buckets[-1].users == 2
    assert sum(bucket.previous_users for bucket in shown.buckets) == 2
    assert watched.folds == 1
    assert sum("arrayJoin" in sql for sql, _ in watched.asked) > 5


@pytest.mark.parametrize(("text", "users"), [(DONE, 2), (FAILED, 2), (f"{FAILED};event(name:is:signup)", 1)])
@pytest.mark.parametrize(("most", "is_shared"), [(DONE_IN_BOTH, True), (DONE_IN_BOTH - 1, False)])
async def test_beyond_a_bound_each_statement_finds_them(watched, project, monkeypatch, text, users, most, is_shared):
    expected = await load(watched, project, text)
    watched.asked.clear()
    monkeypatch.setattr(funnel_users, "HANDED_ON_MAX", most)
    found = await load(watched, project, text)
    assert values(found)["users"] == users
    assert (found.tiles, found.buckets, found.cards) == (expected.tiles, expected.buckets, expected.cards)
    assert (watched.folds == 1) is is_shared


async def test_the_bound_is_for_all_funnels_of_a_page(watched, project, monkeypatch):
    monkeypatch.setattr(funnel_users, "HANDED_ON_MAX", DONE_IN_BOTH)
    conditions = await funnel_users.settle(watched, project, RANGE, compiled(f"or({DONE};{FAILED})"))
    assert [mark.is_handed_on for mark in conditions.marks.values()] == [True, False]
    assert await funnel_users.settle(watched, project, RANGE, conditions) == conditions
    assert watched.folds == 2
    [counted] = await funnels.count(watched, project, RANGE, [FUNNEL], conditions)
    assert (counted.active_users, counted.users) == (4, (4, 2))


async def test_the_next_page_finds_them_anew(watched, backend, project):
    conditions = compiled(DONE)
    shown = [await dashboard.load_chart(watched, project, RANGE, conditions)]
    rows = Rows(project.id)
    rows.event(Event(2, NOON, "v2", "signup"), batch=1)
    await rows.insert(backend)
    shown.append(await dashboard.load_chart(watched, project, RANGE, conditions))
    assert [values(one)["users"] for one in shown] == [2, 3]


async def test_without_a_fold_nothing_is_found_before(watched, project):
    for text, users in (("funnel(f:0:completed)", 4), ("funnel(f:0:notCompleted)", 0), ("event(name:is:signup)", 3)):
        watched.asked.clear()
        assert values(await load(watched, project, text))["users"] == users
        assert not any("reached" in sql for sql, _ in watched.asked)


async def test_as_many_as_are_handed_on_reach_the_store(backend, project):
    """A megabyte: more than an address or a header may be."""
    rows = Rows(project.id)
    rows.event(Event(2**64 - 1, NOON))
    rows.event(Event(7, NOON))
    await rows.insert(backend)
    many = ",".join(str(2**64 - 1 - number) for number in range(funnel_users.HANDED_ON_MAX))
    conditions = compiled(DONE).settled({0: (f"[{many}]", "[]")})
    assert values(await dashboard.load_chart(backend, project, RANGE, conditions))["users"] == 1
