"""The listeners of a process: the shared one, and those that the hub and the operator have alone."""

import logging
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from aiohttp import web

from vemetric import errors
from vemetric.config import HUB, WEB, Address
from vemetric.services import Services
from vemetric.web import app, base_path, front, handed_sockets
from vemetric.web.front import OperatorsPort
from vemetric.web.handed_sockets import Handed
from vemetric.web.health import Health
from vemetric.web.hub import Hub
from vemetric.web.hub_protocol import HubSite
from vemetric.web.leaving import Leaving
from vemetric.web.tracker import Tracker

CONNECTIONS_WAITING_MAX = 1024
# While the process is restarted they wait at the socket; the kernel has its own bound (net.core.somaxconn).
HANDED_WAITING_MAX = 65_535
# How long a connection waits for its next request to be there with its whole head, however slowly it comes: an idle one
# is closed then, and one that keeps a place by sending a byte now and again. Longer than proxies keep theirs.
KEEP_ALIVE_SECONDS = 75

log = logging.getLogger("vemetric")


class Listeners:
    """What a process answers with, by its roles: at sockets that were handed over, else at the settings' addresses."""

    def __init__(self, opened: Services, handed: Handed, context: ssl.SSLContext | None) -> None:
        self._opened = opened
        self._config = opened.config
        self._handed = handed
        self._context = context
        self._hub = Hub(opened, Tracker(opened.config.base_path)) if HUB in opened.config.roles else None
        self._leaving = Leaving()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        """Listen while the block runs. Yields the port of the shared listener; raises Misconfigured."""
        async with AsyncExitStack() as stack:
            operators = OperatorsPort(asked_for=self._config.admin_listen is not None)
            runners: list[web.BaseRunner] = [await self._pages(stack, operators)]
            port = await self._listen(runners[0], self._config.listen, "VEMETRIC_LISTEN", handed_sockets.SHARED)
            if self._config.admin_listen is not None:
                operators.port = await self._listen(
                    runners[0], self._config.admin_listen, "VEMETRIC_ADMIN_LISTEN", handed_sockets.OPERATORS
                )
            if self._config.hub_listen is not None and self._hub is not None:
                runners.append(await self._hub_alone(stack, self._hub))
                await self._listen(runners[1], self._config.hub_listen, "VEMETRIC_HUB_LISTEN", handed_sockets.HUB)
            if self._handed:
                stack.push_async_callback(self._leaving.leave, runners)
            yield port

    async def _pages(self, stack: AsyncExitStack, operators: OperatorsPort) -> web.AppRunner:
        """All doors of this process behind one another, without a listener yet."""
        runner = web.AppRunner(
            app.make_app(self._opened) if WEB in self._config.roles else app.make_bare_app(),
            access_log=None,
            auto_decompress=False,
            keepalive_timeout=KEEP_ALIVE_SECONDS,
            shutdown_timeout=self._config.drain_seconds,
        )
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        front.put_first(runner, self._hub, Health(self._opened), operators)
        base_path.receive(front.server_of(runner), self._config.base_path)
        self._leaving.watch(front.server_of(runner))
        return runner

    async def _hub_alone(self, stack: AsyncExitStack, hub: Hub) -> web.ServerRunner:
        server = web.Server(hub.handle, access_log=None, auto_decompress=False, keepalive_timeout=KEEP_ALIVE_SECONDS)
        base_path.receive(server, self._config.base_path)
        runner = web.ServerRunner(server, shutdown_timeout=self._config.drain_seconds)
        self._leaving.watch(server)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        return runner

    async def _listen(self, runner: web.BaseRunner, address: Address, setting: str, kind: str) -> int:
        sockets = self._handed.get(kind, ())
        return await listen(runner, self._hub, address, setting, self._context, sockets, self._leaving)


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
