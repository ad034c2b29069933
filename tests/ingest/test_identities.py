"""Who an identifier stands for: one user however many ask at once, and a cache that a stranger cannot fill."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import sqlalchemy

from vemetric import errors
from vemetric.accounts import projects
from vemetric.clock import FrozenClock
from vemetric.database import identities as stored_identities
from vemetric.database import tables
from vemetric.database.database import Connection, Database, file_url
from vemetric.ingest import identities, jobs
from vemetric.ingest.identities import CACHED_CHARACTERS_MAX, Claim, Identities
from vemetric.model import geo
from vemetric.queues.job import Write
from vemetric.queues.sqlite import SqliteQueue


class Counted(Database):
    """A database that counts how often it is read, and may be away."""

    reads = 0
    error: Exception | None = None

    @asynccontextmanager
    async def connect(self, *, may_lag: bool = False) -> AsyncIterator[Connection]:
        self.reads += 1
        if self.error is not None:
            raise self.error
        async with super().connect(may_lag=may_lag) as connection:
            yield connection


class Stores:
    """The two stores of identities, and any number of processes over them."""

    def __init__(self, database: Counted, queue: SqliteQueue, clock: FrozenClock, shop: int) -> None:
        self.database = database
        self.queue = queue
        self.shop = shop
        self._clock = clock

    async def process(self, *, exclusive: bool = False) -> Identities:
        known = Identities(self.database, self.queue, self.queue, self._clock, exclusive=exclusive)
        await known.load()
        return known

    async def created(self) -> list[jobs.CreateUserJob]:
        claimed = await self.queue.claim(jobs.CREATE_USER_QUEUE, 100, 60)
        return [jobs.decode_create(job.payload) for job in claimed]

    async def write(self, claim: Claim) -> None:
        """What the worker does."""
        async with self.database.begin() as connection:
            await stored_identities.insert_if_absent(connection, claim.project_id, claim.user_id, claim.identifier, 0)


@pytest.fixture
async def stores(tmp_path: Path, clock: FrozenClock) -> AsyncIterator[Stores]:
    async with AsyncExitStack() as stack:
        database = await Counted.open(file_url(tmp_path / "vemetric.db"))
        stack.push_async_callback(database.close)
        assert isinstance(database, Counted)
        queue = await SqliteQueue.open(tmp_path / "queue.db", clock)
        stack.push_async_callback(queue.close)
        shop = await projects.create_by_operator(database, clock, "Shop", "shop.example.com", "UTC")
        database.reads = 0
        yield Stores(database, queue, clock, shop.id)


@pytest.mark.parametrize(("length", "reads"), [(CACHED_CHARACTERS_MAX, 0), (CACHED_CHARACTERS_MAX + 1, 2)])
async def test_an_identity_is_remembered_unless_its_name_is_long(stores: Stores, length: int, reads: int) -> None:
    known = await stores.process(exclusive=True)
    name = "x" * length
    user_id = await known.of_backend(stores.shop, name, 0)
    claim = Claim(stores.shop, user_id, name)
    await stores.write(claim)
    known.settle([(claim, user_id)])
    stores.database.reads = 0
    assert [await known.by_identifier(stores.shop, name) for _ in range(2)] == [user_id] * 2
    assert stores.database.reads == reads


@pytest.mark.parametrize("exclusive", [True, False])
async def test_many_at_once_make_one_user(stores: Stores, exclusive: bool) -> None:
    processes = [await stores.process(exclusive=exclusive) for _ in range(1 if exclusive else 3)]
    made = await asyncio.gather(*(known.of_backend(stores.shop, "ann", 0) for known in processes * 20))
    assert len(set(made)) == 1
    assert [(job.user_id, job.identifier) for job in await stores.created()] == [(made[0], "ann")]


@pytest.mark.parametrize("exclusive", [True, False])
async def test_a_claim_outlives_its_process_and_tells_both_ways(stores: Stores, exclusive: bool) -> None:
    user_id = await (await stores.process(exclusive=True)).of_backend(stores.shop, "ann", 0)
    known = await stores.process(exclusive=exclusive)
    stores.database.reads = 0
    assert await known.by_identifier(stores.shop, "ann") == user_id
    assert await known.by_user(stores.shop, user_id) == "ann"
    assert await known.claimed([(stores.shop, user_id), (stores.shop, 5)]) == {(stores.shop, user_id): "ann"}
    assert stores.database.reads == 0


async def test_more_claims_than_fit_are_looked_up_one_by_one(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identities, "CLAIMS_LOADED_MAX", 1)
    first = await stores.process(exclusive=True)
    made = [await first.of_backend(stores.shop, name, 0) for name in ("ann", "bob", "cleo")]
    known = await stores.process(exclusive=True)
    assert [await known.by_identifier(stores.shop, name) for name in ("ann", "bob", "cleo")] == made


async def test_a_claim_gives_way_to_the_user_that_was_first(stores: Stores) -> None:
    known = await stores.process(exclusive=True)
    claimed_id = await known.of_backend(stores.shop, "ann", 0)
    first_id = 77
    await stores.write(Claim(stores.shop, first_id, "ann"))
    sets = known.settle([(Claim(stores.shop, claimed_id, "ann"), first_id)])
    await stores.queue.set(sets)
    for process in (known, await stores.process(), await stores.process(exclusive=True)):
        assert await process.by_identifier(stores.shop, "ann") == first_id
        assert await process.by_user(stores.shop, claimed_id) is None
        assert await process.by_user(stores.shop, first_id) == "ann"


async def test_a_process_that_died_while_it_made_a_user_holds_nobody_up(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identities, "POLLS_MAX", 1)
    monkeypatch.setattr(identities, "POLL_SECONDS", 0)
    lock = identities.turn_of_identifier(stores.shop, "ann")
    await stores.queue.set_if_absent(lock, b"somebody", 1 << 60)
    user_id = await (await stores.process()).of_backend(stores.shop, "ann", 0)
    assert [job.user_id for job in await stores.created()] == [user_id]


async def test_an_identifier_of_any_length_is_taken(stores: Stores) -> None:
    known = await stores.process()
    name = "ä" * 100_000
    user_id = await known.of_backend(stores.shop, name, 0)
    assert await known.by_identifier(stores.shop, name) == user_id


async def test_who_is_known_goes_on_to_be_while_the_database_is_away(stores: Stores, clock: FrozenClock) -> None:
    hub = await stores.process()
    await stores.write(Claim(stores.shop, 7, "ann"))
    assert await hub.by_identifier(stores.shop, "ann") == 7
    stores.database.error = errors.Unavailable()
    clock.advance(identities.HELD_MS - 1)
    for _ in range(2):
        assert await hub.by_identifier(stores.shop, "ann") == 7
        assert await hub.by_user(stores.shop, 7) == "ann"
    # Nobody knows of these, and what was read so long ago is too old.
    for asked in (hub.by_identifier(stores.shop, "bob"), hub.by_user(stores.shop, 8)):
        with pytest.raises(errors.Unavailable):
            await asked
    clock.advance(1)
    for asked in (hub.by_identifier(stores.shop, "ann"), hub.by_user(stores.shop, 7)):
        with pytest.raises(errors.Unavailable):
            await asked


async def test_who_was_erased_elsewhere_is_not_held_while_the_database_is_away(
    stores: Stores, clock: FrozenClock
) -> None:
    hub, erases = await stores.process(), await stores.process()
    for user_id, name in ((7, "ann"), (8, "bob")):
        await stores.write(Claim(stores.shop, user_id, name))
        assert await hub.by_identifier(stores.shop, name) == user_id
    clock.advance(identities.BELIEVED_MS)
    await erases.forget(stores.shop, [7])
    stores.database.error = errors.Unavailable()
    for asked in (hub.by_identifier(stores.shop, "ann"), hub.by_user(stores.shop, 7)):
        with pytest.raises(errors.Unavailable):
            await asked
    assert await hub.by_identifier(stores.shop, "bob") == 8
    # What may still be held was read before it was forgotten.
    assert identities.FORGOTTEN_MS > identities.HELD_MS


async def test_what_another_process_erased_is_believed_for_half_a_second(stores: Stores, clock: FrozenClock) -> None:
    assert identities.BELIEVED_MS <= 500
    asked, alone = await stores.process(), await stores.process(exclusive=True)
    await stores.write(Claim(stores.shop, 7, "ann@example.com"))
    for process in (asked, alone):
        assert await process.by_identifier(stores.shop, "ann@example.com") == 7
    async with stores.database.begin() as connection:
        await connection.change(sqlalchemy.delete(tables.identity))
    clock.advance(identities.BELIEVED_MS - 1)
    assert await asked.by_identifier(stores.shop, "ann@example.com") == 7
    clock.advance(1)
    assert asked.lately_known(stores.shop, 7) is None
    assert await asked.by_identifier(stores.shop, "ann@example.com") is None
    assert await alone.by_identifier(stores.shop, "ann@example.com") == 7


async def test_an_erased_users_claims_are_found_among_any_number(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identities, "CLAIMS_SCANNED_MAX", 2)
    process = await stores.process()
    for user_id in range(100, 104):
        job = jobs.CreateUserJob(stores.shop, user_id, f"user-{user_id}", 0, geo.UNKNOWN, "", "")
        await process.create(job, Write())
    for user_id in range(100, 104):
        await process.forget(stores.shop, [user_id])
        assert await process.by_identifier(stores.shop, f"user-{user_id}") is None
        assert await process.by_user(stores.shop, user_id) is None
        left = await stores.queue.scan(identities.CLAIM_PREFIX, 100)
        assert len(left) == 2 * (103 - user_id)


async def test_what_was_read_before_an_erasure_is_not_remembered_after_it(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = await stores.process(exclusive=True)
    await stores.write(Claim(stores.shop, 7, "kim"))
    read = stored_identities.by_identifier

    async def read_and_erase(connection: Connection, project_id: int, identifier: str) -> int | None:
        found = await read(connection, project_id, identifier)
        # The erasure begins and ends between the answer and its hearing.
        await known.forget(stores.shop, [7])
        return found

    monkeypatch.setattr(stored_identities, "by_identifier", read_and_erase)
    assert await known.by_identifier(stores.shop, "kim") == 7
    assert known.at_once(stores.shop, "kim") is None
