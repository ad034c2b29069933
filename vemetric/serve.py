"""The process: open the stores, start the workers and the schedule, run the site, drain on SIGTERM."""

import asyncio
import gc
import logging
import os
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from vemetric import control, errors, public_url, services, workers
from vemetric.accounts import setup
from vemetric.acme.keeper import Keeper
from vemetric.clock import SystemClock
from vemetric.config import HUB, ROLES, WEB, WORKER, Address, Config
from vemetric.enrich import bots, referrer, user_agent
from vemetric.model import private_file
from vemetric.services import Probe, Services
from vemetric.web import app, base_path, handed_sockets, metrics, routes, tls
from vemetric.web.challenges import Challenges
from vemetric.web.health import PATHS as health_paths
from vemetric.web.health import Health
from vemetric.web.hub import PATHS, Hub
from vemetric.web.hub_protocol import HubSite
from vemetric.web.leaving import Leaving
from vemetric.web.tracker import Tracker

# How long a start waits for a command that has the data, or for a process that finishes its work.
BUSY_SECONDS_MAX = 15
BUSY_LOOK_SECONDS = 0.25
TAP_FLUSH_SECONDS = 0.5
LAG_SECONDS = 1.0
# What another process changed is known within a second.
SALTS_SECONDS = 0.25
CONNECTIONS_WAITING_MAX = 1024
# While the process is restarted they wait at the socket; the kernel has its own bound (net.core.somaxconn).
HANDED_WAITING_MAX = 65_535
# How long a connection waits for its next request to be there with its whole head, however slowly it comes: an idle one
# is closed then, and one that keeps a place by sending a byte now and again. Longer than proxies keep theirs.
KEEP_ALIVE_SECONDS = 75
# How long a thread waits for the interpreter before it asks for it. The queue's writer asks several times a commit, and
# every hit waits for a commit: Python's own 5 ms would be most of an answer's time.
SWITCH_SECONDS = 0.0002
COLLECTOR_THRESHOLDS = (20_000, 20, 100)

log = logging.getLogger("vemetric")

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


async def serve(config: Config, warnings: list[str], probe: Probe = services.nothing) -> None:
    """Run until SIGTERM or SIGINT. Raises Misconfigured when the start is refused."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    for warning in warnings:
        log.warning(warning)
    logging.getLogger("aiohttp.server").addFilter(is_our_error)
    calm_collector()
    sys.setswitchinterval(SWITCH_SECONDS)
    handed = handed_sockets.take(os.environ)
    async with AsyncExitStack() as stack:
        opened = await open_when_free(config, probe, stack, stopping)
        if opened.trusted_proxies.everything:
            log.warning(
                "VEMETRIC_TRUSTED_PROXIES is 'everything': anybody can claim any address. "
                "Use it only behind a proxy that removes such headers."
            )
        warn_of_open_directory(config.data_dir)
        if WORKER in config.roles:
            await stack.enter_async_context(workers.running(opened))
        if not opened.owns_stores:
            await stack.enter_async_context(task(follow_salts(opened)))
        await stack.enter_async_context(control.listening(opened))
        url = await stack.enter_async_context(site(opened, handed))
        log.info(await ready_line(opened, url))
        await stopping.wait()
        log.info("Stopping: no new requests; finishing what is under way.")
    log.info("Stopped.")


async def open_when_free(config: Config, probe: Probe, stack: AsyncExitStack, stopping: asyncio.Event) -> Services:
    """The stores, closed with the stack. Waits a little for a command, or a process that ends, to let go of them.

    Raises InUse at once when a process answers for the data directory, later when whoever has it keeps it.
    """
    give_up_at = asyncio.get_running_loop().time() + BUSY_SECONDS_MAX
    is_told = False
    while True:
        try:
            return await stack.enter_async_context(services.open_services(config, SystemClock(), probe=probe))
        except errors.InUse as error:
            is_late = asyncio.get_running_loop().time() >= give_up_at
            if is_late or stopping.is_set() or control.listens(config.data_dir):
                raise
            if not is_told:
                log.warning("%s Waiting up to %d s for it to end.", error.message, BUSY_SECONDS_MAX)
                is_told = True
        with suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), BUSY_LOOK_SECONDS)


def warn_of_open_directory(data_dir: Path) -> None:
    """Say so when others on the machine may look into the data; an existing directory is left as it was given."""
    if mode := private_file.open_to_others(data_dir):
        log.warning(
            "VEMETRIC_DATA_DIR is '%s': others on this machine may read it (mode %s). Close it: chmod -R go-rwx '%s'",
            data_dir,
            mode,
            data_dir,
        )


def calm_collector() -> None:
    """Look for garbage cycles rarely: every request makes and drops thousands of objects, hardly any in cycles."""
    gc.freeze()
    gc.set_threshold(*COLLECTOR_THRESHOLDS)


def is_our_error(record: logging.LogRecord) -> bool:
    """Whether the HTTP library complains about us; broken requests are answered with 400, not logged one by one."""
    # The second is what it makes of a broken body when it reads the rest of it after our answer.
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError | web.RequestPayloadError))


def warm_up() -> None:
    """Build the tables of enrichment before the first hit has to wait for them."""
    user_agent.warm_up()
    bots.is_bot("")
    referrer.sites()


@asynccontextmanager
async def site(opened: Services, handed: handed_sockets.Handed | None = None) -> AsyncIterator[str]:
    """The listeners, while the block runs, for the roles of this process: at sockets that were handed over, else at the
    settings' addresses. Yields the address to show to people.
    """
    config, handed, leaving = opened.config, handed or {}, Leaving()
    handed_sockets.check(
        handed, config.hub_listen is not None, config.admin_listen is not None, bool(config.acme_domains)
    )
    base_path.check(config.base_path, (*PATHS, *health_paths, *(route.path for route in routes.ROUTES), "/api"))
    context, keeper = tls.context_of(config), None
    if config.acme_domains:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        keeper = Keeper(config, opened.clock, partial(tls.load_pair, context))
        tls.load_pair(context, keeper.prepare())
    hub = Hub(opened, Tracker(config.base_path)) if HUB in config.roles else None
    warm_up()
    async with AsyncExitStack() as stack:
        if keeper is not None:
            await stack.enter_async_context(keeping(keeper, config, handed.get(handed_sockets.CHALLENGES, ())))
        elif context is not None:
            await stack.enter_async_context(task(tls.reload(context, config)))
        await stack.enter_async_context(task(flush_tap(opened)))
        await stack.enter_async_context(task(measure_lag(opened)))
        pages = web.AppRunner(
            app.make_app(opened) if WEB in config.roles else app.make_bare_app(),
            access_log=None,
            keepalive_timeout=KEEP_ALIVE_SECONDS,
            shutdown_timeout=config.drain_seconds,
        )
        await pages.setup()
        stack.push_async_callback(pages.cleanup)
        operators = OperatorsPort(asked_for=config.admin_listen is not None)
        put_first(pages, hub, Health(opened), operators)
        base_path.receive(server_of(pages), config.base_path)
        leaving.watch(server_of(pages))
        port = await listen(
            pages, hub, config.listen, "VEMETRIC_LISTEN", context, handed.get(handed_sockets.SHARED, ()), leaving
        )
        if config.admin_listen is not None:
            sockets = handed.get(handed_sockets.OPERATORS, ())
            operators.port = await listen(
                pages, hub, config.admin_listen, "VEMETRIC_ADMIN_LISTEN", context, sockets, leaving
            )
        runners: list[web.BaseRunner] = [pages]
        if config.hub_listen is not None and hub is not None:
            server = web.Server(hub.handle, access_log=None, keepalive_timeout=KEEP_ALIVE_SECONDS)
            base_path.receive(server, config.base_path)
            alone = web.ServerRunner(server, shutdown_timeout=config.drain_seconds)
            leaving.watch(server)
            await alone.setup()
            stack.push_async_callback(alone.cleanup)
            runners.append(alone)
            sockets = handed.get(handed_sockets.HUB, ())
            await listen(alone, hub, config.hub_listen, "VEMETRIC_HUB_LISTEN", context, sockets, leaving)
        if handed:
            stack.push_async_callback(leaving.leave, runners)
        yield public_url.of(config, port)


class OperatorsPort:
    """The listener that the operator has alone, if one is asked for; its port once it listens."""

    def __init__(self, *, asked_for: bool = False) -> None:
        self.asked_for = asked_for
        self.port = 0

    def has(self, request: web.BaseRequest) -> bool:
        """Whether the request came by it."""
        name = None if request.transport is None else request.transport.get_extra_info("sockname")
        return self.asked_for and isinstance(name, tuple) and name[1] == self.port

    def hides(self, request: web.BaseRequest) -> bool:
        """Whether the request asks elsewhere for what is answered there alone."""
        return self.asked_for and is_operators(request.path) and not self.has(request)


def is_operators(path: str) -> bool:
    """Whether a path is one of the operator's."""
    return path in (metrics.PATH, "/admin") or path.startswith("/admin/")


def put_first(pages: web.AppRunner, hub: Hub | None, health: Health, operators: OperatorsPort | None = None) -> None:
    """Answer the hub's exact paths before routing and middlewares: they are nearly all requests there are. Then those
    by which machines look whether this process lives.
    """
    server = server_of(pages)
    rest, operators = server.request_handler, operators or OperatorsPort()

    async def dispatch(request: web.BaseRequest) -> web.StreamResponse:
        if hub is not None and request.path in PATHS:
            return await hub.handle(request)
        if operators.hides(request):
            return web.Response(status=404)
        if request.path in health_paths:
            return await health.handle(request, is_private=operators.has(request))
        if not request.headers.get("Expect", "").isascii():
            # The router would quote it in its refusal, which then cannot be written.
            return web.Response(status=417)
        return await rest(request)

    server.request_handler = dispatch


def server_of(runner: web.BaseRunner) -> web.Server:
    """What answers the connections of a runner that was set up."""
    if runner.server is None:
        raise RuntimeError("the runner is not set up")
    return runner.server


async def listen(
    runner: web.BaseRunner,
    hub: Hub | None,
    address: Address,
    setting: str,
    context: ssl.SSLContext | None,
    sockets: Sequence[socket.socket] = (),
    leaving: Leaving | None = None,
) -> int:
    """Listen, at the sockets if there are any, and return the port; Misconfigured says why it cannot be."""
    for one in sockets:
        await listen_at(runner, hub, one, context, leaving)
    if sockets:
        handed_port: int = sockets[0].getsockname()[1]
        if handed_port != address.port:
            log.warning("%s is '%s', but the socket that was handed over has port %d.", setting, address, handed_port)
        return handed_port
    # Every IPv6 interface means every interface: a socket for IPv4 too, so that the address shown can be opened.
    host = None if address.host == "::" else address.host
    options: dict[str, Any] = {"ssl_context": context, "backlog": CONNECTIONS_WAITING_MAX}
    where: web.BaseSite
    if hub is None:
        where = web.TCPSite(runner, host, address.port, **options)
    else:
        where = HubSite(runner, hub, host, address.port, leaving=leaving, **options)
    try:
        await where.start()
    except OSError as error:
        reason = error.strerror or str(error)
        raise errors.Misconfigured(f"{setting} is '{address}': nothing can listen there ({reason}).") from error
    port: int = runner.addresses[-1][1]
    return port


async def listen_at(
    runner: web.BaseRunner,
    hub: Hub | None,
    handed: socket.socket,
    context: ssl.SSLContext | None,
    leaving: Leaving | None,
) -> None:
    """Take over a socket that listens already, with as many connections waiting as the kernel lets it have."""
    options: dict[str, Any] = {"ssl_context": context, "backlog": HANDED_WAITING_MAX}
    if hub is None:
        await web.SockSite(runner, handed, **options).start()
    else:
        host, port = handed.getsockname()[:2]
        await HubSite(runner, hub, host, port, sock=handed, leaving=leaving, **options).start()


@asynccontextmanager
async def keeping(keeper: Keeper, config: Config, sockets: Sequence[socket.socket]) -> AsyncIterator[None]:
    """Keep the certificate while the block runs, and show the service on a port of its own what it looks for."""
    origin = urlsplit(config.public_url)
    challenges = Challenges(keeper.challenges, f"https://{origin.netloc}")
    runner = web.ServerRunner(web.Server(challenges.handle, access_log=None, keepalive_timeout=KEEP_ALIVE_SECONDS))
    await runner.setup()
    try:
        await listen(runner, None, config.acme_listen, "VEMETRIC_ACME_LISTEN", None, sockets)
        async with task(keeper.run()):
            yield
    finally:
        await runner.cleanup()


async def follow_salts(opened: Services) -> None:
    """Take a new day's salts as soon as another process has made them."""
    while True:
        await asyncio.sleep(SALTS_SECONDS)
        try:
            await opened.salts.refresh()
        except errors.Unavailable as error:
            log.warning("The salts could not be read again: %s", error.message)


async def measure_lag(opened: Services) -> None:
    """Note how late this process comes to what is due, once a second."""
    loop = asyncio.get_running_loop()
    while True:
        due_at = loop.time() + LAG_SECONDS
        await asyncio.sleep(LAG_SECONDS)
        opened.meters.lag.observe(max(0.0, loop.time() - due_at))


async def flush_tap(opened: Services) -> None:
    try:
        while True:
            await asyncio.sleep(TAP_FLUSH_SECONDS)
            try:
                await opened.tap.flush()
            except Exception:
                log.exception("The live tap could not be written")
    finally:
        await opened.tap.flush()


@asynccontextmanager
async def task(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run something beside the block and end it with the block."""
    running = asyncio.create_task(work)
    try:
        yield
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def ready_line(opened: Services, url: str) -> str:
    """The one line a person needs: where it is, and on first start how to get in."""
    roles = opened.config.roles
    # Every new link ends the one before, so only who shows pages makes one.
    link = await setup.new_link(opened.database, opened.clock, url) if WEB in roles else None
    if link is None:
        return f"Vemetric is ready at {url}" + ("" if roles == ROLES else f" as {roles}")
    return f"Vemetric is ready at {url} - create the first account within 24 hours: {link}"
