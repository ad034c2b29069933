"""The hub: the endpoints that sites talk to. Decides in the order of checks SDKs rely on, then hands over to ingest.

A hit about which memory knows everything is decided on at once (`at_once`, called by hub_protocol.py); for any other,
and for all that is rare, there is `handle`. Both take the same steps.
"""

import asyncio
import logging
import re
from collections.abc import Callable
from enum import Enum, auto
from functools import partial
from typing import Final, Literal

import msgspec
from aiohttp import web

from vemetric import errors
from vemetric.enrich import bots, client
from vemetric.ingest import hit as hits
from vemetric.ingest import jobs, refuse
from vemetric.ingest.accept import Left, Prepared
from vemetric.ingest.hit import EventHit, Gate
from vemetric.ingest.refuse import Refusal
from vemetric.ingest.tap import NO_PROJECT
from vemetric.model import geo
from vemetric.model.project import Project
from vemetric.services import Services
from vemetric.web.ask import Answer, Ask, Headers, keep_headers, latin1_text
from vemetric.web.hub_answers import Asked, Refused, answer, bad_body, plain_answer, preflight
from vemetric.web.hub_batch import BatchPath
from vemetric.web.hub_checks import check_hit
from vemetric.web.hub_cookies import Cookies
from vemetric.web.hub_users import UserPaths
from vemetric.web.packed import unpacked
from vemetric.web.tracker import Tracker

# The exact paths of the hub on the shared port; on a listener of its own its rules hold for every path.
EVENT_PATH, LEAVE_PATH, IDENTIFY_PATH, UPDATE_PATH, RESET_PATH = "/e", "/l", "/i", "/u", "/r"
BATCH_PATH, UP_PATH, TRACKER_PATH = "/batch", "/up", "/main.js"
PATHS = (EVENT_PATH, LEAVE_PATH, IDENTIFY_PATH, UPDATE_PATH, RESET_PATH, BATCH_PATH, UP_PATH, TRACKER_PATH)

BODY_SECONDS_MAX = 15
RETRY_SECONDS = 5
# Why hits are refused is told no more often than this.
BUSY_TOLD_MS = 10_000
LOCAL_REFERRER = re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])[:/]")

log = logging.getLogger(__name__)


class UnderWay(Enum):
    """A hit was decided on at once and its write is on its way to the disk: it is answered when that is done."""

    UNDER_WAY = auto()


UNDER_WAY: Final = UnderWay.UNDER_WAY
Tell = Callable[[Answer], None]


class Hub:
    """The handlers of the hub's paths."""

    def __init__(self, services: Services, tracker: Tracker) -> None:
        # Of the requests that are read before the HTTP library has: it takes the base path off its own.
        self.base_path = services.config.base_path
        self._services = services
        self._busy_told_ms = -BUSY_TOLD_MS
        self._tracker = tracker
        self._cookies = Cookies(services.trusted_proxies, services.clock)
        users = UserPaths(services, self._cookies)
        self._handlers = {
            EVENT_PATH: self._event,
            LEAVE_PATH: self._leave,
            IDENTIFY_PATH: users.identify,
            UPDATE_PATH: users.update,
            RESET_PATH: users.reset,
            BATCH_PATH: BatchPath(services, self._cookies).batch,
        }

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer any request by the hub's rules; nothing a client sends makes a 5xx but a full or broken store."""
        if request.method == "OPTIONS":
            return response(preflight(request.headers))
        if request.path == UP_PATH:
            is_read = request.method in ("GET", "HEAD")
            return response(answer(request.headers, 200 if is_read else 404, "" if is_read else "404 Not Found"))
        if request.path == TRACKER_PATH and request.method in ("GET", "HEAD"):
            return self._script(request)
        kept = keep_headers(request.headers)
        ask = Ask(
            method=request.method,
            path=request.path,
            headers=Headers.of(request.headers),
            kept_headers=kept,
            packed_headers=jobs.pack_headers(kept),
            body=b"",
            peer=request.remote,
            scheme=request.scheme,
            host=request.host,
        )
        try:
            # Before its body is read: who comes too often should cost as little as can be.
            self._count(ask)
            ask.body = await read_body(request, self._services.config.hit_body_bytes_max)
        except Refused as refused:
            return response(self._refusal(ask, refused))
        return response(await self.answer(ask))

    async def answer(self, ask: Ask) -> Answer:
        """What is answered to a request with its body, whatever has to be read for it first."""
        try:
            self._count(ask)
            asked = self._look(ask)
            self._admit(asked, await self._services.projects.by_token(asked.token))
            handler = self._handlers.get(ask.path) if ask.method == "POST" else None
            return answer(ask.headers, 404, "404 Not Found") if handler is None else await handler(asked)
        except Refused as refused:
            return self._refusal(ask, refused)
        except Exception as error:
            return self._failure(ask, error)

    def at_once(self, ask: Ask, tell: Tell) -> Answer | Literal[UnderWay.UNDER_WAY] | None:
        """A POST to /e or /l whose project and user are known without reading; None when something must be read.

        tell: called with the answer of what is UNDER_WAY, once and later; it must not raise.
        """
        try:
            self._count(ask)
            if len(ask.body) > self._services.config.hit_body_bytes_max:
                raise Refused(Refusal.TOO_LARGE, 413, "Payload Too Large")
            asked = self._look(ask)
            known = self._services.projects.at_once(asked.token)
            if known is None:
                return None
            self._admit(asked, known.project)
            intake, hit = self._services.intake, None
            prepared: Prepared | Left | None
            if ask.path == EVENT_PATH:
                hit = self._check_event(asked)
                prepared = intake.event_at_once(hit, asked.project, asked.sender(), ask.packed_headers, asked.place)
            else:
                prepared = intake.leave_at_once(asked.project, asked.sender())
            if isinstance(prepared, Left):
                return self._left(asked, prepared)
            if prepared is None:
                return None
            intake.submit(prepared, partial(self._written, tell, asked, hit, prepared))
            return UNDER_WAY
        except Refused as refused:
            return self._refusal(ask, refused)
        except Exception as error:
            return self._failure(ask, error)

    def _written(
        self, tell: Tell, asked: Asked, hit: EventHit | None, prepared: Prepared, error: BaseException | None
    ) -> None:
        """Answer once the write is done or has failed. hit: None for a page leave. Raises nothing: others wait too."""
        try:
            if error is not None:
                self._services.intake.undo(prepared)
                answer = self._failure(asked.ask, error)
            elif hit is None:
                answer = plain_answer(asked.ask.headers.get("origin"))
            else:
                answer = self._accepted(asked, hit, prepared.new_cookie_user_id)
        except Exception as stumble:
            answer = self._failure(asked.ask, stumble)
        tell(answer)

    def _count(self, ask: Ask) -> None:
        """Find the address of a request and count it, once."""
        if ask.ip is not None:
            return
        ask.ip = client.client_ip(ask.peer, ask.headers, self._services.trusted_proxies) or ""
        if not self._services.ingest_rate.allow(ask.ip):
            raise Refused(Refusal.TOO_MANY, 429, "Too Many Requests")

    def _look(self, ask: Ask) -> Asked:
        """The first checks every request passes, in the order that SDKs know: user, address, place, bot."""
        gate = decode(ask.path, ask.body)
        is_of_server = isinstance(gate.user_identifier, str)
        place = geo.UNKNOWN if is_of_server else self._services.places.look_up(ask.ip or "")
        user_agent, verified = ask.kept_headers.get("user-agent", ""), ask.headers.get("cf-verified-bot")
        return Asked(ask, gate, place, bots.is_bot(user_agent, place.country_code, verified))

    def _admit(self, asked: Asked, project: Project | None) -> None:
        """The checks for which the project must be known; bots are refused before their token matters."""
        if asked.is_bot:
            raise Refused(Refusal.BOT, project_id=NO_PROJECT if project is None else project.id)
        if project is None:
            raise Refused(Refusal.WRONG_TOKEN, 401)
        refusal = refuse.excluded(project, asked.ask.ip or "", asked.place)
        if refusal is not None:
            raise Refused(refusal, project_id=project.id)
        asked.project = project

    async def _event(self, asked: Asked) -> Answer:
        """POST /e: a page view, an outbound link or a custom event."""
        hit, ask = self._check_event(asked), asked.ask
        intake = self._services.intake
        prepared = await intake.event(hit, asked.project, asked.sender(), ask.packed_headers, asked.place)
        return self._accepted(asked, hit, prepared.new_cookie_user_id)

    def _check_event(self, asked: Asked) -> EventHit:
        """The event of a request that nothing speaks against, or Refused with the words SDKs know."""
        if not isinstance(asked.gate, EventHit):
            raise bad_body(asked)
        check_hit(asked.gate, asked.project, asked.ask.headers)
        return asked.gate

    def _accepted(self, asked: Asked, hit: EventHit, new_cookie_user_id: int | None) -> Answer:
        ask = asked.ask
        if self._services.tap.notes_accepted(asked.project):
            self._services.tap.accepted(asked.project.id, hit.name, hit.url if isinstance(hit.url, str) else "")
        if new_cookie_user_id is None:
            return plain_answer(ask.headers.get("origin"))
        return answer(ask.headers, 200, cookie=self._cookies.set(ask, new_cookie_user_id))

    async def _leave(self, asked: Asked) -> Answer:
        """POST /l: a page is left, the visit lasts until now."""
        return self._left(asked, await self._services.intake.leave(asked.project, asked.sender()))

    def _left(self, asked: Asked, left: Left) -> Answer:
        if left is Left.NO_USER:
            raise Refused(Refusal.NO_USER, 401, "User is not identified", asked.project.id)
        if left is Left.NO_SESSION:
            raise Refused(Refusal.NO_SESSION, 401, "Session has not started", asked.project.id)
        return plain_answer(asked.ask.headers.get("origin"))

    def _script(self, request: web.BaseRequest) -> web.StreamResponse:
        """GET /main.js. The SDK stays silent on localhost, so its loading is all that can be told of a try there."""
        referrer = request.headers.get("Referer", "")
        if LOCAL_REFERRER.match(referrer):
            self._services.tap.refused(NO_PROJECT, Refusal.LOCALHOST, url=referrer)
        return self._tracker.response(request)

    def _refusal(self, ask: Ask, refused: Refused) -> Answer:
        origin = ask.headers.get("origin", "")
        detail = ask.headers.get("user-agent", "") if refused.refusal is Refusal.BOT else origin
        self._services.tap.refused(refused.project_id, refused.refusal, url=ask.path, detail=latin1_text(detail))
        return answer(ask.headers, refused.status, refused.body, refusal=refused.refusal)

    def _failure(self, ask: Ask, error: BaseException) -> Answer:
        if isinstance(error, errors.Unavailable):
            now_ms = self._services.clock.now_ms()
            if not 0 <= now_ms - self._busy_told_ms < BUSY_TOLD_MS:
                self._busy_told_ms = now_ms
                log.warning("Hits are refused: %s", error)
            self._services.tap.refused(self._project_id(ask), Refusal.BUSY, url=ask.path)
            return answer(ask.headers, 503, "Service Unavailable", refusal=Refusal.BUSY, retry_seconds=RETRY_SECONDS)
        # Told here, without the visitor's address: the HTTP library would log it.
        log.error("The hub failed at %s %r", ask.method, ask.path, exc_info=error)
        return answer(ask.headers, 500, "Internal Server Error")

    def _project_id(self, ask: Ask) -> int:
        """Whose hit it is that cannot be taken, as memory told last: that may be too old by now to take hits by."""
        known = self._services.projects.last(ask.headers.get("token") or hits.decode_gate(ask.body).token)
        return NO_PROJECT if known is None else known.id


async def read_body(request: web.BaseRequest, bytes_max: int) -> bytes:
    """The whole body, unpacked, or Refused: larger than the bound, too slow, broken on the way, or packed otherwise."""
    codings = request.headers.getall("Content-Encoding", ())
    return unpacked(await _sent(request, bytes_max), ",".join(codings), bytes_max)


async def _sent(request: web.BaseRequest, bytes_max: int) -> bytes:
    if (request.content_length or 0) > bytes_max:
        raise Refused(Refusal.TOO_LARGE, 413, "Payload Too Large")
    if request.content.is_eof() and request.content.total_bytes <= bytes_max and request.content.exception() is None:
        # All of it came with the head, as nearly always: no timer, no wait.
        return request.content.read_nowait()
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_SECONDS_MAX):
            async for chunk in request.content.iter_any():
                size += len(chunk)
                if size > bytes_max:
                    raise Refused(Refusal.TOO_LARGE, 413, "Payload Too Large")
                chunks.append(chunk)
    except TimeoutError:
        raise Refused(Refusal.MALFORMED, 408, "Request Timeout") from None
    except web.HTTPException:
        raise
    except (web.RequestPayloadError, ValueError):
        raise Refused(Refusal.MALFORMED, 400, "Malformed JSON in request body") from None
    return b"".join(chunks)


def decode(path: str, body: bytes) -> Gate:
    """Parse a body once: the event if it is a good one of /e, else whatever keys of the gate it has."""
    if path == EVENT_PATH and body:
        try:
            return hits.decode_event(body)
        except (hits.Malformed, msgspec.ValidationError):
            pass
    return hits.decode_gate(body) if body else hits.EMPTY_GATE


def response(made: Answer) -> web.Response:
    """An answer as the HTTP library sends it."""
    return web.Response(status=made.status, body=made.body or None, headers=made.headers)
