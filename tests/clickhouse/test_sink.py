"""Each row once: what is stored is not stored again, whatever was reported about the first try."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from vemetric import errors
from vemetric.clickhouse import encoding, rows
from vemetric.clickhouse.engine import Engine
from vemetric.clickhouse.sink import DeviceKey, KnownUser, SessionKey, Sink, UserKey
from vemetric.clickhouse.user_row import new_row

EventMaker = Callable[..., tuple[Any, ...]]
SessionMaker = Callable[..., rows.SessionRow]

NOON = 1_767_268_800_123
DAY_MS = 86_400_000


async def stored_rows(store: Engine, project_id: int) -> list[tuple[str, int]]:
    """Id and number of rows of each stored event, merged or not."""
    found = await store.query(
        "SELECT id, sum(sign) FROM event WHERE projectId = {p:UInt64} GROUP BY id ORDER BY id", {"p": project_id}
    )
    return [(event_id, count) for event_id, count in found]


async def test_inserts_new_events_without_asking(
    sink: Sink, store: Engine, project_id: int, an_event: EventMaker
) -> None:
    assert await sink.insert_events([an_event(id="a"), an_event(id="b")]) == 2
    assert await stored_rows(store, project_id) == [("a", 1), ("b", 1)]


async def test_a_batch_that_is_laid_out_by_the_slice_is_one_insert_and_a_larger_one_several(
    store: Engine, project_id: int, an_event: EventMaker
) -> None:
    told: list[str] = []
    sink = Sink(store, told.append)
    events = [an_event(id=f"e{number}") for number in range(5_000)]
    laid_out = [encoding.lines(events[start : start + 40]) for start in range(0, 5_000, 40)]
    await sink.insert_new_events(laid_out, 40)
    assert told == ["before-insert", "after-insert"]
    assert await store.query("SELECT count() FROM event WHERE projectId = {p:UInt64}", {"p": project_id}) == [[5_000]]
    await sink.insert_new_events(laid_out * 5, 40)
    assert told.count("before-insert") == 3


async def test_inserts_of_a_redelivery_only_what_is_missing(
    sink: Sink, store: Engine, project_id: int, an_event: EventMaker
) -> None:
    await sink.insert_events([an_event(id="a")])
    again = [an_event(id="a"), an_event(id="b"), an_event(id="c")]
    assert await sink.insert_events(again, redelivered={"a", "b"}) == 2
    assert await stored_rows(store, project_id) == [("a", 1), ("b", 1), ("c", 1)]


async def test_finds_a_stored_event_under_another_user(
    sink: Sink, store: Engine, project_id: int, an_event: EventMaker
) -> None:
    await sink.insert_events(
        [an_event(id="a", userId=1), an_event(id="a", userId=1, sign=-1), an_event(id="a", userId=2)]
    )
    assert await sink.insert_events([an_event(id="a", userId=1)], redelivered={"a"}) == 0
    assert await stored_rows(store, project_id) == [("a", 1)]


async def test_does_not_bring_back_a_removed_event(
    sink: Sink, store: Engine, project_id: int, an_event: EventMaker
) -> None:
    await store.command("SYSTEM STOP MERGES event")
    try:
        await sink.insert_events([an_event(id="a"), an_event(id="b")])
        await sink.insert_events([an_event(id="a", sign=-1)])
        assert await sink.insert_events([an_event(id="a")], redelivered={"a"}) == 0
    finally:
        await store.command("SYSTEM START MERGES event")
    assert await stored_rows(store, project_id) == [("a", 0), ("b", 1)]


async def test_an_equal_id_of_another_project_is_another_event(
    sink: Sink, store: Engine, project_id: int, an_event: EventMaker
) -> None:
    await sink.insert_events([an_event(id="a", projectId=project_id + 1_000_000)])
    assert await sink.insert_events([an_event(id="a")], redelivered={"a"}) == 1
    assert await stored_rows(store, project_id) == [("a", 1)]


async def test_finds_events_of_many_days_and_more_than_one_question_can_name(
    sink: Sink, project_id: int, an_event: EventMaker
) -> None:
    events = [an_event(id=f"e{n}", createdAt=rows.timestamp(NOON + n * DAY_MS // 100)) for n in range(2500)]
    await sink.insert_events(events[::2])
    assert await sink.existing_event_ids(events) == {(project_id, f"e{n}") for n in range(0, 2500, 2)}
    assert await sink.insert_events(events, redelivered={f"e{n}" for n in range(2500)}) == 1250


async def test_an_insert_that_was_applied_but_reported_lost_is_not_repeated(
    store: Engine, project_id: int, an_event: EventMaker
) -> None:
    def lose_the_answer(moment: str) -> None:
        if moment == "after-insert":
            raise errors.StoreBusy("The connection was lost.")

    with pytest.raises(errors.StoreBusy):
        await Sink(store, lose_the_answer).insert_events([an_event(id="a")])
    assert await Sink(store).insert_events([an_event(id="a")], redelivered={"a"}) == 0
    assert await stored_rows(store, project_id) == [("a", 1)]


async def test_a_doubled_row_cannot_show_after_a_merge(
    sink: Sink, store: Engine, project_id: int, an_event: EventMaker
) -> None:
    for _ in range(3):
        await sink.insert_events([an_event(id="a")])
    await store.command("OPTIMIZE TABLE event FINAL")
    assert await stored_rows(store, project_id) == [("a", 1)]


async def test_two_events_of_one_user_in_one_millisecond_stay_two(
    sink: Sink, store: Engine, project_id: int, an_event: EventMaker
) -> None:
    await sink.insert_events([an_event(id="a"), an_event(id="b")])
    await sink.insert_events([an_event(id="a", sign=-1)])
    await store.command("OPTIMIZE TABLE event FINAL")
    assert await stored_rows(store, project_id) == [("b", 1)]


async def test_a_lost_lease_stops_before_the_insert(
    sink: Sink, store: Engine, project_id: int, an_event: EventMaker
) -> None:
    async def holds() -> bool:
        return False

    with pytest.raises(errors.LeaseLost):
        await sink.insert_events([an_event()], may_insert=holds)
    assert await stored_rows(store, project_id) == []


async def test_the_lease_is_asked_after_the_wait_for_other_inserts(
    store: Engine, project_id: int, an_event: EventMaker
) -> None:
    moments: list[str] = []
    sink = Sink(store, moments.append)

    async def holds() -> bool:
        moments.append("asked")
        return True

    inserts = [sink.insert_events([an_event(id=f"e{n}")], may_insert=holds) for n in range(3)]
    await asyncio.gather(*inserts)
    assert moments == ["asked", "before-insert", "after-insert"] * 3


async def test_reads_the_newest_row_of_each_session(sink: Sink, project_id: int, a_session: SessionMaker) -> None:
    first = a_session(id="one", userId=1)
    await sink.insert_sessions([first, a_session(id="two", userId=2)])
    longer = a_session(id="one", userId=1, duration=60, endedAt=rows.timestamp(NOON + 60_000), version=2)
    await sink.insert_sessions([longer])
    await sink.insert_sessions([first])
    keys = [
        SessionKey(project_id, user_id, session_id, first.startedAt)
        for user_id, session_id in [(1, "one"), (2, "two"), (2, "one")]
    ]
    found = await sink.sessions(keys)
    assert found == {keys[0]: longer, keys[1]: a_session(id="two", userId=2)}


async def test_sessions_keep_every_column(sink: Sink, project_id: int, a_session: SessionMaker) -> None:
    row = a_session(
        city="Wien\n\0'",
        countryCode="AT",
        userIdentifier="u",
        latitude=-0.5,
        longitude=None,
        importSource="x",
        deleted=1,
    )
    await sink.insert_sessions([row])
    key = SessionKey(project_id, row.userId, row.id, row.startedAt)
    assert await sink.sessions([key]) == {key: row}


async def test_sessions_around_midnight_are_found_by_their_start(
    sink: Sink, project_id: int, a_session: SessionMaker
) -> None:
    midnight = NOON - 123 + DAY_MS // 2
    sessions = [a_session(id=str(at), startedAt=rows.timestamp(at)) for at in (midnight - 1, midnight)]
    await sink.insert_sessions(sessions)
    keys = [SessionKey(project_id, 1, row.id, row.startedAt) for row in sessions]
    assert set(await sink.sessions(keys)) == set(keys)


async def test_a_session_written_again_is_one_row_after_a_merge(
    sink: Sink, store: Engine, project_id: int, a_session: SessionMaker
) -> None:
    for version in range(1, 5):
        await sink.insert_sessions([a_session(duration=version, version=version)])
    await store.command("OPTIMIZE TABLE session FINAL")
    found = await store.query("SELECT duration FROM session WHERE projectId = {p:UInt64}", {"p": project_id})
    assert found == [[4]]


def a_device(project_id: int, device_id: int, sign: int = 1) -> tuple[Any, ...]:
    values = {"sign": sign, "projectId": project_id, "userId": 1, "id": device_id, "createdAt": rows.timestamp(NOON)}
    return tuple(values.get(column, "") for column in rows.DEVICE_COLUMNS)


async def test_knows_stored_devices_that_were_not_retracted(sink: Sink, project_id: int) -> None:
    top = 2**64 - 1
    await sink.insert_devices([a_device(project_id, number) for number in (1, 2, top)])
    await sink.insert_devices([a_device(project_id, 2, sign=-1)])
    keys = [DeviceKey(project_id, 1, number) for number in (1, 2, 3, top)]
    assert await sink.known_devices(keys) == {keys[0], keys[3]}
    assert await sink.known_devices(keys[1:3]) == set()
    assert await sink.known_devices([DeviceKey(project_id, 7, 1)]) == set()


async def test_reads_the_newest_row_of_known_users(sink: Sink, store: Engine, project_id: int) -> None:
    columns = ("deleted", "projectId", "id", "identifier", "displayName", "countryCode", "city", "latitude", "version")
    await store.insert(
        "user",
        columns,
        [
            (0, project_id, 1, "one@x", "One", "AT", "Wien", 48.25, 2),
            (0, project_id, 1, "one@x", "Old", "", "", None, 1),
            (0, project_id, 2, "two@x", "Two", "", "", None, 1),
            (1, project_id, 2, "two@x", "Two", "", "", None, 2),
        ],
    )
    keys = [UserKey(project_id, number) for number in (1, 2, 3)]
    assert await sink.users(keys) == {keys[0]: KnownUser("one@x", "One", "AT", "Wien", 48.25, None)}


async def test_asking_for_nothing_finds_nothing(sink: Sink) -> None:
    assert await sink.existing_event_ids([]) == set()
    assert await sink.sessions([]) == {}
    assert await sink.known_devices([]) == set()
    assert await sink.users([]) == {}


async def test_rows_are_synced_to_disk_before_an_insert_returns(
    sink: Sink, store: Engine, project_id: int, an_event: EventMaker
) -> None:
    """A job is acknowledged then, and a power cut must not take its rows."""
    syncs = "SELECT event, value FROM system.events WHERE event IN ('FileSync', 'DirectorySync')"
    before = dict(await store.query(syncs))
    await sink.insert_events([an_event(id="a")])
    after = dict(await store.query(syncs))
    # Every file of the new part, and the directory that names it.
    assert after["FileSync"] - before.get("FileSync", 0) >= 1
    assert after["DirectorySync"] - before.get("DirectorySync", 0) >= 1


class Watched:
    """The store, its look-ups counted; the next answers may be held back."""

    def __init__(self, store: Engine) -> None:
        self._store = store
        self.lookups = 0
        self.has_found = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.insert = store.insert

    async def lookup(self, sql: str, parameters: dict[str, Any]) -> list[list[Any]]:
        self.lookups += 1
        found = await self._store.lookup(sql, parameters)
        self.has_found.set()
        await self.may_answer.wait()
        return found


async def test_who_had_no_row_is_not_asked_for_again_until_one_is_written(store: Engine, project_id: int) -> None:
    watched = Watched(store)
    sink = Sink(cast(Engine, watched), exclusive=True)
    keys = {(project_id, 1), (project_id, 2)}
    assert (await sink.users(keys), await sink.users(keys), watched.lookups) == ({}, {}, 1)
    await sink.insert_users([new_row(project_id, 2, "two", NOON)])
    for lookups in (2, 3):
        assert (await sink.users(keys), watched.lookups) == ({(project_id, 2): KnownUser("two")}, lookups)
    shared = Sink(cast(Engine, watched))
    assert (await shared.users({(project_id, 1)}), await shared.users({(project_id, 1)}), watched.lookups) == (
        {},
        {},
        5,
    )


async def test_a_user_written_while_it_is_asked_for_is_found_the_next_time(store: Engine, project_id: int) -> None:
    watched = Watched(store)
    sink = Sink(cast(Engine, watched), exclusive=True)
    watched.may_answer.clear()
    asking = asyncio.create_task(sink.users({(project_id, 1)}))
    await watched.has_found.wait()
    await sink.insert_users([new_row(project_id, 1, "one", NOON)])
    watched.may_answer.set()
    await asking
    assert await sink.users({(project_id, 1)}) == {(project_id, 1): KnownUser("one")}


async def test_more_anonymous_users_than_are_remembered_are_asked_for(
    store: Engine, project_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vemetric.clickhouse.sink.ANONYMOUS_REMEMBERED_MAX", 3)
    watched = Watched(store)
    sink = Sink(cast(Engine, watched), exclusive=True)
    for number in (1, 2, 3, 3, 4, 4, 1):
        await sink.users({(project_id, number)})
    assert watched.lookups == 5


async def test_a_user_whose_row_lands_after_its_insert_was_given_up_is_found(store: Engine, project_id: int) -> None:
    watched = Watched(store)
    sink = Sink(cast(Engine, watched), exclusive=True)
    row = new_row(project_id, 1, "one", NOON)

    async def lose_the_answer(*_: object) -> None:
        raise errors.StoreBusy("no answer")

    watched.insert = lose_the_answer  # type: ignore[assignment]
    with pytest.raises(errors.StoreBusy):
        await sink.insert_users([row])
    assert await sink.users({(project_id, 1)}) == {}
    await Sink(store).insert_users([row])
    assert await sink.users({(project_id, 1)}) == {(project_id, 1): KnownUser("one")}


@pytest.mark.parametrize(("given_up", "lookups"), [(3, 1), (4, 2)])
async def test_after_too_many_inserts_without_an_answer_everybody_is_asked_for(
    store: Engine, project_id: int, monkeypatch: pytest.MonkeyPatch, given_up: int, lookups: int
) -> None:
    monkeypatch.setattr("vemetric.clickhouse.sink.ANONYMOUS_REMEMBERED_MAX", 3)
    watched = Watched(store)
    sink = Sink(cast(Engine, watched), exclusive=True)

    async def lose_the_answer(*_: object) -> None:
        raise errors.StoreBusy("no answer")

    watched.insert = lose_the_answer  # type: ignore[assignment]
    for number in range(1, given_up + 1):
        with pytest.raises(errors.StoreBusy):
            await sink.insert_users([new_row(project_id, number, "one", NOON)])
    for _ in range(2):
        assert await sink.users({(project_id, 9)}) == {}
    assert watched.lookups == lookups
