"""The listeners: the hub's rules on its exact paths only, for every path on a listener of its own, and TLS renewed."""

import asyncio
import dataclasses
import json
import logging
import os
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import msgspec
import pytest
import trustme

from tests.kit import http, process, visits
from vemetric import config, errors, serve
from vemetric.accounts import exclusions
from vemetric.clickhouse import directory
from vemetric.model import data_directory
from vemetric.model.probe import nothing
from vemetric.services import Services
from vemetric.web import listeners, tls

ORIGIN = ("Origin", "https://www.example.com")


@pytest.fixture
def ports() -> tuple[int, int]:
    return process.free_port(), process.free_port()


@pytest.fixture
def environ(environ: dict[str, str], ports: tuple[int, int]) -> dict[str, str]:
    listeners = {"VEMETRIC_LISTEN": f"127.0.0.1:{ports[0]}", "VEMETRIC_HUB_LISTEN": f"127.0.0.1:{ports[1]}"}
    return environ | listeners | {"VEMETRIC_HIT_BODY_BYTES_MAX": "1024"}


@pytest.fixture
async def site(live_services: Services) -> AsyncIterator[Services]:
    async with serve.site(live_services):
        yield live_services


def with_roles(services: Services, *roles: str) -> Services:
    return dataclasses.replace(services, config=msgspec.structs.replace(services.config, roles=config.Roles(roles)))


@pytest.mark.parametrize(
    ("roles", "hub", "pages"), [(("hub",), 401, 404), (("web",), 404, 200), (("worker",), 404, 404)]
)
async def test_a_process_answers_what_its_roles_are_for_and_how_it_is(
    live_services: Services, ports: tuple[int, int], roles: tuple[str, ...], hub: int, pages: int
) -> None:
    async with serve.site(with_roles(live_services, *roles)):
        answers = {path: await http.exchange(ports[0], "GET", path, []) for path in ("/e", "/login", "/up", "/ready")}
    assert answers["/e"].status == hub
    assert answers["/login"].status in (pages, 303)
    assert answers["/up"].status == 200
    stored = {} if roles == ("hub",) else {"analytics": "ok", "canary": "ok"}
    needed = {"database": "ok", "queue": "ok"} | stored
    assert msgspec.json.decode(answers["/ready"].body) == {"roles": list(roles)} | needed


def has_cors(answer: http.Answer) -> bool:
    return any(name.startswith("access-control-") for name, _ in answer.headers)


@pytest.mark.parametrize("path", ["/", "/login", "/e/", "/E", "/nope", "/static/x"])
async def test_only_the_hubs_exact_paths_have_cors_on_the_shared_port(
    site: Services, ports: tuple[int, int], path: str
) -> None:
    for method in ("GET", "OPTIONS", "POST"):
        assert not has_cors(await http.exchange(ports[0], method, path, [ORIGIN]))


@pytest.mark.parametrize("path", ["/e", "/l", "/up"])
async def test_the_hubs_paths_have_cors_whatever_the_answer(site: Services, ports: tuple[int, int], path: str) -> None:
    for method in ("GET", "OPTIONS", "POST", "PUT"):
        assert has_cors(await http.exchange(ports[0], method, path, [ORIGIN]))


async def test_a_mistake_of_ours_is_told_without_the_visitors_address(
    site: Services, ports: tuple[int, int], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def stumble(*_: object) -> None:
        raise ValueError("a mistake")

    monkeypatch.setattr(site.intake.__class__, "event", stumble)
    project = await visits.a_project(site)
    headers = [ORIGIN, ("Token", project.token), ("Content-Type", "application/json")]
    answer = await http.exchange(ports[0], "POST", "/e", headers, b'{"name":"X"}')
    assert (answer.status, answer.body, has_cors(answer)) == (500, b"Internal Server Error", True)
    assert "a mistake" in caplog.text
    assert "127.0.0.1" not in caplog.text


async def test_a_body_that_is_not_packed_as_it_says_is_refused_and_not_logged(
    site: Services, ports: tuple[int, int], caplog: pytest.LogCaptureFixture
) -> None:
    library = logging.getLogger("aiohttp.server")
    library.addFilter(serve.is_our_error)
    project = await visits.a_project(site)
    headers = [("Token", project.token), ("Content-Type", "application/json"), ("Content-Encoding", "gzip")]
    try:
        for port in ports:
            answer = await http.exchange(port, "POST", "/e", headers, b"this is no gzip")
            assert (answer.status, answer.body) == (400, b"Malformed JSON in request body")
    finally:
        library.removeFilter(serve.is_our_error)
    assert not caplog.records


@pytest.mark.parametrize("coding", ["br", "zstd", "nonsense"])
@pytest.mark.parametrize("is_chunked", [True, False])
async def test_a_body_packed_in_an_unknown_way_is_told_so_and_the_connection_stays(
    site: Services, ports: tuple[int, int], coding: str, is_chunked: bool
) -> None:
    project = await visits.a_project(site)
    body = b'{"name": "signed-up"}'
    sent, length = (b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body), b"Transfer-Encoding: chunked")
    if not is_chunked:
        sent, length = body, b"Content-Length: %d" % len(body)
    head = b"POST /e HTTP/1.1\r\nHost: hub.test\r\nOrigin: https://a.test\r\nToken: %b\r\n" % project.token.encode()
    packed = head + b"Content-Encoding: %b\r\n%b\r\n\r\n%b" % (coding.encode(), length, sent)
    plain = head + b"%b\r\n\r\n%b" % (length, sent)
    for port in ports:
        first, second = await http.send_in_turn(port, [packed, plain])
        assert (first.status, first.body[:28], has_cors(first)) == (415, b"Unsupported Content-Encoding", True)
        assert second.status == 200


async def test_on_a_listener_of_its_own_the_hubs_rules_hold_for_every_path(
    site: Services, ports: tuple[int, int]
) -> None:
    project = await visits.a_project(site)
    unknown = await http.exchange(ports[1], "GET", "/anything", [ORIGIN])
    assert (unknown.status, has_cors(unknown)) == (401, True)
    known = await http.exchange(ports[1], "GET", "/login", [ORIGIN, ("Token", project.token)])
    assert (known.status, known.body) == (404, b"404 Not Found")


@pytest.mark.parametrize(("bytes_over", "status"), [(0, 200), (1, 413)])
async def test_the_body_bound_is_exact(site: Services, ports: tuple[int, int], bytes_over: int, status: int) -> None:
    project = await visits.a_project(site)
    frame = len(b'{"name":""}')
    body = b'{"name":"%s"}' % (b"n" * (1024 - frame + bytes_over))
    headers = [ORIGIN, ("Token", project.token), ("Content-Type", "application/json")]
    answer = await http.exchange(ports[0], "POST", "/e", headers, body)
    assert (answer.status, has_cors(answer)) == (status, True)


async def test_a_body_without_a_length_is_bounded_too(site: Services, ports: tuple[int, int]) -> None:
    project = await visits.a_project(site)
    lines = (
        "POST /e HTTP/1.1",
        "Host: h",
        f"Token: {project.token}",
        "Transfer-Encoding: chunked",
        "Connection: close",
    )
    head = "\r\n".join(lines) + "\r\n\r\n"
    chunk = b"%x\r\n%s\r\n" % (600, b"n" * 600)
    answer = await http.send(ports[0], head.encode() + chunk * 2 + b"0\r\n\r\n")
    assert answer.status == 413


@pytest.mark.parametrize(
    ("ip", "url", "refusal"),
    [
        ("203.0.113.9", "https://shop.test/", "excluded-ip"),
        ("198.51.100.77", "https://shop.test/", "excluded-ip"),
        ("2001:db8::1", "https://shop.test/", "excluded-ip"),
        ("192.0.2.1", "https://shop.test/admin/users?x=1", "excluded-path"),
        ("192.0.2.1", "https://staging.shop.test/", "excluded-host"),
        ("192.0.2.1", "https://shop.test/?path=/admin/users", None),
    ],
)
async def test_what_is_excluded_is_named(
    site: Services, ports: tuple[int, int], ip: str, url: str, refusal: str | None
) -> None:
    project = await visits.a_project(site)
    headers = [("Token", project.token), ("Content-Type", "application/json"), ("X-Forwarded-For", ip)]
    lists = {
        "ip": ("203.0.113.9", "198.51.100.0/24", "2001:db8::/32"),
        "path": ("/admin/*",),
        "host": ("staging.*",),
    }
    for kind, values in lists.items():
        for value in values:
            await exclusions.exclude(site.database, site.clock, project.id, kind, value)
    site.projects.forget()
    body = json.dumps({"name": "$$pageView", "url": url}).encode()
    answer = await http.exchange(ports[0], "POST", "/e", [*headers, ("User-Agent", visits.CHROME)], body)
    assert (answer.status, answer.header("Vemetric-Refused")) == (200, refusal)


class TestSlowHeads:
    """A connection that never finishes a request's head is closed, on each listener, the first or a later one."""

    @pytest.fixture(autouse=True)
    def soon(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(listeners, "KEEP_ALIVE_SECONDS", 0.5)

    @pytest.mark.parametrize("listener", [0, 1])
    @pytest.mark.parametrize("before", [b"", b"GET /up HTTP/1.1\r\nHost: hub.test\r\n\r\n"])
    async def test_are_given_up(self, site: Services, ports: tuple[int, int], listener: int, before: bytes) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", ports[listener])
        try:
            writer.write(before)
            if before:
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(int(http.parsed(head).header("content-length") or 0))
            writer.write(b"POST /e HTTP/1.1\r\n")
            dripping = asyncio.create_task(drip(writer))
            with suppress(ConnectionResetError):
                assert await reader.read() == b""
        finally:
            dripping.cancel()
            writer.close()
            await asyncio.gather(dripping, writer.wait_closed(), return_exceptions=True)


async def drip(writer: asyncio.StreamWriter) -> None:
    """A header that never ends."""
    writer.write(b"X-Slow: ")
    while True:
        writer.write(b"a")
        await asyncio.sleep(0.05)


async def test_the_operator_may_have_a_listener_alone(live_services: Services, ports: tuple[int, int]) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = msgspec.structs.replace(live_services.config, admin_listen=config.Address("127.0.0.1", port))
    async with serve.site(dataclasses.replace(live_services, config=settings)):
        for path, alone in (("/metrics", 200), ("/admin", 303), ("/admin/system", 303), ("/up", 200)):
            assert (await http.exchange(port, "GET", path, [])).status == alone, path
        for path in ("/metrics", "/admin", "/admin/", "/admin/system"):
            assert (await http.exchange(ports[0], "GET", path, [])).status == 404, path
    async with serve.site(live_services):
        # Without a token nobody gets figures where everybody can ask.
        assert (await http.exchange(ports[0], "GET", "/metrics", [])).status == 404
        for path in ("/healthz/live", "/healthz/ready", "/api/health"):
            assert (await http.exchange(ports[0], "GET", path, [])).status == 200, path


async def test_every_interface_means_ipv4_too(live_services: Services, ports: tuple[int, int]) -> None:
    everywhere = msgspec.structs.replace(live_services.config, listen=config.Address("::", ports[0]), hub_listen=None)
    hosts = ["127.0.0.1", *(["::1"] if has_ipv6() else [])]
    async with serve.site(dataclasses.replace(live_services, config=everywhere)):
        for host in hosts:
            _, writer = await asyncio.open_connection(host, ports[0])
            writer.close()
            await writer.wait_closed()


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def certificate(directory: Path, name: str) -> trustme.CA:
    """Write certificate and key of a new authority where the settings point."""
    authority = trustme.CA()
    issued = authority.issue_cert(name)
    issued.private_key_pem.write_to_path(directory / "key.pem")
    issued.cert_chain_pems[0].write_to_path(directory / "certificate.pem")
    return authority


async def greeting(port: int, authority: trustme.CA, name: str) -> bool:
    """Whether a client that trusts the authority is greeted under the name."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
    except ssl.SSLError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


async def test_a_renewed_certificate_is_used_and_a_broken_one_is_not(tmp_path: Path) -> None:
    first = certificate(tmp_path, "stats.example.com")
    settings, _ = config.load(
        {
            "VEMETRIC_TLS_CERTIFICATE": str(tmp_path / "certificate.pem"),
            "VEMETRIC_TLS_KEY": str(tmp_path / "key.pem"),
        }
    )
    context = tls.context_of(settings)
    assert context is not None
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    assert await greeting(port, first, "stats.example.com")
    second = certificate(tmp_path, "stats.example.com")
    tls.load_certificate(context, tmp_path / "certificate.pem", tmp_path / "key.pem")
    assert await greeting(port, second, "stats.example.com")
    assert not await greeting(port, first, "stats.example.com")
    key = (tmp_path / "key.pem").read_bytes()
    # Renewed one file after the other: for a moment they do not belong together.
    certificate(tmp_path, "stats.example.com")
    (tmp_path / "key.pem").write_bytes(key)
    with pytest.raises(errors.Misconfigured, match="must be PEM files that belong together"):
        tls.load_certificate(context, tmp_path / "certificate.pem", tmp_path / "key.pem")
    assert await greeting(port, second, "stats.example.com")
    (tmp_path / "certificate.pem").write_text("broken")
    with pytest.raises(errors.Misconfigured, match="must be PEM files that belong together"):
        tls.load_certificate(context, tmp_path / "certificate.pem", tmp_path / "key.pem")
    assert await greeting(port, second, "stats.example.com")
    server.close()
    await server.wait_closed()


async def test_a_taken_port_stops_the_start_with_a_sentence(live_services: Services, ports: tuple[int, int]) -> None:
    taken = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", ports[0])
    with pytest.raises(errors.Misconfigured, match=r"VEMETRIC_LISTEN is .* nothing can listen there"):
        async with serve.site(live_services):
            pass
    taken.close()
    await taken.wait_closed()


@pytest.mark.parametrize("is_stopping", [False, True])
async def test_a_start_gives_up_when_whoever_has_the_data_keeps_it(
    environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_stopping: bool
) -> None:
    if not is_stopping:
        monkeypatch.setattr(serve, "BUSY_SECONDS_MAX", 0)
    stopping = asyncio.Event()
    if is_stopping:
        stopping.set()
    settings, _ = config.load(environ | {"VEMETRIC_DATA_DIR": str(tmp_path)})
    owned = directory.Directory.own(tmp_path / data_directory.ANALYTICS_NAME, "26.9.0")
    try:
        async with AsyncExitStack() as stack:
            with pytest.raises(errors.InUse, match=f"in use by process {os.getpid()}"):
                await serve.open_when_free(settings, nothing, stack, stopping)
    finally:
        owned.release()
