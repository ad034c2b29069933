"""Each store copied by itself: what comes out is equal, a second run changes nothing, a foreign target is refused."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

from tests import relational as backends
from tests.kit import engines
from tests.kit.clickhouse_server import ClickHouseServer
from tests.queues.conftest import open_redis, open_sqlite
from vemetric import config, errors
from vemetric.accounts import projects, signup
from vemetric.clickhouse import rows
from vemetric.clickhouse.server import ServerEngine
from vemetric.clock import FrozenClock
from vemetric.database import tables
from vemetric.moving import analytics, move, queue, relational
from vemetric.moving.compared import Fingerprint
from vemetric.queues.job import KeySet, NewJob, Write
from vemetric.queues.redis import RedisQueue
from vemetric.queues.sqlite import SqliteQueue

SHOP = 18_446_744_073_709_551_000
START_MS = 1_767_268_800_123
DAY_MS = 86_400_000


def test_a_statement_of_a_move_may_take_longer_than_a_page(environ: dict[str, str]) -> None:
    usual, _ = config.load(environ)
    patient = move.unhurried(usual)
    assert usual.engine_query_seconds < move.STATEMENT_SECONDS == patient.engine_query_seconds
    assert usual.engine_insert_seconds < move.STATEMENT_SECONDS == patient.engine_insert_seconds
    more, _ = config.load(environ | {"VEMETRIC_ENGINE_QUERY_SECONDS": "3600"})
    assert move.unhurried(more).engine_query_seconds == 3_600


def test_a_fingerprint_tells_rows_apart_but_not_their_order() -> None:
    found = []
    for given in ([("a", 1), ("b", 2)], [("b", 2), ("a", 1)], [("a", 2), ("b", 1)], [("a", 1)]):
        fingerprint = Fingerprint()
        fingerprint.add(given)
        found.append(fingerprint)
    assert found[0] == found[1]
    assert found[0] not in found[2:]


async def test_accounts_move_to_postgresql_and_again(tmp_path: Path, clock: FrozenClock) -> None:
    async with backends.open_database("sqlite", tmp_path) as source:
        await signup.create_account(source, clock, "ann@example.com", "a good password", "Ann Ä")
        await projects.create_by_operator(source, clock, "Shop", "shop.example.com", "Europe/Vienna")
        async with backends.open_database("postgresql", tmp_path) as target:
            first = await relational.copy(source, target)
            assert {one.table: one.rows for one in first}["project"] == 1
            await projects.create_by_operator(source, clock, "Blog", "blog.example.com", "UTC")
            second = await relational.copy(source, target)
            assert {one.table: one.rows for one in second}["project"] == 2
            assert {one.table for one in second} == set(tables.metadata.tables)
            async with target.connect() as connection:
                assert await connection.value(sqlalchemy.select(tables.account.c.name)) == "Ann Ä"


async def test_accounts_of_another_instance_are_not_overwritten(tmp_path: Path, clock: FrozenClock) -> None:
    async with (
        backends.open_database("sqlite", tmp_path) as source,
        backends.open_database("postgresql", tmp_path) as target,
    ):
        other = await signup.create_account(target, clock, "bob@example.com", "a good password", "Bob")
        with pytest.raises(errors.Conflict, match="another instance"):
            await relational.copy(source, target)
        async with target.connect() as connection:
            assert await connection.value(sqlalchemy.select(tables.account.c.id)) == other.id


@pytest.fixture
async def two_engines(tmp_path: Path) -> AsyncIterator[tuple[ServerEngine, ServerEngine]]:
    async with AsyncExitStack() as stack:
        opened = []
        for name in ("source", "target"):
            server = ClickHouseServer(tmp_path / name, password="x").start()
            stack.callback(server.stop)
            opened.append(await stack.enter_async_context(engines.on_server(server)))
        yield opened[0], opened[1]


def some_events(count: int) -> list[tuple[Any, ...]]:
    values = {"projectId": SHOP, "deviceId": 1, "isPageView": 1, "latitude": 48.2083, "longitude": None, "mergeId": 0}
    made = []
    for number in range(count):
        own = {
            "sign": 1,
            "userId": number % 97,
            "id": f"e{number}",
            "createdAt": rows.timestamp(START_MS + number * DAY_MS // 300),
            "city": "Wien\n'\"\\" if number % 3 else "",
            "countryCode": "AT" if number % 3 else "",
        }
        made.append(tuple((values | own).get(column, "") for column in rows.EVENT_COLUMNS))
    return made


def test_days_are_copied_together_as_far_as_they_are_few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analytics, "PIECE_ROWS", 100)
    days = [("01", 50), ("02", 50), ("03", 1), ("04", 300), ("05", 99), ("09", 1)]
    spans = [("01", "02", 100), ("03", "03", 1), ("04", "04", 300), ("05", "09", 100)]
    assert list(analytics._spans(days)) == spans
    assert list(analytics._spans([])) == []


@pytest.mark.parametrize(("piece_rows", "copied_min"), [(100, 150), (1_000, 599)])
async def test_analytics_move_as_they_count_and_a_second_run_goes_on(
    two_engines: tuple[ServerEngine, ServerEngine], monkeypatch: pytest.MonkeyPatch, piece_rows: int, copied_min: int
) -> None:
    monkeypatch.setattr(analytics, "PIECE_ROWS", piece_rows)
    source, target = two_engines
    events = some_events(600)
    await source.insert("event", rows.EVENT_COLUMNS, events)
    # One is written twice, one is taken back: neither shows.
    taken_back = (-1, *events[1][1:])
    await source.insert("event", rows.EVENT_COLUMNS, [events[0], taken_back])
    copied = {one.table: one for one in await analytics.copy(source, target)}
    assert copied["event"].rows == 599
    # As after an interruption: a part of the target is missing.
    await target.command("ALTER TABLE event DELETE WHERE cityHash64(id) % 3 = 0 SETTINGS mutations_sync = 2")
    told: list[str] = []
    again = {one.table: one for one in await analytics.copy(source, target, told.append)}
    assert again == copied
    [line] = [line for line in told if line.startswith("event:")]
    assert copied_min <= int(line.split(", ")[-1].split()[0]) <= max(copied_min, 598)
    told.clear()
    assert {one.table: one for one in await analytics.copy(source, target, told.append)} == copied
    assert "event: 599 rows, 0 of them copied now" in told


async def test_analytics_with_rows_of_others_are_told(two_engines: tuple[ServerEngine, ServerEngine]) -> None:
    source, target = two_engines
    await source.insert("event", rows.EVENT_COLUMNS, some_events(10))
    await target.insert("event", rows.EVENT_COLUMNS, some_events(11)[10:])
    with pytest.raises(errors.Conflict, match=r"give an empty one|instead of 10"):
        await analytics.copy(source, target)


@pytest.fixture
async def two_queues(tmp_path: Path, clock: FrozenClock) -> AsyncIterator[tuple[SqliteQueue, RedisQueue]]:
    async with open_sqlite(tmp_path, clock) as source, open_redis("valkey", tmp_path, clock) as target:
        yield source, target


async def bury(source: SqliteQueue, *payloads: bytes) -> None:
    await source.put(Write(jobs=[NewJob("event", payload) for payload in payloads]))
    await source.bury(await source.claim("event", 10, 60), "it was too long")


async def test_a_queue_moves_with_keys_counters_and_dead_letters(
    two_queues: tuple[SqliteQueue, RedisQueue], tmp_path: Path, clock: FrozenClock
) -> None:
    source, target = two_queues
    until_ms = clock.now_ms() + 60_000
    sets = [KeySet(f"k{number:04}", b"\0v%d" % number, until_ms if number % 2 else 0) for number in range(1_100)]
    await source.put(
        Write(keys=[*sets, KeySet("gone", b"x", clock.now_ms() + 1)], counters={"accepted:1": 7, "none": 0})
    )
    await bury(source, b"one", b"two", b"one")
    await source.close()
    clock.advance(10)
    async with open_sqlite(tmp_path, clock) as reopened:
        for added in (0, 3):
            await reopened.add({"accepted:1": added})
            compared = await queue.copy(reopened, tmp_path / "queue.db", target, clock)
            assert {one.table: one.rows for one in compared} == {"keys": 1_100, "counters": 1, "dead letters": 3}
            assert await target.counters("") == {"accepted:1": 7 + added}
    assert await target.get("k0001") == b"\0v1"
    assert [letter.payload for letter in await target.dead("event", 10)] == [b"one", b"two", b"one"]
    clock.advance(60_000)
    assert await target.get("k0001") is None
    assert await target.get("k0002") == b"\0v2"


async def test_a_queue_with_jobs_is_not_moved(
    two_queues: tuple[SqliteQueue, RedisQueue], tmp_path: Path, clock: FrozenClock
) -> None:
    source, target = two_queues
    await source.put(Write(jobs=[NewJob("session", b"x")]))
    with pytest.raises(errors.Conflict, match="1 in session"):
        await queue.copy(source, tmp_path / "queue.db", target, clock)


async def test_a_paused_queue_is_not_moved(
    two_queues: tuple[SqliteQueue, RedisQueue], tmp_path: Path, clock: FrozenClock
) -> None:
    source, target = two_queues
    await source.pause("session")
    with pytest.raises(errors.Conflict, match=r"paused \(session\)"):
        await queue.copy(source, tmp_path / "queue.db", target, clock)


async def test_a_dead_letter_that_was_under_way_is_not_doubled(
    two_queues: tuple[SqliteQueue, RedisQueue], tmp_path: Path, clock: FrozenClock
) -> None:
    source, target = two_queues
    await bury(source, b"one")
    await target.put(Write(jobs=[NewJob("event", b"one")]))
    await queue.copy(source, tmp_path / "queue.db", target, clock)
    assert [letter.payload for letter in await target.dead("event", 10)] == [b"one"]
    assert await queue.waiting(target) == {}


async def test_a_queue_that_is_in_use_is_not_overwritten(
    two_queues: tuple[SqliteQueue, RedisQueue], tmp_path: Path, clock: FrozenClock
) -> None:
    source, target = two_queues
    await target.add({"accepted:9": 1})
    with pytest.raises(errors.Conflict, match="another instance"):
        await queue.copy(source, tmp_path / "queue.db", target, clock)
