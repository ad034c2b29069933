"""The engine on a ClickHouse server, over its HTTP interface: aiochclient for the address, the session and the calls,
with a transport of ours below it that reads whole answers and tells errors apart.

Settings travel with each request, so several processes and other users of the server disturb nobody.
"""

import asyncio
import ssl
import time
import zlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import quote, urlencode

import aiohttp
import msgspec
import yarl
from aiochclient import ChClient  # type: ignore[import-untyped]
from aiochclient.http_clients.abc import HttpClientABC  # type: ignore[import-untyped]

from vemetric import errors
from vemetric.clickhouse import failures
from vemetric.clickhouse.cluster import Cluster
from vemetric.clickhouse.encoding import FORMAT, INSERT_SETTINGS, READ_SETTINGS, Row, encode_rows, left_out_setting
from vemetric.clickhouse.parameters import as_texts
from vemetric.model.clickhouse_url import ClickHouseUrl

# The first long-term release that has every table setting of our migrations (default_compression_codec: 25.4).
OLDEST_VERSION: Final = (25, 8)

READS_MAX = 8
LOOKUPS_MAX = 4
READS_PENDING_MAX = 200
READ_WAIT_SECONDS_MAX = 10.0
QUERY_SECONDS_MAX = 30
INSERT_SECONDS_MAX = 20
CONNECT_SECONDS_MAX = 5.0
# The server stops a statement by itself; whoever has not heard of that by then will not hear of it at all.
ANSWER_GRACE_SECONDS = 3.0
# Servers close idle connections after 3 s (older ones) or 10 s; a request on one just closed would fail.
KEEP_ALIVE_SECONDS = 2.5
# Parameters beyond this travel in a form: proxies cut long addresses, and the server does so at 1 MiB.
URL_PARAMETER_BYTES_MAX = 6_000
COMPRESSION_LEVEL = 1
GZIP_WINDOW = 31

EXCEPTION_HEADER = "X-ClickHouse-Exception-Code"

Rows = list[list[Any]]


class Transport(HttpClientABC):  # type: ignore[misc]
    """What aiochclient sends through. Its own neither sees an error behind a status of 200 nor tells a proxy's answer
    from the server's.
    """

    def __init__(self, session: aiohttp.ClientSession, where: str, seconds_max: float | None) -> None:
        self._session = session
        self._where = where
        self._timeout = aiohttp.ClientTimeout(
            total=None if seconds_max is None else seconds_max, sock_connect=CONNECT_SECONDS_MAX
        )

    async def post(self, url: str, params: Mapping[str, Any], headers: Mapping[str, str], data: Any) -> bytes:
        """The whole answer. Raises StoreBusy, RowRejected or StoreError."""
        inserting = str(params.get("query", "")).startswith("INSERT")
        address = yarl.URL(f"{url}?{urlencode(params, quote_via=quote)}", encoded=True)
        try:
            async with self._session.post(address, data=data, headers=headers, timeout=self._timeout) as answer:
                body = await answer.read()
                if answer.status == 200 and EXCEPTION_HEADER not in answer.headers:
                    return body
                raise failures.from_answer(answer.status, body.decode(errors="replace"), inserting=inserting)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            reason = str(error) or type(error).__name__
            raise errors.StoreBusy(f"The analytics server at {self._where} does not answer: {reason}.") from error

    async def get(self, url: str, params: dict[str, Any], headers: dict[str, str]) -> None:
        await self.post(url, params, headers, None)

    async def post_no_return(self, url: str, params: dict[str, Any], headers: dict[str, str], data: Any) -> None:
        await self.post(url, params, headers, data)

    async def post_return_lines(
        self, url: str, params: dict[str, Any], headers: dict[str, str], data: Any
    ) -> AsyncIterator[bytes]:
        for line in (await self.post(url, params, headers, data)).splitlines(keepends=True):
            yield line

    async def close(self) -> None:
        """The session is the engine's."""


class Client(ChClient):  # type: ignore[misc]
    """aiochclient without its statement parser, which takes milliseconds of the loop for each of our long statements
    and only finds out what we know; with parameters that the server binds; with rows decoded in one go.
    """

    def __init__(self, session: aiohttp.ClientSession, at: ClickHouseUrl, seconds_max: float | None, **settings: Any):
        super().__init__(session, at.url, at.user, at.password, at.database, **settings)
        self._http_client = Transport(session, at.url, seconds_max)

    @staticmethod
    def _parse_squery(_: str) -> tuple[bool, bool, str]:
        return False, False, "OTHER"

    @staticmethod
    def _check_insert_file_query(_: str) -> None:
        return

    async def read(self, sql: str, values: Mapping[str, str]) -> bytes:
        """What a statement answers, parameters bound on the server."""
        bound = {f"param_{name}": value for name, value in values.items()}
        if sum(map(len, bound.values())) <= URL_PARAMETER_BYTES_MAX:
            return await self._send(bound, sql.encode())
        form = aiohttp.FormData()
        for name, value in {"query": sql, **bound}.items():
            form.add_field(name, value, content_type="text/plain; charset=utf-8")
        return await self._send({}, form)

    async def _send(self, more: Mapping[str, str], data: Any) -> bytes:
        answer: bytes = await self._http_client.post(self.url, {**self.params, **more}, self.headers, data)
        return answer


class Line:
    """Some requests at a time; those beyond wait their turn."""

    def __init__(self, client: Client, at_once: int) -> None:
        self.client = client
        self.pending = 0
        self._turns = asyncio.Semaphore(at_once)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Client]:
        """StoreBusy when too many wait, or one waits too long."""
        if self.pending >= READS_PENDING_MAX:
            raise errors.StoreBusy("Too many queries are waiting for the analytics store.")
        self.pending += 1
        asked_at = time.monotonic()
        try:
            async with self._turns:
                if time.monotonic() > asked_at + READ_WAIT_SECONDS_MAX:
                    raise errors.StoreBusy(f"A query waited longer than {READ_WAIT_SECONDS_MAX:g} s for its turn.")
                yield self.client
        finally:
            self.pending -= 1


class ServerEngine:
    """A database on a ClickHouse server, or on a cluster of them. Belongs to the loop it was opened in."""

    def __init__(
        self,
        at: ClickHouseUrl,
        session: aiohttp.ClientSession,
        cluster: Cluster | None,
        query_seconds_max: int,
        insert_seconds_max: int,
    ) -> None:
        self.at = at
        self._session = session
        self.cluster = cluster
        self._encoder = msgspec.json.Encoder()
        self._decoder = msgspec.json.Decoder(list[Any])
        more = cluster.settings if cluster else {}
        read = (
            READ_SETTINGS
            | more
            | {
                "default_format": FORMAT,
                "wait_end_of_query": 1,
                "enable_http_compression": 1,
                "readonly": 2,
                "cancel_http_readonly_queries_on_client_close": 1,
                "max_execution_time": query_seconds_max,
            }
        )
        looking_up = read | (cluster.lookup_settings if cluster else {})
        insert = (
            INSERT_SETTINGS
            | more
            | {
                "wait_end_of_query": 1,
                # Each batch is stored as it is: a row that is written, taken back and written again is no mistake.
                "insert_deduplicate": 0,
                # The server gives up before we do, so that what we call lost is not applied later.
                "max_execution_time": max(1, insert_seconds_max - 1),
            }
        )
        read_seconds = query_seconds_max + ANSWER_GRACE_SECONDS
        self._reads = Line(Client(session, at, read_seconds, **read), READS_MAX)
        self._lookups = Line(Client(session, at, read_seconds, **looking_up), LOOKUPS_MAX)
        self._inserts = Client(session, at, insert_seconds_max, **insert)
        self._inserts.headers["Content-Encoding"] = "gzip"
        self._commands = Client(session, at, None, wait_end_of_query=1, **more)

    @classmethod
    async def open(
        cls,
        at: ClickHouseUrl,
        *,
        is_needed: bool = True,
        cluster: Cluster | None = None,
        certificate_authority: Path | None = None,
        query_seconds_max: int = QUERY_SECONDS_MAX,
        insert_seconds_max: int = INSERT_SECONDS_MAX,
    ) -> Self:
        """Reach the server, check its version, make the database if it is missing; only if `is_needed` at once.

        certificate_authority: a PEM file with the authority of an https address; the system's without it. Raises
        Misconfigured when the server is too old or refuses us, Unavailable when it cannot be reached.
        """
        context = ssl.create_default_context(cafile=certificate_authority) if at.url.startswith("https") else True
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_SECONDS, ssl=context)
        session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        engine = cls(at, session, cluster, query_seconds_max, insert_seconds_max)
        try:
            if is_needed:
                await engine.prepare()
        except BaseException:
            await engine.close()
            raise
        return engine

    async def prepare(self) -> None:
        """See Engine.prepare. Misconfigured when the server is too old or refuses us, Unavailable when it is away."""
        client = Client(self._session, self.at._replace(database=""), CONNECT_SECONDS_MAX)
        await _prepare(client, self.at, self.cluster)

    async def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Rows:
        """See Engine.query. StoreBusy when too many queries wait, one waits or runs too long, or the server is away."""
        return await self._select(self._reads, sql, parameters)

    async def lookup(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Rows:
        """See Engine.lookup. StoreBusy as for `query`, by a line of its own."""
        return await self._select(self._lookups, sql, parameters)

    def leave_out(self, conditions: Mapping[str, str]) -> None:
        """See Engine.leave_out."""
        self._reads.client.params["additional_table_filters"] = left_out_setting(
            self.cluster.left_out(conditions) if self.cluster else conditions
        )

    async def insert(self, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """See Engine.insert. RowRejected when a row does not fit; nothing of these rows is stored then. StoreBusy also
        means that nobody knows whether they are.
        """
        if not rows:
            return
        statement = f"INSERT INTO {table} ({', '.join(columns)}) FORMAT {FORMAT}"
        body = await asyncio.to_thread(self._packed, rows)
        await self._inserts.insert_file(statement, body)

    async def command(self, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        """See Engine.command. Without a time limit."""
        values = as_texts(parameters)
        for statement in self.cluster.statements(sql) if self.cluster else [sql]:
            await self._commands.read(statement, values)

    async def close(self) -> None:
        """Give the connections up. What runs on the server for a page is stopped there."""
        await self._session.close()

    async def _select(self, line: Line, sql: str, parameters: Mapping[str, Any] | None) -> Rows:
        values = as_texts(parameters)
        async with line.turn() as client:
            answer = await client.read(sql, values)
        try:
            return self._decoder.decode_lines(answer)
        except msgspec.DecodeError as error:
            raise errors.StoreBusy("The analytics server's answer was cut short.") from error

    def _packed(self, rows: Sequence[Row]) -> bytes:
        packer = zlib.compressobj(COMPRESSION_LEVEL, wbits=GZIP_WINDOW)
        return packer.compress(encode_rows(self._encoder, rows)) + packer.flush()


async def _prepare(client: Client, at: ClickHouseUrl, cluster: Cluster | None) -> None:
    try:
        version = (await client.read("SELECT version()", {})).decode().strip()
        if failures.numbers(version) < OLDEST_VERSION:
            oldest = ".".join(map(str, OLDEST_VERSION))
            raise errors.Misconfigured(
                f"The ClickHouse server at {at.url} is {version}; {oldest} is the oldest we use."
            )
        there = await client.read("SELECT count() FROM system.databases WHERE name = {n:String}", {"n": at.database})
        if there.strip() == b"0":
            where = f" ON CLUSTER '{cluster.name}'" if cluster else ""
            await client.read(f"CREATE DATABASE IF NOT EXISTS {{n:Identifier}}{where}", {"n": at.database})
    except errors.StoreBusy as error:
        raise errors.Unavailable(error.message) from error
    except errors.StoreError as error:
        raise errors.Misconfigured(f"The ClickHouse server at {at.url} refuses {at.user!r}: {error.message}") from error
