"""What only an engine on a server can break: the network, TLS, passwords, proxies, old versions, restarts."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.kit import engines
from tests.kit.clickhouse_server import ClickHouseServer
from tests.kit.process import free_port
from vemetric import errors
from vemetric.clickhouse import rows, server
from vemetric.clickhouse.engine import Engine
from vemetric.clickhouse.server import ServerEngine
from vemetric.model import clickhouse_url
from vemetric.model.clickhouse_url import ClickHouseUrl

EventMaker = Callable[..., tuple[Any, ...]]
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture
async def answering() -> AsyncIterator[Callable[[Answer], Awaitable[ClickHouseUrl]]]:
    """Starts a listener that answers as the test says, in the place of a server."""
    started: list[TestServer] = []

    async def start(answer: Answer) -> ClickHouseUrl:
        app = web.Application()
        app.router.add_route("*", "/", answer)
        listener = TestServer(app)
        await listener.start_server()
        started.append(listener)
        return clickhouse_url.parse(f"http://127.0.0.1:{listener.port}/")

    yield start
    for listener in started:
        await listener.close()


async def a_new_server(request: web.Request) -> web.Response:
    """The answers to what an engine asks when it opens."""
    return web.Response(text="26.9.1.1\n" if b"version()" in await request.read() else "1\n")


async def test_an_insert_of_more_than_one_block_is_stored_whole(
    server_engine: Engine, project_id: int, an_event: EventMaker
) -> None:
    count = 65_536 + 4_000
    await server_engine.insert("event", rows.EVENT_COLUMNS, [an_event(id=f"e{n}") for n in range(count)])
    sql = "SELECT count(), uniqExact(id) FROM event WHERE projectId = {p:UInt64}"
    assert await server_engine.query(sql, {"p": project_id}) == [[count, count]]


async def test_one_wrong_row_among_many_blocks_stores_none(
    server_engine: Engine, project_id: int, an_event: EventMaker
) -> None:
    events = [an_event(id=f"e{n}") for n in range(70_000)]
    with pytest.raises(errors.RowRejected):
        await server_engine.insert("event", rows.EVENT_COLUMNS, [*events, an_event(createdAt="soon")])
    assert await server_engine.query("SELECT id FROM event WHERE projectId = {p:UInt64}", {"p": project_id}) == []


@pytest.mark.parametrize("length", [server.URL_PARAMETER_BYTES_MAX, server.URL_PARAMETER_BYTES_MAX + 1, 120_000])
async def test_parameters_of_any_length_arrive_as_they_are(server_engine: Engine, length: int) -> None:
    text = ("ä\n\r\t\\'\"&=+%;\0" * length)[: length // 2]
    values = {"text": text, "more": "x" * (length - len(text))}
    found = await server_engine.query("SELECT {text:String}, length({more:String})", values)
    assert found == [[text, length - len(text)]]


async def test_a_cancelled_query_is_stopped_on_the_server(server_engine: Engine) -> None:
    endless = "SELECT count() FROM numbers(1000000000000) WHERE sin(number) > 2 AND 'cancelled' != ''"
    running = "SELECT count() FROM system.processes WHERE query LIKE '%''cancelled''%' AND query NOT LIKE '%processes%'"
    asked = asyncio.create_task(server_engine.query(endless))
    while await server_engine.lookup(running) != [[1]]:
        pass
    asked.cancel()
    while await server_engine.lookup(running) != [[0]]:
        pass


async def test_a_server_that_went_away_is_busy_and_is_found_again(tmp_path: Path, an_event: EventMaker) -> None:
    away = ClickHouseServer(tmp_path / "store", password="x").start()
    try:
        async with engines.on_server(away) as engine:
            await engine.insert("event", rows.EVENT_COLUMNS, [an_event(id="a")])
            away.kill()
            for call in (engine.query("SELECT 1"), engine.insert("event", rows.EVENT_COLUMNS, [an_event(id="b")])):
                with pytest.raises(errors.StoreBusy, match="does not answer"):
                    await call
            away.start()
            await engine.insert("event", rows.EVENT_COLUMNS, [an_event(id="c")])
            assert await engine.query("SELECT id FROM event ORDER BY id") == [["a"], ["c"]]
    finally:
        away.stop()


async def test_speaks_tls_and_checks_who_answers(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate, key, trusted = tmp_path / "cert.pem", tmp_path / "key.pem", tmp_path / "ca.pem"
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(str(key))
    issued.cert_chain_pems[0].write_to_path(str(certificate))
    authority.cert_pem.write_to_path(str(trusted))
    private = ClickHouseServer(tmp_path / "store", password="x", certificate=certificate, key=key).start()
    try:
        at = clickhouse_url.parse(private.url("stats"))
        engine = await ServerEngine.open(at, certificate_authority=trusted)
        assert await engine.query("SELECT currentDatabase()") == [["stats"]]
        await engine.close()
        with pytest.raises(errors.Unavailable, match="certificate verify failed"):
            await ServerEngine.open(at)
    finally:
        private.stop()


async def test_a_start_without_a_server_or_with_a_wrong_password_says_so(clickhouse_server: ClickHouseServer) -> None:
    with pytest.raises(errors.Unavailable, match="does not answer"):
        await ServerEngine.open(clickhouse_url.parse(f"http://127.0.0.1:{free_port()}/"))
    at = clickhouse_url.parse(clickhouse_server.url())._replace(password="guessed")
    with pytest.raises(errors.Misconfigured, match=r"refuses 'default'.*AUTHENTICATION_FAILED") as caught:
        await ServerEngine.open(at)
    assert "guessed" not in caught.value.message


@pytest.mark.parametrize(("version", "taken"), [("25.7.9.1", False), ("25.8.0.1", True), ("27.1", True)])
async def test_the_oldest_version_is_checked(answering: Any, version: str, taken: bool) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=f"{version}\n" if b"version()" in await request.read() else "1\n")

    at = await answering(answer)
    if taken:
        await (await ServerEngine.open(at)).close()
        return
    with pytest.raises(errors.Misconfigured, match=rf"is {version}; 25\.8 is the oldest"):
        await ServerEngine.open(at)


@pytest.mark.parametrize(
    ("status", "headers", "text", "raised"),
    [
        (502, {}, "<html>Bad Gateway</html>", errors.StoreBusy),
        (503, {}, "", errors.StoreBusy),
        (500, {}, "Code: 241. DB::Exception: Memory limit exceeded", errors.StoreBusy),
        (500, {}, "Code: 285. DB::Exception: Number of alive replicas is less than quorum", errors.StoreBusy),
        (400, {}, "Code: 27. DB::Exception: Cannot parse input", errors.RowRejected),
        (404, {}, "Code: 60. DB::Exception: Table event does not exist", errors.StoreError),
        (200, {server.EXCEPTION_HEADER: "252"}, "Code: 252. DB::Exception: Too many parts", errors.StoreBusy),
    ],
)
async def test_what_an_insert_is_answered_decides_what_becomes_of_its_jobs(
    answering: Any, status: int, headers: dict[str, str], text: str, raised: type[errors.StoreError]
) -> None:
    async def answer(request: web.Request) -> web.Response:
        if "INSERT" in request.query.get("query", ""):
            return web.Response(status=status, headers=headers, text=text)
        return await a_new_server(request)

    engine = await ServerEngine.open(await answering(answer))
    with pytest.raises(errors.StoreError) as caught:
        await engine.insert("event", ["id"], [["x"]])
    assert type(caught.value) is raised
    await engine.close()


async def test_an_insert_is_one_compressed_request_and_its_loss_is_busy(answering: Any) -> None:
    asked: list[web.Request] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        if "INSERT" not in request.query.get("query", ""):
            return await a_new_server(request)
        asked.append(request)
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    engine = await ServerEngine.open(await answering(answer))
    with pytest.raises(errors.StoreBusy):
        await engine.insert("event", ["id"], [["x"]] * 1000)
    await engine.close()
    [request] = asked
    assert request.headers["Content-Encoding"] == "gzip"
    assert request.query["query"] == "INSERT INTO event (id) FORMAT JSONCompactEachRow"


async def test_an_answer_that_was_cut_is_busy(answering: Any) -> None:
    async def answer(request: web.Request) -> web.Response:
        if b"SELECT 2" in await request.read():
            return web.Response(text='["whole"]\n["cu')
        return await a_new_server(request)

    engine = await ServerEngine.open(await answering(answer))
    with pytest.raises(errors.StoreBusy, match="cut short"):
        await engine.query("SELECT 2")
    await engine.close()


@pytest.mark.parametrize("sql", ["INSERT INTO event SELECT * FROM event", "TRUNCATE TABLE event"])
async def test_a_page_cannot_write(server_engine: Engine, sql: str) -> None:
    with pytest.raises(errors.StoreError, match="READONLY"):
        await server_engine.query(sql)
