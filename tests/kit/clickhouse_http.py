"""ClickHouse's HTTP interface over the real embedded engine, as a process of its own: no server can be installed here.

    python -m tests.kit.clickhouse_http --directory D [--port P] [--user NAME:PASSWORD] [--certificate F --key F]

prints the port it listens on and ends when its standard input does. What it does as the server does: `/ping`; the
statement in the body, in `query` or in parts of a form; `param_*`; any other parameter as a setting of that request
alone; `database`, `default_format` and X-ClickHouse-Format/-Database; basic auth, X-ClickHouse-User/-Key and `user`
and `password`; bodies in gzip, deflate, lz4 and zstd, of any number of members or frames; answers in the same when
`enable_http_compression` asks for it; status, X-ClickHouse-Exception-Code and text of an error; GET is read-only; a
read-only query is stopped when its client has gone, if the setting says so.

Not covered, so nothing in the tests may depend on it: sessions and temporary tables, files of external data, roles,
quotas and rights of users, progress headers and the summary's numbers, errors after the first bytes of an answer
(every answer is whole, as with wait_end_of_query=1), the native compression (`compress`, `decompress`) and protocol
(port 9000), request bodies larger than memory, brotli, several statements at once, clusters and replicas.
"""

import argparse
import asyncio
import base64
import gzip
import os
import re
import secrets
import ssl
import sys
import tempfile
import threading
import zlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import lz4.frame
from aiohttp import web
from backports import zstd

from vemetric.clickhouse import loader

THREADS_MAX = 32
LINE_BYTES_MAX = 1 << 20
BODY_BYTES_MAX = 1 << 30
MEMORY_BYTES_MAX = 700_000_000

# Parameters that the interface itself reads; every other one is a setting.
OWN = frozenset({
    "query", "database", "user", "password", "default_format", "query_id", "quota_key", "stacktrace", "role",
    "wait_end_of_query", "buffer_size", "session_id", "session_timeout", "session_check", "compress", "decompress",
    "client_protocol_version",
})  # fmt: skip
CODE = re.compile(r"Code: (\d+)")
INSERT = re.compile(rb"\s*INSERT\s+INTO\s.*?\s(FORMAT\s+(\w+))[ \t]*\r?\n?", re.IGNORECASE | re.DOTALL)
# Formats whose rows may stand behind the statement; any other is handed over as a file.
INLINE = re.compile(rb"JSON|CSV|TSV|TabSeparated|Values", re.IGNORECASE)

SYNTAX = {6, 25, 26, 27, 36, 38, 41, 53, 62, 72, 117, 321, 427}
UNKNOWN = {46, 47, 50, 56, 60, 63, 73, 81, 115}
STATUS = {
    **dict.fromkeys(SYNTAX, 400),
    **dict.fromkeys(UNKNOWN, 404),
    **dict.fromkeys((192, 193, 516), 403),
    48: 501,
    159: 408,
    194: 401,
}


class Refused(Exception):
    """An error as the server tells it; the text begins with "Code: N. DB::Exception: "."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text if text.startswith("Code: ") else f"Code: {code}. DB::Exception: {text}")
        self.code = code


class Asked(NamedTuple):
    """One request, read: the statement with its rows, and what is set for it alone."""

    statement: bytes
    database: str
    format: str
    parameters: dict[str, str]
    settings: dict[str, str]


class Front:
    """Answers requests over one engine; every request has a connection of its own, so that its settings end with it."""

    def __init__(self, directory: Path, users: Mapping[str, str]) -> None:
        self._module = loader.load()
        self._target = f"{directory}?max_server_memory_usage={MEMORY_BYTES_MAX}&max_threads=2"
        self._users = dict(users)
        # Keeps the engine open between requests.
        self._keeper = self._module.connect(self._target)
        self._version = self._keeper.query("SELECT version()", "TSV", params={}).bytes().decode().strip()
        self._executor = ThreadPoolExecutor(THREADS_MAX)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        query_id = request.query.get("query_id") or secrets.token_hex(8)
        headers = {"X-ClickHouse-Server-Display-Name": "front", "X-ClickHouse-Query-Id": query_id}
        if request.path == "/ping" or (request.path == "/" and request.method == "GET" and not request.query):
            return web.Response(text="Ok.\n", headers=headers)
        try:
            self._authenticate(request)
            asked = await read(request)
            answer = await self._answer(asked, query_id)
        except Refused as error:
            text = f"{error} (version {self._version} (official build))\n"
            headers["X-ClickHouse-Exception-Code"] = str(error.code)
            status = STATUS.get(error.code, 500)
            return web.Response(status=status, text=text, headers=headers)
        headers |= {"X-ClickHouse-Timezone": "UTC", "X-ClickHouse-Format": asked.format, "X-ClickHouse-Summary": "{}"}
        body, encoding = compressed(answer, request, asked.settings)
        if encoding:
            headers["Content-Encoding"] = encoding
        return web.Response(body=body, headers=headers, content_type="text/plain", charset="UTF-8")

    def close(self) -> None:
        self._executor.shutdown(cancel_futures=True)
        self._keeper.close()

    def _authenticate(self, request: web.Request) -> None:
        user, password = credentials(request)
        if self._users.get(user) != password:
            raise Refused(
                516,
                f"{user}: Authentication failed: password is incorrect, or there is no user with such name. "
                "(AUTHENTICATION_FAILED)",
            )

    async def _answer(self, asked: Asked, query_id: str) -> bytes:
        settings = dict(asked.settings)
        marked = "log_comment" not in settings
        settings.setdefault("log_comment", query_id)
        loop = asyncio.get_running_loop()
        work = asked._replace(settings=settings)
        try:
            return await loop.run_in_executor(self._executor, self._run, work)
        except asyncio.CancelledError:
            stops = settings.get("cancel_http_readonly_queries_on_client_close") == "1"
            if marked and stops and settings.get("readonly", "0") != "0":
                kill = Asked(b"KILL QUERY WHERE Settings['log_comment'] = {id:String} ASYNC", "", "", {}, {})
                self._executor.submit(self._run, kill._replace(parameters={"id": query_id}))
            raise

    def _run(self, asked: Asked) -> bytes:
        connection = self._module.connect(self._target)
        try:
            if asked.database:
                connection.query(f"USE {quoted(asked.database, '`')}", "TSV", params={})
            for name, value in sorted(asked.settings.items(), key=lambda setting: setting[0] == "readonly"):
                connection.query(f"SET {quoted(name, '`')} = {quoted(value, chr(39))}", "TSV", params={})
            return run_statement(connection, asked)
        except UnicodeDecodeError as error:
            raise refusal(error.object.decode(errors="replace")) from None
        except RuntimeError as error:
            raise refusal(str(error)) from None
        finally:
            connection.close()


def run_statement(connection: Any, asked: Asked) -> bytes:
    """Run it; rows in a binary format go through a file, for the engine takes only text behind a statement."""
    found = INSERT.match(asked.statement)
    if found is None or INLINE.match(found.group(2)):
        result: bytes = connection.query(asked.statement, asked.format, params=asked.parameters).bytes()
        return result
    with tempfile.NamedTemporaryFile() as rows:
        rows.write(asked.statement[found.end() :])
        rows.flush()
        head = asked.statement[: found.start(1)] + f"FROM INFILE '{rows.name}' ".encode() + found.group(1)
        connection.query(head, asked.format, params=asked.parameters)
    return b""


async def read(request: web.Request) -> Asked:
    """The request as the interface reads it. Raises Refused for what it cannot read."""
    given = dict(request.query)
    if request.content_type == "multipart/form-data":
        given |= {name: str(value) for name, value in (await request.post()).items()}
        body = b""
    else:
        body = decompressed(await request.read(), request.headers.get("Content-Encoding", ""))
    statement = given.get("query", "").encode()
    if statement and body:
        statement += b"\n"
    statement += body
    if not statement.strip():
        raise Refused(62, "Syntax error: failed at position 1 (end of query): . Empty query. (SYNTAX_ERROR)")
    settings = {name: value for name, value in given.items() if name not in OWN and not name.startswith("param_")}
    if request.method == "GET":
        settings["readonly"] = "2"
    return Asked(
        statement,
        given.get("database") or request.headers.get("X-ClickHouse-Database", ""),
        given.get("default_format") or request.headers.get("X-ClickHouse-Format") or "TabSeparated",
        {name.removeprefix("param_"): value for name, value in given.items() if name.startswith("param_")},
        settings,
    )


def credentials(request: web.Request) -> tuple[str, str]:
    """User and password, from wherever they stand."""
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "basic":
        user, _, password = base64.b64decode(encoded).decode().partition(":")
        return user, password
    if "X-ClickHouse-User" in request.headers or "X-ClickHouse-Key" in request.headers:
        return request.headers.get("X-ClickHouse-User", "default"), request.headers.get("X-ClickHouse-Key", "")
    return request.query.get("user", "default"), request.query.get("password", "")


def decompressed(body: bytes, encoding: str) -> bytes:
    """The body in plain. Clients send one member or frame per block of rows: reading the first alone loses rows."""
    try:
        if encoding in ("gzip", "x-gzip"):
            return gzip.decompress(body)
        if encoding == "deflate":
            return members(body, zlib.decompressobj)
        if encoding == "lz4":
            return members(body, lz4.frame.LZ4FrameDecompressor)
        if encoding == "zstd":
            return zstd.decompress(body)
    except (zlib.error, gzip.BadGzipFile, EOFError, RuntimeError, zstd.ZstdError) as error:
        raise Refused(354, f"inflate failed: {error}. (ZLIB_INFLATE_FAILED)") from None
    if encoding not in ("", "identity"):
        raise Refused(48, f"Unknown compression method: {encoding}. (NOT_IMPLEMENTED)")
    return body


def members(body: bytes, make: Any) -> bytes:
    """Everything, whatever number of members it is cut into. Raises EOFError when the last one ends too soon."""
    parts = []
    while body:
        decompressor = make()
        parts.append(decompressor.decompress(body))
        if not decompressor.eof:
            raise EOFError("the compressed data ends too soon")
        body = decompressor.unused_data or b""
    return b"".join(parts)


def compressed(answer: bytes, request: web.Request, settings: Mapping[str, str]) -> tuple[bytes, str]:
    """The answer as the client may have it, and the name of its encoding."""
    if settings.get("enable_http_compression") not in ("1", "true"):
        return answer, ""
    accepted = request.headers.get("Accept-Encoding", "")
    for name, compress in (
        ("zstd", zstd.compress),
        ("lz4", lz4.frame.compress),
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
    ):
        if name in accepted:
            return compress(answer), name
    return answer, ""


def refusal(text: str) -> Refused:
    found = CODE.search(text)
    return Refused(int(found.group(1)) if found else 1001, text)


def quoted(text: str, quote: str) -> str:
    return quote + text.replace("\\", "\\\\").replace(quote, "\\" + quote) + quote


async def serve(options: argparse.Namespace) -> None:
    users = dict(user.split(":", 1) for user in options.user or ["default:"])
    front = Front(options.directory, users)
    context = None
    if options.certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(options.certificate, options.key)
    app = web.Application(client_max_size=BODY_BYTES_MAX)
    app.router.add_route("*", "/{path:.*}", front.handle)
    runner = web.AppRunner(
        app,
        access_log=None,
        handler_cancellation=True,
        auto_decompress=False,
        max_line_size=LINE_BYTES_MAX,
        max_field_size=LINE_BYTES_MAX,
    )
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", options.port, ssl_context=context).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


def end_with_parent() -> None:
    """Whoever started this holds the other end of standard input; when it ends, so does this, however it ended."""
    sys.stdin.buffer.read()
    os._exit(0)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--user", action="append")
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    options = parser.parse_args()
    threading.Thread(target=end_with_parent, daemon=True).start()
    asyncio.run(serve(options))


if __name__ == "__main__":
    main()
