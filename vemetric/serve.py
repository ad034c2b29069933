"""The process: open the stores, start the workers and the schedule, run the site, drain on SIGTERM."""

import asyncio
import logging
import os
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from vemetric import control, errors, process, public_url, services, workers
from vemetric.accounts import setup
from vemetric.acme.keeper import Keeper
from vemetric.clock import SystemClock
from vemetric.config import ROLES, WEB, WORKER, Config
from vemetric.enrich import bots, referrer, user_agent
from vemetric.model import private_file
from vemetric.model.probe import Probe, nothing
from vemetric.services import Services
from vemetric.web import base_path, handed_sockets, routes, tls
from vemetric.web.challenges import Challenges
from vemetric.web.handed_sockets import Handed
from vemetric.web.health import PATHS as health_paths
from vemetric.web.hub import PATHS
from vemetric.web.listeners import KEEP_ALIVE_SECONDS, Listeners, listen

# How long a start waits for a command that has the data, or for a process that finishes its work.
BUSY_SECONDS_MAX = 15
BUSY_LOOK_SECONDS = 0.25
TAP_FLUSH_SECONDS = 0.5
LAG_SECONDS = 1.0
# What another process changed is known within a second.
SALTS_SECONDS = 0.25

log = logging.getLogger("vemetric")


async def serve(config: Config, warnings: list[str], probe: Probe = nothing) -> None:
    """Run until SIGTERM or SIGINT. Raises Misconfigured when the start is refused."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    for warning in warnings:
        log.warning(warning)
    logging.getLogger("aiohttp.server").addFilter(is_our_error)
    process.calm_interpreter()
    process.take_short_turns()
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
        await stack.enter_async_context(task(process.keep_in_huge_pages()))
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
async def site(opened: Services, handed: Handed | None = None) -> AsyncIterator[str]:
    """The listeners, while the block runs, for the roles of this process. Yields the address to show to people."""
    config, handed = opened.config, handed or {}
    handed_sockets.check(
        handed, config.hub_listen is not None, config.admin_listen is not None, bool(config.acme_domains)
    )
    base_path.check(config.base_path, (*PATHS, *health_paths, *(route.path for route in routes.ROUTES), "/api"))
    warm_up()
    async with AsyncExitStack() as stack:
        context = await stack.enter_async_context(certificates(opened, handed))
        await stack.enter_async_context(task(flush_tap(opened)))
        await stack.enter_async_context(task(measure_lag(opened)))
        yield public_url.of(config, await stack.enter_async_context(Listeners(opened, handed, context).listening()))


@asynccontextmanager
async def certificates(opened: Services, handed: Handed) -> AsyncIterator[ssl.SSLContext | None]:
    """What listeners speak TLS with, if they do, which has a new certificate as soon as there is one."""
    config, context = opened.config, tls.context_of(opened.config)
    if config.acme_domains:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        keeper = Keeper(config, opened.clock, partial(tls.load_pair, context))
        tls.load_pair(context, keeper.prepare())
        async with keeping(keeper, config, handed.get(handed_sockets.CHALLENGES, ())):
            yield context
    elif context is not None:
        async with task(tls.reload(context, config)):
            yield context
    else:
        yield None


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
