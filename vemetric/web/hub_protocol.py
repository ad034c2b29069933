"""The hub's short way: plain hits are read from the connection's bytes and answered without a task or a request object.

Nearly all requests there are take it. Whatever is not plain to see, from a body that comes in pieces to a header that
is sent twice, goes to the HTTP library, which reads it with all the care that takes; decisions are web/hub.py's alone.
"""

import asyncio
import logging
import re
import socket
import time
from email.utils import formatdate
from http import HTTPStatus
from typing import Any

from aiohttp import web
from aiohttp.http import SERVER_SOFTWARE
from aiohttp.web_protocol import RequestHandler

from vemetric.web.ask import Answer, Ask
from vemetric.web.hub import UNDER_WAY, Hub
from vemetric.web.hub_head import HitReader
from vemetric.web.leaving import Leaving

# What came while a hit was being written waits here; who sends more than this is read no further until then.
HELD_BYTES_MAX = 65_536
SHUTDOWN_SECONDS_MIN = 0.001
# Of the bytes handed to the HTTP library: do they end where a request ends?
PLAIN_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,7})[ \t]*\r\n", re.IGNORECASE)
UNPLAIN_WORDS = (b"\r\ntransfer-encoding", b"\r\nupgrade", b"\r\nexpect")


log = logging.getLogger(__name__)


class HubProtocol(RequestHandler):
    """A connection of the HTTP library that answers plain hits itself whenever the library is not at work on it."""

    def __init__(self, manager: web.Server, hub: Hub, leaving: Leaving, **settings: Any) -> None:
        super().__init__(manager, **settings)
        self._hub = hub
        self._leaving = leaving
        self._reader = HitReader(hub.base_path)
        # Whether all bytes that were handed to the library ended where a request ended.
        self._is_between = True
        self._is_under_way = False
        self._answering: asyncio.Task[None] | None = None
        self._held = b""
        self._idle: asyncio.Event | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        # As the library's requests name it: without the port, and nobody behind a local socket.
        named = str(peer[0]) if isinstance(peer, list | tuple) else (None if peer is None else str(peer))
        scheme = "http" if transport.get_extra_info("sslcontext") is None else "https"
        self._reader = HitReader(self._hub.base_path, named, scheme)

    def data_received(self, data: bytes) -> None:
        if not data:
            # The library's own call: it reads on in what it was given before.
            super().data_received(data)
        # Whoever is leaving takes nothing more: it could be stored but not be answered.
        elif self._is_busy() or self._idle is not None:
            self._hold(data)
        elif not self._take(data):
            self._is_between = self._is_between and ends_a_request(data)
            super().data_received(data)

    async def shutdown(self, timeout: float | None = 15.0) -> None:
        """Let a hit that is being written be answered before the library's own end; the time is that of both."""
        ends_at = None if timeout is None else self._loop.time() + timeout
        if self._is_busy():
            self._idle = asyncio.Event()
            try:
                async with asyncio.timeout(timeout):
                    await self._idle.wait()
            except TimeoutError:
                # Not answered, so not acknowledged; whether it was stored its sender cannot know.
                self._is_under_way = False
        # For the library no time at all is any length of time.
        await super().shutdown(ends_at and max(SHUTDOWN_SECONDS_MIN, ends_at - self._loop.time()))

    def _is_busy(self) -> bool:
        return self._is_under_way or self._answering is not None

    def _is_at_rest(self) -> bool:
        """Whether the library has answered all it was given and waits for a request that it knows nothing of yet.

        It does not wait where it is about to close, and not for a request where it believes another protocol to begin.
        """
        waiter = self._waiter
        return self._is_between and waiter is not None and not waiter.done() and not self._upgraded

    def _take(self, data: bytes) -> bool:
        """Answer a plain hit; False for anything else."""
        if not self._is_at_rest() or self._close or self._force_close or self._paused:
            return False
        ask = self._reader.read(data)
        if ask is None:
            return False
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        decided = self._hub.at_once(ask, self._decided)
        if decided is UNDER_WAY:
            self._is_under_way = True
        elif decided is None:
            self._answering = self._loop.create_task(self._answer(ask))
        else:
            self._send(decided)
        return True

    async def _answer(self, ask: Ask) -> None:
        try:
            self._send(await self._hub.answer(ask))
        finally:
            self._answering = None
            self._go_on()

    def _decided(self, answer: Answer) -> None:
        """Send what the hub tells when a hit was written, unless that is waited for no longer. Raises nothing."""
        if not self._is_under_way:
            return
        self._is_under_way = False
        try:
            self._send(answer)
            self._go_on()
        except Exception:
            log.exception("A connection failed after the answer to a hit")
            self.force_close()

    def _send(self, answer: Answer) -> None:
        if self.transport is None:
            return
        if self._leaving.has_begun:
            self.transport.write(last(answer))
            self.close()
            self.transport.close()
        else:
            self.transport.write(written(answer))
            self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout

    def _hold(self, data: bytes) -> None:
        self._held += data
        if len(self._held) > HELD_BYTES_MAX and self.transport is not None:
            self.transport.pause_reading()

    def _go_on(self) -> None:
        """Look at what came meanwhile."""
        if self._idle is not None:
            self._idle.set()
        elif self._held:
            was_paused = len(self._held) > HELD_BYTES_MAX
            held, self._held = self._held, b""
            if was_paused and self.transport is not None:
                self.transport.resume_reading()
            self.data_received(held)


class HubSite(web.TCPSite):
    """A listener whose connections take the hub's short way: at an address, or at a socket that listens already."""

    def __init__(
        self,
        runner: web.BaseRunner,
        hub: Hub,
        host: str | None,
        port: int,
        *,
        sock: socket.socket | None = None,
        leaving: Leaving | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(runner, host, port, **settings)
        self._hub = hub
        self._sock = sock
        self._leaving = leaving or Leaving()

    async def start(self) -> None:
        """Listen, as the class above does, with our protocol for each connection."""
        await web.BaseSite.start(self)
        server, loop = self._runner.server, asyncio.get_running_loop()
        if server is None:
            raise RuntimeError("the runner is not set up")
        where: dict[str, Any] = {"host": self._host, "port": self._port} if self._sock is None else {"sock": self._sock}
        self._server = await loop.create_server(
            lambda: HubProtocol(server, self._hub, self._leaving, loop=loop, **server._kwargs),
            **where,
            ssl=self._ssl_context,
            backlog=self._backlog,
        )


def written(answer: Answer) -> bytes:
    """An answer as it goes over the wire."""
    second = int(time.time())
    if answer.wire_second != second:
        lines = [
            f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}",
            *(f"{name}: {value}" for name, value in answer.headers.items()),
            f"Content-Length: {len(answer.body)}",
            f"Date: {formatdate(second, usegmt=True)}",
            f"Server: {SERVER_SOFTWARE}",
        ]
        answer.wire = ("\r\n".join(lines) + "\r\n\r\n").encode() + answer.body
        answer.wire_second = second
    return answer.wire


def last(answer: Answer) -> bytes:
    """An answer after which the connection ends."""
    head, end, body = written(answer).partition(b"\r\n\r\n")
    return head + b"\r\nConnection: close" + end + body


def ends_a_request(data: bytes) -> bool:
    """Whether bytes that begin with a request hold exactly that one, as far as this is plain to see."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return False
    head = data[: end + 2]
    lower = head.lower()
    if any(word in lower for word in UNPLAIN_WORDS):
        return False
    lengths = PLAIN_LENGTH.findall(head)
    if lower.count(b"content-length") != len(lengths) or len(lengths) > 1:
        return False
    return len(data) - end - 4 == (int(lengths[0]) if lengths else 0)
