"""POST /csp-report: a browser says that a page of ours broke its own policy. Logged, a few a minute at most."""

import logging

import msgspec
from aiohttp import web

from vemetric.clock import Clock
from vemetric.model.text import well_formed
from vemetric.web import forms

LOGGED_PER_MINUTE_MAX = 10
LOGGED_CHARACTERS_MAX = 200
MINUTE_MS = 60_000

log = logging.getLogger("vemetric.web")


class Violation(msgspec.Struct, frozen=True, rename="kebab"):
    """What was refused, and where."""

    document_uri: str = ""
    violated_directive: str = ""
    blocked_uri: str = ""


class Report(msgspec.Struct, frozen=True, rename="kebab"):
    """The body that browsers send."""

    csp_report: Violation = Violation()


class Budget:
    """How many more reports are logged this minute: anybody may send one, and nobody may fill the log."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._minute = 0
        self._left = 0

    def take(self) -> bool:
        minute = self._clock.now_ms() // MINUTE_MS
        if minute != self._minute:
            self._minute, self._left = minute, LOGGED_PER_MINUTE_MAX
        self._left -= 1
        return self._left >= 0


BUDGET = web.AppKey("reports", Budget)


async def take(request: web.Request) -> web.Response:
    """Log it. What is no report is answered alike: there is nobody to tell."""
    body = await forms.body(request)
    if request.app[BUDGET].take():
        log.warning("A page broke its policy: %s", _sentence(body))
    return web.Response(status=204)


def _sentence(body: bytes) -> str:
    try:
        found = msgspec.json.decode(body, type=Report).csp_report
    except msgspec.DecodeError:
        return "the report cannot be read"
    text = f"{found.violated_directive} refused {found.blocked_uri or 'inline code'} on {found.document_uri}"
    return "".join(letter if letter.isprintable() else " " for letter in well_formed(text))[:LOGGED_CHARACTERS_MAX]
