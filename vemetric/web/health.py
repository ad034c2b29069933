"""Whether this process lives (/up) and whether it can do its work now (/ready), by its roles; its figures (/metrics).
front.py answers them before anything else: machines ask them of every process, whatever it is for.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec
from aiohttp import web

from vemetric import errors
from vemetric.config import HUB, WEB, WORKER
from vemetric.model import canary
from vemetric.services import Services
from vemetric.web import metrics
from vemetric.web.metrics import Metrics

UP_PATHS = ("/up", "/_api/up", "/healthz/live")
READY_PATHS = ("/ready", "/healthz/ready", "/api/health")
PATHS = (*UP_PATHS, *READY_PATHS, metrics.PATH)
# What each role cannot do without. The hub keeps accepting while the analytics store is away.
NEEDS: Final = {
    HUB: ("database", "queue"),
    WEB: ("database", "queue", "analytics", "canary"),
    WORKER: ("database", "queue", "analytics", "canary"),
}
CHECK_SECONDS_MAX = 2.0
# Many may ask; the stores are asked no more often than this.
BELIEVED_MS = 1_000
RETRY_SECONDS = "5"

log = logging.getLogger(__name__)

Check = Callable[[], Awaitable[object]]


class Health:
    """Asks the stores that this process's roles need."""

    def __init__(self, services: Services) -> None:
        self._clock = services.clock
        self._services = services
        self._began_ms = services.clock.now_ms()
        self._metrics = Metrics(services)
        self._roles: Sequence[str] = services.config.roles
        checks = {
            "database": services.database.check,
            "queue": lambda: services.keys.get("ready"),
            "analytics": lambda: services.engine.lookup("SELECT 1"),
            **({"canary": self._see_canary} if services.config.canary else {}),
        }
        needed = [name for name in checks if any(name in NEEDS[role] for role in self._roles)]
        self._checks: dict[str, Check] = {name: checks[name] for name in needed}
        self._found: dict[str, bool] = {}
        self._found_at_ms = -BELIEVED_MS
        self._turn = asyncio.Lock()

    async def handle(self, request: web.BaseRequest, *, is_private: bool = False) -> web.StreamResponse:
        """GET /up and its like: 200. GET /ready and its like: 503 while something that a role needs is away, else 200.

        is_private: asked on the operator's own port.
        """
        headers = {"Cache-Control": "no-store"}
        if request.method not in ("GET", "HEAD"):
            return web.Response(status=405, headers={"Allow": "GET, HEAD"})
        if request.path in UP_PATHS:
            return web.Response(headers=headers)
        if request.path == metrics.PATH:
            return await self._metrics.handle(request, is_private=is_private)
        found = await self.found()
        if not all(found.values()):
            headers["Retry-After"] = RETRY_SECONDS
        body = {"roles": self._roles, **{name: "ok" if is_ok else "away" for name, is_ok in found.items()}}
        return web.Response(
            status=200 if all(found.values()) else 503,
            body=msgspec.json.encode(body),
            content_type="application/json",
            headers=headers,
        )

    async def _see_canary(self) -> None:
        """Raise Unavailable if the minute's own event has not arrived for too long."""
        stored = await self._services.keys.get(canary.KEY)
        flight = None if stored is None else canary.decode(stored)
        if canary.is_stalled(flight, self._began_ms, self._clock.now_ms()):
            raise errors.Unavailable("No event of its own has arrived for minutes.")

    async def found(self) -> dict[str, bool]:
        """Whether each store that is needed answers, by name."""
        async with self._turn:
            if not 0 <= self._clock.now_ms() - self._found_at_ms < BELIEVED_MS:
                answers = await asyncio.gather(*(_answers(name, check) for name, check in self._checks.items()))
                self._found = dict(zip(self._checks, answers, strict=True))
                self._found_at_ms = self._clock.now_ms()
            return self._found


async def _answers(name: str, check: Check) -> bool:
    try:
        async with asyncio.timeout(CHECK_SECONDS_MAX):
            await check()
    except Exception as error:
        log.warning("Not ready: the %s does not answer: %s", name, str(error) or f"{CHECK_SECONDS_MAX:g} s passed")
        return False
    return True
