"""The hub: the endpoints that sites talk to. Decides in the order of checks SDKs rely on, then hands over to ingest."""

import asyncio
import logging
import re
from collections.abc import Mapping
from email.utils import formatdate
from functools import lru_cache

import msgspec
from aiohttp import web
from msgspec import UNSET
from multidict import CIMultiDict

from vemetric import errors
from vemetric.enrich import bots, client
from vemetric.ingest import hit as hits
from vemetric.ingest import refuse, who
from vemetric.ingest.accept import Left
from vemetric.ingest.hit import EventHit, Gate
from vemetric.ingest.refuse import Refusal
from vemetric.ingest.tap import NO_PROJECT
from vemetric.ingest.who import Sender
from vemetric.model import geo
from vemetric.model.geo import Geo
from vemetric.model.project import Project
from vemetric.services import Services
from vemetric.web.tracker import Tracker

# The exact paths of the hub on the shared port; on a listener of its own its rules hold for every path.
EVENT_PATH, LEAVE_PATH, UP_PATH, TRACKER_PATH = "/e", "/l", "/up", "/main.js"
PATHS = (EVENT_PATH, LEAVE_PATH, UP_PATH, TRACKER_PATH)

BODY_SECONDS_MAX = 15
RETRY_SECONDS = 5
PREFLIGHT_SECONDS = 86_400
COOKIE_SECONDS = 34_550_000
TEXT = "text/plain; charset=UTF-8"
REASON_HEADER = "Vemetric-Refused"
METHODS = "GET,HEAD,PUT,POST,DELETE,PATCH"
KEPT_HEADERS = frozenset(("user-agent", "referer", "allow-cookies", "v-sdk", "v-sdk-version", "v-host", "v-referrer"))
KEPT_PREFIX = "sec-ch-"
HEADER_NAMES_MAX = 1000
JSON_CONTENT_TYPE = re.compile(r"application/([a-z-.]+\+)?json(;\s*[a-zA-Z0-9-]+=[^;]+)*$")
PLAIN_HOST = re.compile(r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$")
LOCAL_REFERRER = re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])[:/]")

log = logging.getLogger(__name__)


class Asked(msgspec.Struct):
    """A request past the gate: whose project it is, from where, and with which kept headers."""

    request: web.BaseRequest
    body: bytes
    gate: Gate
    hit: EventHit | None
    project: Project
    ip: str
    place: Geo
    kept_headers: dict[str, str]
    allow_cookies: bool

    def sender(self) -> Sender:
        identifier, backend = self.gate.identifier, self.gate.user_identifier
        return Sender(
            project_id=self.project.id,
            ip=self.ip,
            user_agent=self.kept_headers.get("user-agent"),
            cookie_user_id=who.cookie_user_id(self.request.headers),
            user_identifier=backend if isinstance(backend, str) else None,
            identifier=identifier if isinstance(identifier, str) else None,
            allow_cookies=self.allow_cookies,
        )


class Refused(Exception):
    """The request is answered here and goes no further."""

    def __init__(self, refusal: Refusal, status: int = 200, body: str = "", project_id: int = NO_PROJECT) -> None:
        super().__init__(refusal)
        self.refusal = refusal
        self.status = status
        self.body = body
        self.project_id = project_id


class Hub:
    """The handlers of the hub's paths."""

    def __init__(self, services: Services, tracker: Tracker) -> None:
        self._services = services
        self._tracker = tracker
        self._handlers = {EVENT_PATH: self._event, LEAVE_PATH: self._leave}

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer any request by the hub's rules; nothing a client sends makes a 5xx but a full or broken store."""
        if request.method == "OPTIONS":
            return preflight(request)
        if request.path == UP_PATH:
            is_read = request.method in ("GET", "HEAD")
            return answer(request, 200) if is_read else answer(request, 404, "404 Not Found")
        if request.path == TRACKER_PATH and request.method in ("GET", "HEAD"):
            return self._script(request)
        return await self._answered(request)

    async def _answered(self, request: web.BaseRequest) -> web.StreamResponse:
        """What lies behind the gate, or the answer to what went wrong on the way."""
        try:
            return await self._gated(request)
        except Refused as refused:
            self._tell(request, refused)
            return answer(request, refused.status, refused.body, refusal=refused.refusal)
        except errors.Unavailable:
            self._services.tap.refused(NO_PROJECT, Refusal.BUSY)
            return answer(request, 503, "Service Unavailable", refusal=Refusal.BUSY, retry_seconds=RETRY_SECONDS)
        except (web.HTTPException, ConnectionError):
            raise
        except Exception:
            # Told here, without the visitor's address: the HTTP library would log it.
            log.exception("The hub failed at %s %r", request.method, request.path)
            return answer(request, 500, "Internal Server Error")

    async def _gated(self, request: web.BaseRequest) -> web.StreamResponse:
        """The checks every request passes, in the order of ingest.md 2.2."""
        services, headers = self._services, request.headers
        ip = client.client_ip(request.remote, headers, services.trusted_proxies) or ""
        if not services.ingest_rate.allow(ip):
            raise Refused(Refusal.TOO_MANY, 429, "Too Many Requests")
        body = await read_body(request, services.config.hit_body_bytes_max)
        hit, gate = decode(request.path, body)
        kept_headers = keep_headers(headers)
        place = geo.UNKNOWN if isinstance(gate.user_identifier, str) else services.places.look_up(ip)
        if bots.is_bot(kept_headers.get("user-agent", ""), place.country_code, headers.get("CF-Verified-Bot")):
            raise Refused(Refusal.BOT, project_id=await self._project_id(request, gate))
        project = await services.projects.by_token(token_of(request, gate))
        if project is None:
            raise Refused(Refusal.WRONG_TOKEN, 401)
        if ip in project.excluded_ips:
            raise Refused(Refusal.EXCLUDED_IP, project_id=project.id)
        if place.country_code and place.country_code in project.excluded_countries:
            raise Refused(Refusal.EXCLUDED_COUNTRY, project_id=project.id)
        handler = self._handlers.get(request.path) if request.method == "POST" else None
        if handler is None:
            return answer(request, 404, "404 Not Found")
        allow_cookies = cookies_allowed(headers, gate)
        return await handler(Asked(request, body, gate, hit, project, ip, place, kept_headers, allow_cookies))

    async def _event(self, asked: Asked) -> web.StreamResponse:
        """POST /e: a page view, an outbound link or a custom event."""
        request, project = asked.request, asked.project
        hit = check_event(asked)
        if refuse.is_prefetch(request.headers):
            raise Refused(Refusal.PREFETCH, project_id=project.id)
        check_special_event(hit, project)
        if refuse.is_internal_link(hit, project):
            raise Refused(Refusal.INTERNAL_LINK, project_id=project.id)
        if refuse.is_tag_manager_preview(hit):
            raise Refused(Refusal.TAG_MANAGER, project_id=project.id)
        accepted = await self._services.intake.event(hit, project, asked.sender(), asked.kept_headers, asked.place)
        if project.first_event_at_ms is None:
            self._services.tap.accepted(project.id, hit.name, hit.url if isinstance(hit.url, str) else "")
        if accepted.new_cookie_user_id is None:
            return answer(request, 200)
        return answer(request, 200, cookie=self._cookie(request, accepted.new_cookie_user_id))

    async def _leave(self, asked: Asked) -> web.StreamResponse:
        """POST /l: a page is left, the visit lasts until now."""
        left = await self._services.intake.leave(asked.project, asked.sender())
        if left is Left.NO_USER:
            raise Refused(Refusal.NO_USER, 401, "User is not identified", asked.project.id)
        if left is Left.NO_SESSION:
            raise Refused(Refusal.NO_SESSION, 401, "Session has not started", asked.project.id)
        return answer(asked.request, 200)

    def _script(self, request: web.BaseRequest) -> web.StreamResponse:
        """GET /main.js. The SDK stays silent on localhost, so its loading is all that can be told of a try there."""
        referrer = request.headers.get("Referer", "")
        if LOCAL_REFERRER.match(referrer):
            self._services.tap.refused(NO_PROJECT, Refusal.LOCALHOST, url=referrer)
        return self._tracker.response(request)

    def _cookie(self, request: web.BaseRequest, user_id: int) -> str:
        _, host = client.scheme_and_host(
            request.remote, request.headers, self._services.trusted_proxies, request.scheme, request.host
        )
        domain = cookie_domain(request.headers.get("V-Host"), host)
        expires = formatdate(self._services.clock.now_ms() // 1000 + COOKIE_SECONDS, usegmt=True)
        scope = f" Domain={domain};" if domain else ""
        return f"{who.COOKIE_NAME}={user_id};{scope} Path=/; Expires={expires}; HttpOnly; Secure; SameSite=None"

    async def _project_id(self, request: web.BaseRequest, gate: Gate) -> int:
        """Which project to tell of a bot; bots are refused before their token matters."""
        project = await self._services.projects.by_token(token_of(request, gate))
        return NO_PROJECT if project is None else project.id

    def _tell(self, request: web.BaseRequest, refused: Refused) -> None:
        origin = request.headers.get("Origin", "")
        detail = request.headers.get("User-Agent", "") if refused.refusal is Refusal.BOT else origin
        self._services.tap.refused(refused.project_id, refused.refusal, url=request.path, detail=latin1_text(detail))


async def read_body(request: web.BaseRequest, bytes_max: int) -> bytes:
    """The whole body, or Refused: larger than the bound, too slow, or broken on the way."""
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


def decode(path: str, body: bytes) -> tuple[EventHit | None, Gate]:
    """Parse a body once: the event if it is a good one, and in any case the keys of the gate."""
    if path == EVENT_PATH and body:
        try:
            hit = hits.decode_event(body)
        except (hits.Malformed, msgspec.ValidationError):
            return None, hits.decode_gate(body)
        return hit, Gate(hit.token, hit.allow_cookies, hit.user_identifier, hit.identifier)
    return None, hits.decode_gate(body) if body else hits.EMPTY_GATE


def check_event(asked: Asked) -> EventHit:
    """The event, or Refused with the words SDKs know."""
    project_id = asked.project.id
    if JSON_CONTENT_TYPE.match(asked.request.headers.get("Content-Type", "")) is None:
        raise Refused(Refusal.INVALID, 400, "Invalid!", project_id)
    if asked.hit is not None:
        return asked.hit
    if not hits.is_json(asked.body):
        raise Refused(Refusal.MALFORMED, 400, "Malformed JSON in request body", project_id)
    raise Refused(Refusal.INVALID, 400, "Invalid!", project_id)


def check_special_event(hit: EventHit, project: Project) -> None:
    """What page views and outbound links need beyond the schema."""
    if hit.name not in (hits.PAGE_VIEW, hits.OUTBOUND_LINK):
        return
    if hit.url is UNSET:
        raise Refused(Refusal.INVALID, 400, f"Missing URL for {hit.name} event", project.id)
    if hit.name == hits.OUTBOUND_LINK and hits.custom_data_href(hit) is None:
        raise Refused(Refusal.INVALID, 400, f"Missing HREF for {hit.name} event", project.id)


def token_of(request: web.BaseRequest, gate: Gate) -> object:
    """The header wins, even a wrong one; beacons have no headers and put the token into the body."""
    return request.headers.get("Token") or gate.token


def cookies_allowed(headers: Mapping[str, str], gate: Gate) -> bool:
    """Only the exact text `true` allows cookies; the body is asked where there is no header."""
    header = headers.get("Allow-Cookies")
    return header == "true" if header is not None else gate.allow_cookies == "true"


def cookie_domain(v_host: str | None, request_host: str) -> str | None:
    """The Domain of the cookie: V-Host where it names the host asked or a domain above it, else none (defect 5)."""
    host = request_host.rpartition(":")[0] if re.search(r":\d+$", request_host) else request_host
    domain = re.sub(r":\d+$", "", v_host or "").lower()
    if PLAIN_HOST.match(domain) is None:
        return None
    return domain if f".{host.lower()}".endswith(f".{domain}") else None


def keep_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that go into the job, in lower case; repeated ones are joined. Never an address or a cookie."""
    kept: dict[str, str] = {}
    for name, value in headers.items():
        lower = kept_name(name)
        if lower is not None:
            text = latin1_text(value)
            kept[lower] = f"{kept[lower]}, {text}" if lower in kept else text
    return kept


@lru_cache(HEADER_NAMES_MAX)
def kept_name(name: str) -> str | None:
    """The name a header is kept under, None for those that are not kept."""
    lower = name.lower()
    return lower if lower in KEPT_HEADERS or lower.startswith(KEPT_PREFIX) else None


def latin1_text(value: str) -> str:
    """A header's bytes read as Latin-1, as the hash of a visitor has to see them."""
    return value if value.isascii() else value.encode("utf-8", "surrogateescape").decode("latin-1")


def cors_headers(request: web.BaseRequest) -> CIMultiDict[str]:
    """Credentialed requests need the origin named; an origin that is no plain text is not echoed."""
    headers: CIMultiDict[str] = CIMultiDict()
    origin = request.headers.get("Origin")
    if origin is not None and origin.isascii() and origin.isprintable():
        headers["Access-Control-Allow-Origin"] = origin
        headers["Vary"] = "Origin"
    else:
        headers["Access-Control-Allow-Origin"] = "*"
    headers["Access-Control-Allow-Credentials"] = "true"
    return headers


def answer(
    request: web.BaseRequest,
    status: int,
    body: str = "",
    *,
    refusal: Refusal | None = None,
    cookie: str | None = None,
    retry_seconds: int | None = None,
) -> web.Response:
    """An answer with CORS headers, whatever became of the request (defect 18)."""
    headers = cors_headers(request)
    headers["Content-Type"] = TEXT
    if refusal is not None:
        headers[REASON_HEADER] = refusal
    if cookie is not None:
        headers["Set-Cookie"] = cookie
    if retry_seconds is not None:
        headers["Retry-After"] = str(retry_seconds)
    return web.Response(status=status, body=body.encode(), headers=headers)


def preflight(request: web.BaseRequest) -> web.Response:
    """The answer to OPTIONS: asked headers are allowed, and a browser may remember it for a day."""
    headers = cors_headers(request)
    headers["Access-Control-Allow-Methods"] = METHODS
    headers["Access-Control-Max-Age"] = str(PREFLIGHT_SECONDS)
    asked = request.headers.get("Access-Control-Request-Headers", "")
    names = [name.strip() for name in asked.split(",") if name.strip()] if asked.isascii() else []
    if names and all(name.isprintable() for name in names):
        headers["Access-Control-Allow-Headers"] = ",".join(names)
        # The original appends to Vary only what it has set: with an Origin both names, else this one.
        headers["Vary"] = ", ".join([*headers.getall("Vary", []), "Access-Control-Request-Headers"])
    return web.Response(status=204, headers=headers)
