"""A load of hits over a few kept-alive connections, cheap enough to leave the server most of two cores.

Used by the benchmarks and by the crash tests: every answer is reported with the number of its request, so that a test
knows which hits were acknowledged.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import msgspec

BROWSERS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 "
    "Safari/605.1.15",
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 "
    "Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Mobile Safari/537.36",
)
VERSIONS = 80
PATHS = ("/", "/pricing", "/docs", "/docs/install", "/blog/hello-world", "/changelog", "/about")


@dataclass
class Outcome:
    """What became of a load. seconds is the time from the first request to the last answer."""

    statuses: dict[int, int] = field(default_factory=dict)
    latencies_ms: list[float] = field(default_factory=list)
    broken: int = 0
    seconds: float = 0.0

    @property
    def answered(self) -> int:
        return sum(self.statuses.values())

    def rate(self) -> float:
        return self.answered / self.seconds if self.seconds else 0.0

    def percentile_ms(self, share: float) -> float:
        ordered = sorted(self.latencies_ms)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def request(
    number: int,
    *,
    host: str,
    token: str,
    visitors: int,
    name: str = "$$pageView",
    path: str = "/e",
    body: bytes | None = None,
) -> bytes:
    """The request of a browser SDK; `visitors` distinct people take turns. body: instead of that of an event.

    They come from addresses of their own, named as a proxy on this machine does (start the server with
    VEMETRIC_TRUSTED_PROXIES=127.0.0.1), and share a few hundred versions of a few browsers, as real ones do.
    """
    visitor = number % visitors
    body = body or msgspec.json.encode(
        {
            "url": f"https://www.example.com{PATHS[number % len(PATHS)]}?utm_source=newsletter&n={number % 50}",
            "contextId": f"{visitor:017d}",
            "name": name,
            "customData": {"n": number},
        }
    )
    agent = BROWSERS[visitor % len(BROWSERS)].replace("138", str(60 + visitor // 7 % VERSIONS))
    address = f"198.{18 + (visitor >> 16 & 1)}.{visitor >> 8 & 255}.{visitor & 255}"
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nConnection: keep-alive\r\nContent-Length: {len(body)}\r\n"
        f'sec-ch-ua-platform: "Windows"\r\nAllow-Cookies: false\r\nV-SDK-Version: 0.6.1\r\nUser-Agent: {agent}\r\n'
        f"X-Forwarded-For: {address}\r\nV-SDK: script\r\nContent-Type: application/json\r\nToken: {token}\r\n"
        f"v-referrer: https://www.google.com/\r\nAccept: */*\r\nOrigin: https://www.example.com\r\n"
        "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n"
        "Referer: https://www.example.com/\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n"
        "Accept-Language: en-US,en;q=0.9\r\n\r\n"
    )
    return head.encode() + body


class Connection(asyncio.Protocol):
    """One kept-alive connection with one request under way at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._answer: asyncio.Future[int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, rest = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        lower = head.lower()
        start = lower.find(b"content-length:")
        length = int(lower[start + 15 :].split(b"\r\n", 1)[0]) if start >= 0 else 0
        if len(rest) < length:
            return
        self._buffer = rest[length:]
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(int(head[9:12]))

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error or ConnectionResetError("closed"))

    def send(self, data: bytes) -> "asyncio.Future[int]":
        """The status of the answer, later; ConnectionError when it never comes."""
        if self._transport is None:
            raise ConnectionResetError("closed")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(data)
        return self._answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


async def run(
    host: str,
    port: int,
    make: Callable[[int], bytes],
    *,
    connections: int = 8,
    requests: int | None = None,
    seconds: float | None = None,
    per_second: float | None = None,
    first: int = 0,
    answered: Callable[[int, int], None] | None = None,
    sent: Callable[[int], None] | None = None,
) -> Outcome:
    """Send requests number `first` and on, until `requests` are sent or `seconds` are over; at full speed, or paced.

    A paced request that starts late counts from when it was due. A lost connection is counted and ends its line.
    """
    outcome = Outcome()
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    state = {"next": first}

    async def line() -> None:
        try:
            _, connection = await loop.create_connection(Connection, host, port)
        except OSError:
            outcome.broken += 1
            return
        try:
            while True:
                number = state["next"]
                now = time.perf_counter() - began
                if (requests is not None and number - first >= requests) or (seconds is not None and now >= seconds):
                    return
                state["next"] = number + 1
                due = (number - first) / per_second if per_second else now
                if due > now:
                    await asyncio.sleep(due - now)
                if sent is not None:
                    sent(number)
                status = await connection.send(make(number))
                outcome.latencies_ms.append((time.perf_counter() - began - due) * 1000)
                outcome.statuses[status] = outcome.statuses.get(status, 0) + 1
                if answered is not None:
                    answered(number, status)
        except OSError:
            outcome.broken += 1
        finally:
            connection.close()

    await asyncio.gather(*(line() for _ in range(connections)))
    outcome.seconds = time.perf_counter() - began
    return outcome
