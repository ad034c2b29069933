"""What the hub's paths share: a request past the first checks, the ways to refuse it, and the answers with CORS."""

from collections.abc import Mapping
from functools import lru_cache

import msgspec
from multidict import CIMultiDict

from vemetric.ingest import hit as hits
from vemetric.ingest import who
from vemetric.ingest.hit import Gate
from vemetric.ingest.refuse import Refusal
from vemetric.ingest.tap import NO_PROJECT
from vemetric.ingest.who import Sender
from vemetric.model.geo import Geo
from vemetric.model.project import Project
from vemetric.web.ask import Answer, Ask

ORIGINS_MAX = 1_024
PREFLIGHT_SECONDS = 86_400
TEXT = "text/plain; charset=UTF-8"
REASON_HEADER = "Vemetric-Refused"
METHODS = "GET,HEAD,PUT,POST,DELETE,PATCH"
UNKNOWN_PROJECT = Project(NO_PROJECT, "", "", "", "")


class Asked(msgspec.Struct, gc=False):
    """A request whose body was looked at. gate: an EventHit where the body is a good one of /e; place: of `ask.ip`.

    project: UNKNOWN_PROJECT until the hub has let the request pass; nobody is handed one before.
    """

    ask: Ask
    gate: Gate
    place: Geo
    is_bot: bool
    project: Project = UNKNOWN_PROJECT

    @property
    def token(self) -> object:
        """The header wins, even a wrong one; beacons have no headers and put the token into the body."""
        return self.ask.headers.get("token") or self.gate.token

    def sender(self) -> Sender:
        ask, gate = self.ask, self.gate
        identifier, backend = gate.identifier, gate.user_identifier
        return Sender(
            self.project.id,
            ask.ip or "",
            ask.kept_headers.get("user-agent"),
            who.cookie_user_id(ask.headers),
            backend if isinstance(backend, str) else None,
            identifier if isinstance(identifier, str) else None,
            cookies_allowed(ask.headers, gate),
        )


class Refused(Exception):
    """The request is answered here and goes no further."""

    def __init__(self, refusal: Refusal, status: int = 200, body: str = "", project_id: int = NO_PROJECT) -> None:
        super().__init__(refusal)
        self.refusal = refusal
        self.status = status
        self.body = body
        self.project_id = project_id


def bad_body(asked: Asked) -> Refused:
    """Why a body is refused that does not fit its path, in the words SDKs know."""
    if hits.is_json(asked.ask.body):
        return Refused(Refusal.INVALID, 400, "Invalid!", asked.project.id)
    return Refused(Refusal.MALFORMED, 400, "Malformed JSON in request body", asked.project.id)


def cookies_allowed(headers: Mapping[str, str], gate: Gate) -> bool:
    """Only the exact text `true` allows cookies; the body is asked where there is no header."""
    header = headers.get("allow-cookies")
    return header == "true" if header is not None else gate.allow_cookies == "true"


def cors_headers(asked_with: Mapping[str, str]) -> CIMultiDict[str]:
    """Credentialed requests need the origin named; an origin that is no plain text is not echoed."""
    headers: CIMultiDict[str] = CIMultiDict()
    origin = asked_with.get("origin")
    if origin is not None and origin.isascii() and origin.isprintable():
        headers["Access-Control-Allow-Origin"] = origin
        headers["Vary"] = "Origin"
    else:
        headers["Access-Control-Allow-Origin"] = "*"
    headers["Access-Control-Allow-Credentials"] = "true"
    return headers


def answer(
    asked_with: Mapping[str, str],
    status: int,
    body: str = "",
    *,
    refusal: Refusal | None = None,
    cookie: str | None = None,
    retry_seconds: int | None = None,
) -> Answer:
    """An answer with CORS headers, whatever became of the request. asked_with: the request's headers."""
    headers = cors_headers(asked_with)
    headers["Content-Type"] = TEXT
    if refusal is not None:
        headers[REASON_HEADER] = refusal
    if cookie is not None:
        headers["Set-Cookie"] = cookie
    if retry_seconds is not None:
        headers["Retry-After"] = str(retry_seconds)
    return Answer(status, headers, body.encode())


@lru_cache(ORIGINS_MAX)
def plain_answer(origin: str | None) -> Answer:
    """What nearly every hit is answered: 200 and nothing to say. The same object for the same origin."""
    return answer({} if origin is None else {"origin": origin}, 200)


def preflight(asked_with: Mapping[str, str]) -> Answer:
    """The answer to OPTIONS: asked headers are allowed, and a browser may remember it for a day."""
    headers = cors_headers(asked_with)
    headers["Access-Control-Allow-Methods"] = METHODS
    headers["Access-Control-Max-Age"] = str(PREFLIGHT_SECONDS)
    asked = asked_with.get("access-control-request-headers", "")
    names = [name.strip() for name in asked.split(",") if name.strip()] if asked.isascii() else []
    if names and all(name.isprintable() for name in names):
        headers["Access-Control-Allow-Headers"] = ",".join(names)
        # The original appends to Vary only what it has set: with an Origin both names, else this one.
        headers["Vary"] = ", ".join([*headers.getall("Vary", []), "Access-Control-Request-Headers"])
    return Answer(204, headers)
