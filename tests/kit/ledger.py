"""A load that dies with its server and knows which events were acknowledged. Used by the journeys that kill."""

import asyncio

import uvloop

from benchmarks import load
from tests.kit.process import Server

EVENTS_PER_SECOND = 1000
CONNECTIONS = 8
VISITORS = 300
# The load names a visitor's address as a proxy on this machine would.
PROXY = {"VEMETRIC_TRUSTED_PROXIES": "127.0.0.1"}


class Ledger:
    """What the sender knows: which events were sent, and which were acknowledged."""

    def __init__(self) -> None:
        self.next = 0
        self.acknowledged: set[int] = set()
        self.refused = 0

    def answered(self, number: int, status: int) -> None:
        if status == 200:
            self.acknowledged.add(number)
        else:
            self.refused += 1

    def sent(self, number: int) -> None:
        self.next = max(self.next, number + 1)


def send(
    server: Server, token: str, ledger: Ledger, seconds: float, per_second: float | None = EVENTS_PER_SECOND
) -> None:
    """Load the server until the time is over or it dies."""

    def make(number: int) -> bytes:
        return load.request(number, host="stats.example.com", token=token, visitors=VISITORS)

    uvloop.run(
        load.run(
            "127.0.0.1",
            server.port,
            make,
            connections=CONNECTIONS,
            seconds=seconds,
            per_second=per_second,
            first=ledger.next,
            answered=ledger.answered,
            sent=ledger.sent,
        )
    )


def send_and_kill(
    server: Server, token: str, ledger: Ledger, seconds: float, per_second: float | None = EVENTS_PER_SECOND
) -> None:
    """Kill the process after some time under load, while requests are under way."""

    async def both() -> None:
        loop = asyncio.get_running_loop()
        killing = loop.call_later(seconds, server.kill)
        await loop.run_in_executor(None, send, server, token, ledger, seconds + 2, per_second)
        killing.cancel()

    asyncio.run(both())
    server.kill()
