"""The engine inside this process (chDB). One connection per thread; inserts, the workers' look-ups and commands have
threads of their own, so that a heavy read holds up none of them.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar

import msgspec

from vemetric import errors
from vemetric.clickhouse import failures, loader
from vemetric.clickhouse.directory import Directory
from vemetric.clickhouse.encoding import FORMAT, INSERT_SETTINGS, READ_SETTINGS, Row, encode_rows, left_out_setting
from vemetric.clickhouse.parameters import as_texts

MEMORY_BYTES_MAX = 700_000_000
THREADS_MAX = 2
READS_MAX = 2
# Event, session and device workers ask at once, and each for a few milliseconds.
LOOKUPS_MAX = 2
# Of the memory: what one query may take. Two of them leave room for inserts and merges.
READ_MEMORY_SHARE = 0.35
MERGE_MEMORY_SHARE = 0.25
READS_PENDING_MAX = 200
READ_WAIT_SECONDS_MAX = 10.0
QUERY_SECONDS_MAX = 30
# Callers hold leases longer than this (see queues/): an insert is over, one way or the other, before a lease is.
INSERT_SECONDS_MAX = 20
MARK_CACHE_BYTES_MAX = 64 << 20
OTHER_CACHE_BYTES_MAX = 16 << 20
MERGE_THREADS = 1
# One thread takes turns between its merges, short ones first; memory bounds how many run. Fewer than this, and the
# engine would keep its last free places (8 for large merges, 20 for mutations, 25 for whole months) and never use them.
MERGES_PER_THREAD = 30

Result = TypeVar("Result")
Rows = list[list[Any]]


class Connection:
    """One connection of the engine, used from one thread at a time; opened by the first statement."""

    def __init__(self, open_raw: Callable[[], Any], settings: Mapping[str, Any]) -> None:
        self._open_raw = open_raw
        self._settings = settings
        self._raw: Any = None
        self._left_out = "{}"

    def leave_out(self, conditions: str) -> None:
        """Have the statements that follow leave rows out; see encoding.left_out_setting."""
        if conditions != self._left_out:
            self.run(f"SET additional_table_filters = {conditions}")
            self._left_out = conditions

    def run(self, sql: str | bytes, values: Mapping[str, str] | None = None, *, inserting: bool = False) -> bytes:
        """Run one statement and return what it wrote as JSONCompactEachRow."""
        if self._raw is None:
            self._open()
        with _translated(inserting):
            result: bytes = self._raw.query(sql, FORMAT, params=dict(values or {})).bytes()
        return result

    def close(self) -> None:
        if self._raw is not None:
            self._raw.close()
            self._raw = None

    def _open(self) -> None:
        with _translated(inserting=False):
            self._raw = self._open_raw()
            if self._settings:
                self._raw.query("SET " + ", ".join(f"{name} = '{value}'" for name, value in self._settings.items()))


class Lane:
    """Some connections, each with a thread; work beyond them waits in line."""

    def __init__(self, name: str, connections: Sequence[Connection]) -> None:
        self._connections = connections
        self._idle = list(connections)
        self._executor = ThreadPoolExecutor(len(connections), thread_name_prefix=f"clickhouse-{name}")
        self.pending = 0

    async def run(self, work: Callable[[Connection], Result]) -> Result:
        self.pending += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, self._with_connection, work)
        finally:
            self.pending -= 1

    def stop(self) -> None:
        """Take no more work and drop what waits in line."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """Stop, wait for what is running, and close the connections."""
        self._executor.shutdown(wait=True, cancel_futures=True)
        for connection in self._connections:
            connection.close()

    def _with_connection(self, work: Callable[[Connection], Result]) -> Result:
        # As many threads as connections, so one is always there; list.pop and append are atomic.
        connection = self._idle.pop()
        try:
            return work(connection)
        finally:
            self._idle.append(connection)


class EmbeddedEngine:
    """ClickHouse in this process over a directory that it alone owns. The process must not fork after `open`."""

    def __init__(self, directory: Directory, reads: Lane, lookups: Lane, inserts: Lane, commands: Lane) -> None:
        self._directory = directory
        self._reads = reads
        self._lookups = lookups
        self._inserts = inserts
        self._commands = commands
        self._left_out = "{}"
        self._encoder = msgspec.json.Encoder()
        self._decoder = msgspec.json.Decoder(list[Any])

    @classmethod
    async def open(
        cls,
        directory: Path,
        *,
        memory_bytes_max: int = MEMORY_BYTES_MAX,
        threads_max: int = THREADS_MAX,
        reads_max: int = READS_MAX,
        merge_threads: int = MERGE_THREADS,
        query_seconds_max: int = QUERY_SECONDS_MAX,
        insert_seconds_max: int = INSERT_SECONDS_MAX,
    ) -> Self:
        """Own the directory and start the engine in it.

        memory_bytes_max bounds the whole process as the engine sees it; threads_max one statement; reads_max how many
        queries run at once; merge_threads the merging of parts; the seconds a query and an insert. Raises
        Misconfigured when another process owns the directory or a newer program wrote it.
        """
        owned = Directory.own(directory, loader.version())
        try:
            module = await asyncio.to_thread(loader.load)
            target = _connection_string(owned.store, memory_bytes_max, threads_max, merge_threads)
            read_settings = READ_SETTINGS | {
                "max_memory_usage": int(memory_bytes_max * READ_MEMORY_SHARE),
                "max_execution_time": query_seconds_max,
            }
            insert_settings = INSERT_SETTINGS | {"max_execution_time": insert_seconds_max}

            def connection(settings: Mapping[str, Any]) -> Connection:
                return Connection(lambda: module.connect(target), settings)

            engine = cls(
                owned,
                reads=Lane("read", [connection(read_settings) for _ in range(reads_max)]),
                lookups=Lane("lookup", [connection(read_settings) for _ in range(LOOKUPS_MAX)]),
                inserts=Lane("insert", [connection(insert_settings)]),
                commands=Lane("command", [connection({})]),
            )
            await engine.command("SELECT 1")
            loader.give_way()
        except BaseException:
            owned.release()
            raise
        return engine

    async def prepare(self) -> None:
        """See Engine.prepare."""
        await self.command("SELECT 1")

    async def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Rows:
        """See Engine.query. StoreBusy when too many queries wait, one waits or runs too long, or memory is short."""
        return await self._select(self._reads, sql, parameters)

    async def lookup(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Rows:
        """See Engine.lookup. StoreBusy as for `query`, by a line of its own."""
        return await self._select(self._lookups, sql, parameters)

    def leave_out(self, conditions: Mapping[str, str]) -> None:
        """See Engine.leave_out."""
        self._left_out = left_out_setting(conditions)

    async def insert(self, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """See Engine.insert. RowRejected when a row does not fit; nothing of these rows is stored then.

        When the caller is cancelled, the insert still ends by itself, applied or not.
        """
        if not rows:
            return
        statement = f"INSERT INTO {table} ({', '.join(columns)}) FORMAT {FORMAT}\n".encode()

        def write(connection: Connection) -> None:
            connection.run(statement + encode_rows(self._encoder, rows), inserting=True)

        await self._inserts.run(write)

    async def command(self, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        """See Engine.command. One at a time, without a time limit."""
        values = as_texts(parameters)

        def run(connection: Connection) -> None:
            connection.run(sql, values)

        await self._commands.run(run)

    async def close(self) -> None:
        """End running queries, let inserts and commands finish, stop the engine and give the directory free."""
        self._reads.stop()
        self._lookups.stop()
        await self.command("KILL QUERY WHERE query_kind = 'Select' ASYNC")
        for lane in (self._reads, self._lookups, self._commands, self._inserts):
            await asyncio.to_thread(lane.close)
        self._directory.release()

    async def _select(self, lane: Lane, sql: str, parameters: Mapping[str, Any] | None) -> Rows:
        if lane.pending >= READS_PENDING_MAX:
            raise errors.StoreBusy("Too many queries are waiting for the analytics store.")
        values = as_texts(parameters)
        start_before = time.monotonic() + READ_WAIT_SECONDS_MAX

        def read(connection: Connection) -> Rows:
            if time.monotonic() > start_before:
                raise errors.StoreBusy(f"A query waited longer than {READ_WAIT_SECONDS_MAX:g} s for its turn.")
            if lane is self._reads:
                connection.leave_out(self._left_out)
            return self._decoder.decode_lines(connection.run(sql, values))

        return await lane.run(read)


def _connection_string(store: Path, memory_bytes_max: int, threads_max: int, merge_threads: int) -> str:
    """Where the data is and the bounds of the engine, sized for two cores and 1 GiB."""
    settings = {
        "max_server_memory_usage": memory_bytes_max,
        "merges_mutations_memory_usage_soft_limit": int(memory_bytes_max * MERGE_MEMORY_SHARE),
        "max_threads": threads_max,
        "mark_cache_size": MARK_CACHE_BYTES_MAX,
        "index_mark_cache_size": OTHER_CACHE_BYTES_MAX,
        "primary_index_cache_size": OTHER_CACHE_BYTES_MAX,
        "query_condition_cache_size": OTHER_CACHE_BYTES_MAX,
        "compiled_expression_cache_size": OTHER_CACHE_BYTES_MAX,
        "background_pool_size": merge_threads,
        "background_merges_mutations_concurrency_ratio": MERGES_PER_THREAD,
        "background_merges_mutations_scheduling_policy": "shortest_task_first",
    }
    return f"{store}?" + "&".join(f"{name}={value}" for name, value in settings.items())


@contextmanager
def _translated(inserting: bool) -> Iterator[None]:
    """The engine's errors as ours. It raises RuntimeError, or UnicodeDecodeError when it cut its message in two."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise failures.from_text(error.object.decode(errors="replace"), inserting=inserting) from None
    except RuntimeError as error:
        raise failures.from_text(str(error), inserting=inserting) from None
