"""Open every store that the settings name, once, and hand them to the doors. Only this file knows the backends."""

import asyncio
import logging
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from vemetric import errors, public_url
from vemetric.accounts import oauth, paddle
from vemetric.accounts.oauth import Provider
from vemetric.accounts.paddle import Paddle
from vemetric.accounts.post import Post
from vemetric.accounts.tips import Tips
from vemetric.backup import before, stage
from vemetric.clickhouse import admission, directory, loader, migrate, user_merges
from vemetric.clickhouse.admission import Admission
from vemetric.clickhouse.embedded import EmbeddedEngine
from vemetric.clickhouse.engine import Engine
from vemetric.clickhouse.measured import Measured
from vemetric.clickhouse.sink import Sink
from vemetric.clock import Clock
from vemetric.config import HUB, Config
from vemetric.database.database import Database, file_url
from vemetric.enrich.client import TrustedProxies
from vemetric.enrich.geo import DEFAULT_DATABASE, Places, State
from vemetric.files import store
from vemetric.files.store import FileStore
from vemetric.ingest import turns
from vemetric.ingest.accept import Intake
from vemetric.ingest.batch import BATCH_TURN_PREFIX, Batches
from vemetric.ingest.erased import Erased
from vemetric.ingest.identify import Users
from vemetric.ingest.identities import IDENTIFYING_TURN_PREFIX, Identities
from vemetric.ingest.ingest_rate import IngestRate
from vemetric.ingest.live_session import LiveSessions
from vemetric.ingest.merged import Merged
from vemetric.ingest.project_cache import ProjectCache
from vemetric.ingest.resets import Resets
from vemetric.ingest.salts import Salts
from vemetric.ingest.spoken_for import SpokenFor
from vemetric.ingest.tap import Tap
from vemetric.ingest.who import Resolver
from vemetric.mail import mailer
from vemetric.model import private_file, secret
from vemetric.model.clickhouse_url import ClickHouseUrl
from vemetric.model.data_directory import ANALYTICS_NAME, DATABASE_NAME, QUEUE_NAME
from vemetric.model.meters import Meters
from vemetric.model.probe import Probe, nothing
from vemetric.queues.gate import Gate
from vemetric.queues.keys import Keys
from vemetric.queues.queue import Queue
from vemetric.queues.sqlite import SqliteQueue

if TYPE_CHECKING:
    from vemetric.clickhouse.server import ServerEngine
    from vemetric.queues.redis import RedisQueue

# How long the start of a hub's process waits before it tries again to bring up an analytics store that was away.
BRING_UP_PAUSE_SECONDS = 2.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Services:
    """What the doors work with. Planes are handed what they need of it, never all of it."""

    config: Config
    clock: Clock
    secret: bytes
    database: Database
    queue: Queue
    keys: Keys
    engine: Engine
    sink: Sink
    places: Places
    trusted_proxies: TrustedProxies
    salts: Salts
    sessions: LiveSessions
    projects: ProjectCache
    tap: Tap
    ingest_rate: IngestRate
    intake: Intake
    batches: Batches
    identities: Identities
    spoken_for: SpokenFor
    users: Users
    merged: Merged
    erased: Erased
    post: Post
    tips: Tips
    providers: dict[str, Provider]
    paddle: Paddle | None
    pictures: FileStore
    gate: Gate
    admission: Admission
    meters: Meters
    probe: Probe
    # Whether this process alone writes to the stores, so that it may remember what it wrote.
    owns_stores: bool


class Loads(Protocol):
    """What is kept in memory of a store, and is taken from it at the start."""

    async def load(self) -> None: ...


Memory = TypeVar("Memory", bound=Loads)


async def loaded(memory: Memory) -> Memory:
    """The same, with what the store holds."""
    await memory.load()
    return memory


@asynccontextmanager
async def open_services(
    config: Config, clock: Clock, engine: Engine | None = None, probe: Probe = nothing
) -> AsyncIterator[Services]:
    """Open the stores, bring their schemas up, make the first salt. Closes in reverse, whatever happens.

    engine: one that is open and migrated already and stays the caller's; a process can have only one embedded engine.
    probe: told each moment at which a crash would be awkward; tests end the process there.
    """
    async with AsyncExitStack() as stack:
        trusted_proxies = TrustedProxies(config.trusted_proxies)
        engine, database, queue = await open_or_go_back(config, clock, stack, engine)
        salts = Salts(database, clock)
        await salts.rotate()
        # A queue in a file is one process's, and so is what follows from its jobs.
        is_alone = config.redis_url is None
        await end_turns_left(queue, is_alone=is_alone)
        sessions = await loaded(LiveSessions(queue, config.session_minutes, exclusive=is_alone))
        identities = await loaded(Identities(database, queue, queue, clock, exclusive=is_alone))
        await prepare_readers(engine, always=not is_alone)
        merged = await loaded(Merged(database, clock, queue, exclusive=is_alone))
        erased = await loaded(Erased(database, clock, exclusive=is_alone))
        resets = await loaded(Resets(queue, clock, exclusive=is_alone))
        spoken_for = SpokenFor(database, queue, clock, exclusive=is_alone)
        resolver = Resolver(salts, sessions, identities, resets)
        signing = secret.of(config)
        post = Post(database, queue, clock, mailer.of(config), public_url.of(config), signing)
        yield Services(
            config=config,
            clock=clock,
            secret=signing,
            database=database,
            queue=queue,
            keys=queue,
            engine=engine,
            sink=Sink(engine, probe, exclusive=is_alone),
            places=open_places(config, stack),
            trusted_proxies=trusted_proxies,
            salts=salts,
            sessions=sessions,
            projects=ProjectCache(database, clock),
            tap=Tap(queue, clock),
            ingest_rate=IngestRate(config.ingest_requests_per_minute, clock),
            intake=Intake(queue, sessions, resolver, clock),
            batches=Batches(queue, queue, sessions, resolver, clock, config.session_minutes),
            identities=identities,
            spoken_for=spoken_for,
            users=Users(queue, resolver, identities, spoken_for, resets, clock),
            merged=merged,
            erased=erased,
            post=post,
            providers=oauth.providers_of(config),
            paddle=paddle.of(config),
            pictures=store.of(config),
            gate=Gate(),
            admission=engine.admission,
            tips=Tips(database, queue, clock, post, is_wanted=config.mail_tips),
            meters=engine.meters,
            probe=probe,
            owns_stores=is_alone,
        )


async def end_turns_left(keys: Keys, *, is_alone: bool) -> None:
    """End the turns that a killed process left, where they can be nobody else's: a batch would wait for a minute."""
    for prefix in (BATCH_TURN_PREFIX, IDENTIFYING_TURN_PREFIX) if is_alone else ():
        await turns.end_all(keys, prefix)


async def open_or_go_back(
    config: Config, clock: Clock, stack: AsyncExitStack, given: Engine | None
) -> "tuple[Measured, Database, SqliteQueue | RedisQueue]":
    """All stores, brought up to this version; where that fails those in files are as they were before."""
    make_private_directory(config.data_dir)
    way_back = None if given else await asyncio.to_thread(before.prepare, config)
    await asyncio.to_thread(stage.clear, config.data_dir.resolve())
    try:
        engine, database = await open_measured(config, clock, stack, given)
        queue = await open_queue(config, clock, stack)
    except errors.InUse:
        # Of who has them now.
        raise
    except Exception as error:
        if way_back is None:
            raise
        await stack.aclose()
        await asyncio.to_thread(before.go_back, config, way_back)
        # A library may add its statement and a link.
        reason = str(error).partition("\n")[0].rstrip(".")
        raise errors.Misconfigured(f"{reason}. The stores are as they were before this start.") from error
    if given is None:
        await asyncio.to_thread(before.settle, config, way_back)
    return engine, database, queue


async def open_measured(
    config: Config, clock: Clock, stack: AsyncExitStack, engine: Engine | None
) -> tuple[Measured, Database]:
    """As open_stores, with every statement of the analytics counted from now on."""
    opened, database = await open_stores(config, stack, engine)
    admitted = Admission(config.memory_limit * 1_000_000)
    return Measured(opened, Meters(clock.now_ms()), clock, admitted), database


async def open_stores(config: Config, stack: AsyncExitStack, engine: Engine | None) -> tuple[Engine, Database]:
    """Analytics, unless they are given, and accounts, with their tables; closed with the stack."""
    # The analytics store is first: who owns it owns the data directory.
    opened = engine or await open_engine(config, stack)
    database = await open_database(config, stack)
    # Who only takes hits neither asks the analytics nor waits for them.
    if engine is None and config.roles != (HUB,):
        try:
            await bring_up(opened, database)
        except (errors.Unavailable, errors.StoreError) as error:
            # An engine that is in the process is not away: what it refuses it will refuse again.
            if HUB not in config.roles or config.clickhouse is None:
                raise
            # Hits are worth more than pages: they wait in the queue until there is a store for them.
            log.warning("%s Events wait in the queue until it can be reached.", error)
            stack.push_async_callback(_cancel, asyncio.create_task(_bring_up_later(opened, database)))
    return opened, database


async def _bring_up_later(engine: Engine, database: Database) -> None:
    while True:
        await asyncio.sleep(BRING_UP_PAUSE_SECONDS)
        with suppress(errors.Unavailable, errors.StoreError):
            await bring_up(engine, database)
            log.info("The analytics store can be reached.")
            return


async def _cancel(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def prepare_readers(engine: Engine, *, always: bool) -> None:
    """Have pages leave out what a killed merge has hidden: always where nobody can be asked whether there is any."""
    try:
        await user_merges.prepare_readers(engine, always=always)
    except (errors.Unavailable, errors.StoreError):
        await user_merges.prepare_readers(engine, always=True)


def open_places(config: Config, stack: AsyncExitStack) -> Places:
    """Where addresses are; closed with the stack."""
    places = Places.open(config.geo_database or DEFAULT_DATABASE)
    stack.callback(places.close)
    if config.geo_database is not None and places.state is not State.READY:
        raise errors.Misconfigured(
            f"VEMETRIC_GEO_DATABASE is {str(config.geo_database)!r}: it must be an MMDB file ({places.detail})."
        )
    return places


async def open_database(config: Config, stack: AsyncExitStack) -> Database:
    """The relational store with its tables; closed with the stack."""
    if config.database_url:
        database = await Database.open(
            config.database_url,
            replica_url=config.database_replica_url,
            connections_max=config.database_connections_max,
        )
    else:
        database = await Database.open(file_url(config.data_dir / DATABASE_NAME))
    stack.push_async_callback(database.close)
    return database


async def open_queue(config: Config, clock: Clock, stack: AsyncExitStack) -> "SqliteQueue | RedisQueue":
    """Queue and keys; closed with the stack."""
    queue = await _queue(config, clock)
    stack.push_async_callback(queue.close)
    return queue


async def _queue(config: Config, clock: Clock) -> "SqliteQueue | RedisQueue":
    if config.redis_url is None:
        path = config.data_dir / QUEUE_NAME
        return await SqliteQueue.open(path, clock, jobs_max=config.queue_jobs_max, is_sole_owner=True)
    # Here, for its client takes time and memory that a queue in a file does without.
    from vemetric.queues.redis import RedisQueue

    return await RedisQueue.open(
        config.redis_url,
        clock,
        prefix=config.redis_prefix,
        jobs_max=config.queue_jobs_max,
        may_lose=config.redis_may_lose,
    )


async def open_engine(config: Config, stack: AsyncExitStack) -> Engine:
    """The analytics store, as it was left; closed with the stack."""
    engine: Engine
    if config.clickhouse is None:
        engine = await _engine_inside(config)
    else:
        # The files of the other stores are one process's all the same.
        stack.callback(os.close, directory.lock(config.data_dir))
        engine = await _engine_on_server(config, config.clickhouse)
    stack.push_async_callback(engine.close)
    return engine


async def bring_up(engine: Engine, database: Database) -> None:
    """Give the analytics store its tables; of several processes that start at once, one after the other."""
    async with database.begin() as connection:
        await connection.lock("analytics")
        await engine.prepare()
        await migrate.migrate(engine)
    if isinstance(engine, EmbeddedEngine):
        loader.give_back_code()


async def _engine_inside(config: Config) -> EmbeddedEngine:
    return await EmbeddedEngine.open(
        config.data_dir / ANALYTICS_NAME,
        memory_bytes_max=admission.engine_bytes_max(config.memory_limit, config.engine_memory_mb),
        threads_max=config.engine_threads,
        merge_threads=config.engine_merge_threads,
        query_seconds_max=config.engine_query_seconds,
        insert_seconds_max=config.engine_insert_seconds,
    )


async def _engine_on_server(config: Config, at: ClickHouseUrl) -> "ServerEngine":
    # Here, for the server's client takes time and memory that the engine in the process does without.
    from vemetric.clickhouse.cluster import Cluster
    from vemetric.clickhouse.server import ServerEngine

    return await ServerEngine.open(
        at,
        # Who takes hits starts without it.
        is_needed=HUB not in config.roles,
        cluster=Cluster(config.clickhouse_cluster, at.database) if config.clickhouse_cluster else None,
        certificate_authority=config.clickhouse_ca,
        query_seconds_max=config.engine_query_seconds,
        insert_seconds_max=config.engine_insert_seconds,
    )


def make_private_directory(path: Path) -> None:
    """The data directory, readable by its owner only; Misconfigured says why it cannot be had."""
    try:
        if not path.exists():
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            private_file.sync_directory(path.parent)
        probe = path / f".writable-{secrets.token_hex(4)}"
        probe.touch(mode=0o600)
        probe.unlink()
    except OSError as error:
        raise errors.Misconfigured(
            f"VEMETRIC_DATA_DIR is {str(path)!r}: it cannot be written ({error.strerror}); "
            "it must be the path of a directory that may be written."
        ) from error
