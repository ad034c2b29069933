"""The hub's short way answers plain hits, leaves all else to the library, and never answers otherwise than it."""

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator
from typing import NamedTuple

import msgspec
import pytest
from aiohttp import web
from aiohttp.web_protocol import RequestHandler
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.kit import http
from vemetric.database import organizations, projects
from vemetric.ingest import jobs
from vemetric.ingest.refuse import Refusal
from vemetric.ingest.tap import NO_PROJECT
from vemetric.model import ids
from vemetric.model.organization import Organization
from vemetric.model.project import Project
from vemetric.queues.queue import Told
from vemetric.services import Services
from vemetric.web import hub_protocol
from vemetric.web.hub import Hub
from vemetric.web.hub_protocol import HELD_BYTES_MAX, HubSite
from vemetric.web.tracker import Tracker

TOKEN = "t" * 16
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
BODY = json.dumps({"name": "signed-up", "url": "https://example.com/"}).encode()
BODY_BYTES_MAX = 2_000


class Listeners(NamedTuple):
    """The same hub twice: with its short way, and by the library alone."""

    services: Services
    short: int
    library: int
    server: web.Server

    async def queued(self) -> int:
        return sum(queue.ready for queue in await self.services.queue.stats())


@pytest.fixture
async def listeners(services_at_noon: Services) -> AsyncIterator[Listeners]:
    config = msgspec.structs.replace(services_at_noon.config, hit_body_bytes_max=BODY_BYTES_MAX)
    services = dataclasses.replace(services_at_noon, config=config)
    async with services.database.begin() as connection:
        organization_id = ids.random_id(16)
        await organizations.create(connection, Organization(organization_id, "Acme", 0))
        await projects.create(connection, Project(1, organization_id, "Site", "example.com", TOKEN))
    hub = Hub(services, Tracker())
    server = web.Server(hub.handle, access_log=None, auto_decompress=False)
    runner = web.ServerRunner(server)
    await runner.setup()
    await HubSite(runner, hub, "127.0.0.1", 0).start()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    short, library = (address[1] for address in runner.addresses)
    yield Listeners(services, short, library, server)
    await runner.cleanup()


def hit(*extra: bytes, body: bytes = BODY, length: bytes | None = None, line: bytes = b"POST /e HTTP/1.1") -> bytes:
    fields = [
        b"Host: hub.test", b"Token: " + TOKEN.encode(), b"User-Agent: " + AGENT.encode(),
        b"Content-Type: application/json", b"Content-Length: " + (length or str(len(body)).encode()), *extra,
    ]  # fmt: skip
    return b"\r\n".join([line, *fields]) + b"\r\n\r\n" + body


async def answers(port: int, pieces: list[bytes], count: int) -> list[int]:
    """The statuses of the answers to what one connection sends, piece by piece."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    statuses = []
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            # Let it go out as a packet of its own.
            await asyncio.sleep(0.002)
        for _ in range(count):
            answer = http.parsed(await reader.readuntil(b"\r\n\r\n"))
            await reader.readexactly(int(answer.header("content-length") or 0))
            statuses.append(answer.status)
    finally:
        writer.close()
    return statuses


async def test_a_plain_hit_is_answered_as_the_library_does(listeners: Listeners) -> None:
    request = hit(b"Origin: https://example.com")
    short = await http.send_and_stay(listeners.short, request)
    library = await http.send_and_stay(listeners.library, request)
    assert short.status == library.status == 200
    assert sorted(short.headers) == sorted(library.headers)
    assert await listeners.queued() == 2


async def test_hits_sent_at_once_are_answered_in_order(listeners: Listeners) -> None:
    requests = [hit(), hit(b"Token: wrong"), hit(line=b"GET /up HTTP/1.1", body=b""), hit(), hit(body=b"{")]
    assert await answers(listeners.short, [b"".join(requests)], 5) == [200, 200, 200, 200, 400]
    assert await answers(listeners.short, requests, 5) == [200, 200, 200, 200, 400]


@pytest.mark.parametrize("cut", [1, 10, 30, 120, len(hit()) - len(BODY), len(hit()) - 1])
async def test_a_hit_in_two_pieces_is_one_hit_and_the_next_is_another(listeners: Listeners, cut: int) -> None:
    request = hit()
    assert await answers(listeners.short, [request[:cut], request[cut:], request, request], 3) == [200, 200, 200]
    assert await listeners.queued() == 3


async def test_the_short_way_is_taken_again_after_the_librarys(listeners: Listeners) -> None:
    up = b"GET /up HTTP/1.1\r\nHost: hub.test\r\n\r\n"
    assert await answers(listeners.short, [up, hit(), up, hit(b"Expect: 100-continue")], 3) == [200, 200, 200]


async def test_the_short_way_is_taken_again_after_a_body_that_the_library_read(listeners: Listeners) -> None:
    for_library = hit(line=b"POST /e?x=1 HTTP/1.1")
    reader, writer = await asyncio.open_connection("127.0.0.1", listeners.short)
    for request in (for_library, hit(), hit()):
        writer.write(request)
        await reader.readuntil(b"\r\n\r\n")
    writer.close()
    assert listeners.server.requests_count == 1


@pytest.mark.parametrize(
    "request_bytes",
    [
        hit(b"Content-Length: 3"),
        hit(length=b"+%d" % len(BODY)),
        hit(length=b"0x10"),
        hit(b"Transfer-Encoding: chunked"),
        hit(b"Transfer-Encoding : chunked"),
        hit(b"Content-Encoding: gzip"),
        hit(b" folded: value"),
        hit(b"Bad Name: value"),
        hit(b"Nul: a\0b"),
        hit(b"Return: a\rb"),
        hit(b"Blanks:" + b" " * 7_000 + b"\x01"),
        hit(b"No-Colon"),
        hit(b"Host: other.test"),
        hit(b"User-Agent: another"),
        hit(b"X-Long: " + b"x" * 9_000),
        hit(line=b"POST /e HTTP/1.0"),
        hit(line=b"POST /e  HTTP/1.1"),
        hit(line=b"post /e HTTP/1.1"),
        hit(line=b"POST /e?x=1 HTTP/1.1"),
        hit(line=b"POST http://hub.test/e HTTP/1.1"),
        hit().replace(b"Host: hub.test\r\n", b""),
        hit().replace(b"\r\n", b"\n"),
        hit(b"Connection: close"),
    ],
    ids=lambda request: request[-len(BODY) - 40 : -len(BODY) - 4].decode("latin-1"),
)
async def test_what_is_not_plain_is_the_librarys(listeners: Listeners, request_bytes: bytes) -> None:
    short, library = await asyncio.gather(
        first_status(listeners.short, request_bytes), first_status(listeners.library, request_bytes)
    )
    assert short == library


async def first_status(port: int, request: bytes) -> int | None:
    """The status of the first answer, None if the server closes without one or waits for more."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        async with asyncio.timeout(0.5):
            head = await reader.readuntil(b"\r\n")
        return int(head.split()[1])
    except (asyncio.IncompleteReadError, ConnectionError, TimeoutError):
        return None
    finally:
        writer.close()


names = st.sampled_from(
    [b"Origin", b"Cookie", b"X-Forwarded-For", b"Allow-Cookies", b"V-Host", b"Referer", b"Sec-CH-UA", b"Purpose"]
)
values = st.binary(max_size=30).map(lambda raw: raw.replace(b"\r", b"").replace(b"\n", b""))
bodies = st.one_of(
    st.just(BODY), st.binary(max_size=60), st.just(b'{"name":""}'), st.just(b'{"name":"x","customData":1}')
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fields=st.lists(st.tuples(names, values), max_size=4), body=bodies)
async def test_answers_are_those_of_the_library(
    listeners: Listeners, fields: list[tuple[bytes, bytes]], body: bytes
) -> None:
    request = hit(*(name + b": " + value for name, value in fields), body=body)
    short, library = await asyncio.gather(
        first_status(listeners.short, request), first_status(listeners.library, request)
    )
    assert short == library
    if library == 200:
        # The second is known by what is alike in both.
        assert await answers(listeners.short, [hit(b"Cookie: a=b"), request, request], 3) == [200, 200, 200]


async def test_much_at_once_is_read_in_portions_and_answered_in_full(listeners: Listeners) -> None:
    count = 2 * HELD_BYTES_MAX // len(hit())
    assert await answers(listeners.short, [hit() * count], count) == [200] * count


async def test_a_full_queue_is_told_and_the_session_is_not_begun(
    listeners: Listeners, caplog: pytest.LogCaptureFixture
) -> None:
    queue, bound = listeners.services.queue, listeners.services.queue.jobs_max
    leave = hit(line=b"POST /l HTTP/1.1", body=b"{}")
    assert await answers(listeners.short, [leave], 1) == [401]
    await listeners.services.tap.flush()
    queue.jobs_max = 0
    for port in (listeners.short, listeners.library):
        refused = await http.send_and_stay(port, hit())
    await listeners.services.tap.flush()
    counted = await queue.counters(f"{jobs.REFUSED_PREFIX}1:{Refusal.BUSY}:")
    assert (list(counted.values()), await queue.counters(f"{jobs.REFUSED_PREFIX}{NO_PROJECT}:")) == ([2], {})
    assert [record.message.startswith("Hits are refused: ") for record in caplog.records] == [True]
    assert (refused.status, refused.header("retry-after"), refused.header("vemetric-refused")) == (503, "5", "busy")
    queue.jobs_max = bound
    assert await answers(listeners.short, [leave, hit(), leave], 3) == [401, 200, 200]


async def test_a_hit_refused_by_a_store_that_took_its_time_is_counted_under_its_project(
    listeners: Listeners, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = listeners.services.queue
    # As slow as can be: whatever is read of a project is too old at once.
    monkeypatch.setattr(listeners.services.projects, "_cache_ms", 0)
    queue.jobs_max = 0
    for port in (listeners.short, listeners.library):
        assert (await http.send_and_stay(port, hit())).status == 503
    await listeners.services.tap.flush()
    counted = await queue.counters(jobs.REFUSED_PREFIX)
    assert [(name.split(":")[1:3], count) for name, count in counted.items()] == [(["1", Refusal.BUSY], 2)]


async def test_a_body_beyond_the_bound_is_refused_on_the_short_way_too(listeners: Listeners) -> None:
    largest, larger = hit(body=BODY.ljust(BODY_BYTES_MAX)), hit(body=BODY.ljust(BODY_BYTES_MAX + 1))
    for port in (listeners.short, listeners.library):
        assert await answers(port, [largest], 1) == [200]
        assert await answers(port, [larger], 1) == [413]


async def connection(
    listeners: Listeners,
) -> tuple[hub_protocol.HubProtocol, asyncio.StreamReader, asyncio.StreamWriter]:
    """The server's end of a new connection that takes the short way, and ours."""
    before = set(listeners.server.connections)
    reader, writer = await asyncio.open_connection("127.0.0.1", listeners.short)
    writer.write(b"GET /up HTTP/1.1\r\nHost: hub.test\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    (protocol,) = set(listeners.server.connections) - before
    assert isinstance(protocol, hub_protocol.HubProtocol)
    return protocol, reader, writer


async def test_a_connection_that_ends_answers_what_is_under_way_and_takes_nothing_more(listeners: Listeners) -> None:
    assert await answers(listeners.short, [hit()], 1) == [200]
    protocol, _, writer = await connection(listeners)
    # The second waits behind the first. Taken while the connection ends, it would be stored and never be answered.
    protocol.data_received(hit())
    assert protocol._is_under_way
    protocol.data_received(hit())
    await protocol.shutdown(10)
    writer.close()
    assert await listeners.queued() == 2


async def test_nothing_is_taken_once_the_library_is_about_to_close(listeners: Listeners) -> None:
    assert await answers(listeners.short, [hit()], 1) == [200]
    protocol, reader, writer = await connection(listeners)
    handler = listeners.server.request_handler

    async def send_more_when_answered(request: web.BaseRequest) -> web.StreamResponse:
        task = asyncio.current_task()
        assert task is not None
        task.add_done_callback(lambda _: protocol.data_received(hit()))
        return await handler(request)

    protocol._request_handler = send_more_when_answered
    protocol.data_received(b"GET /up HTTP/1.1\r\nHost: hub.test\r\nConnection: close\r\n\r\n")
    await reader.read()
    writer.close()
    await protocol.shutdown(10)
    assert await listeners.queued() == 1


async def test_the_end_of_a_connection_takes_its_time_once(
    listeners: Listeners, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await answers(listeners.short, [hit()], 1) == [200]
    protocol, _, writer = await connection(listeners)
    left: list[float | None] = []

    async def shutdown(_: RequestHandler, timeout: float | None = 15.0) -> None:
        left.append(timeout)

    monkeypatch.setattr(RequestHandler, "shutdown", shutdown)
    protocol._answering = asyncio.create_task(asyncio.sleep(3600))
    await protocol.shutdown(0.01)
    # Nothing is left of the time, and none at all would be any time to the library.
    assert left == [hub_protocol.SHUTDOWN_SECONDS_MIN]
    monkeypatch.undo()
    protocol._answering.cancel()
    protocol._answering = None
    writer.close()


async def test_a_hit_that_was_not_written_in_time_is_not_answered(
    listeners: Listeners, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await answers(listeners.short, [hit()], 1) == [200]
    protocol, reader, writer = await connection(listeners)
    submitted: list[Told] = []
    monkeypatch.setattr(listeners.services.queue, "submit", lambda _, told: submitted.append(told))
    protocol.data_received(hit())
    await protocol.shutdown(0.01)
    (told,) = submitted
    told(None)
    assert await reader.read() == b""
    writer.close()


async def test_a_connection_that_fails_after_an_answer_harms_no_other(
    listeners: Listeners, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert await answers(listeners.short, [hit()], 1) == [200]
    protocol, reader, writer = await connection(listeners)

    def stumble() -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(protocol, "_go_on", stumble)
    assert await asyncio.gather(*(answers(listeners.short, [hit()], 1) for _ in range(3))) == [[200]] * 3
    writer.write(hit())
    assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
    assert [record.message for record in caplog.records] == ["A connection failed after the answer to a hit"]
    writer.close()


async def test_a_stumble_after_the_write_is_answered(listeners: Listeners, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await answers(listeners.short, [hit()], 1) == [200]

    def stumble(*_: object) -> bool:
        raise RuntimeError("a bug")

    monkeypatch.setattr(listeners.services.tap, "notes_accepted", stumble)
    for port in (listeners.short, listeners.library):
        assert await answers(port, [hit()], 1) == [500]
