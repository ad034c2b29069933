"""Everything below /api: who asks, how often, which endpoint, and what goes wrong on the way, always as JSON.

The order is part of what clients know: the key, the rate, the path, the body, the plan or the thing asked for.
"""

import logging
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote

import msgspec
from aiohttp import web

from vemetric import errors, logs
from vemetric.accounts import api_access, api_keys
from vemetric.accounts.api_access import Opened
from vemetric.model.api_key import ApiKey, Scope
from vemetric.services import Services
from vemetric.web.api import rate
from vemetric.web.api.call import Call
from vemetric.web.api.failures import BrokenOff, Code, Refused
from vemetric.web.api.routes import BASE, ENDPOINTS, Endpoint
from vemetric.web.context import SERVICES

SCHEME = "Bearer "
RETRY_SECONDS = 5
DOCS_PATH = "/docs/reference"
FAILED = "Something went wrong here. The log says what."
NOWHERE = f"There is no such endpoint; see {DOCS_PATH}."

log = logging.getLogger("vemetric.api")
_encoder = msgspec.json.Encoder()


class Found(NamedTuple):
    """An endpoint, and what stands in its path."""

    endpoint: Endpoint
    parts: Mapping[str, str]


async def answer(request: web.Request) -> web.StreamResponse:
    """Anything below BASE."""
    headers: dict[str, str] = {}
    try:
        return await _answer(request, headers)
    except Refused as error:
        return _refusal(error, headers)
    except BrokenOff:
        raise
    except web.HTTPException as error:
        return _refusal(Refused(error.status, Code.HTTP, error.reason), headers)
    except (errors.StoreError, errors.Unavailable) as error:
        return _busy(request, error, headers)
    except Exception:
        return _failure(request, headers)


async def nowhere(request: web.Request) -> web.Response:
    """Anything else below /api."""
    return _refusal(Refused(404, Code.NOT_FOUND, NOWHERE), {})


async def to_docs(request: web.Request) -> web.Response:
    """GET /api and /api/docs."""
    return web.Response(status=302, headers={"Location": DOCS_PATH})


async def _answer(request: web.Request, headers: dict[str, str]) -> web.StreamResponse:
    services = request.app[SERVICES]
    opened = await _opened(request, services)
    counted = await _counted(request, services, opened.key)
    headers |= counted.headers()
    if counted.is_over:
        words = f"At most {counted.limit} requests a minute; please wait {counted.retry_seconds} s."
        raise Refused(429, Code.RATE_LIMIT, words, retry_seconds=counted.retry_seconds)
    found = find("GET" if request.method == "HEAD" else request.method, request.rel_url.raw_path.removeprefix(BASE))
    if found is None:
        raise Refused(404, Code.NOT_FOUND, NOWHERE)
    if opened.key.scope is not found.endpoint.scope:
        what = "read" if found.endpoint.scope is Scope.READ else "write"
        raise Refused(403, Code.SCOPE, f"This key may not {what}; make one that may in the project's settings.")
    limits_plan = services.config.plan_limits and found.endpoint.has_plan
    has_plan = not limits_plan or await api_access.has_plan(services.database, opened.project)
    call = Call(request, services, *opened, has_plan, services.clock.now_ms(), found.parts, headers)
    answered = await found.endpoint.handler(call)
    if isinstance(answered, web.StreamResponse):
        return answered
    return _json(200, answered, headers)


async def _counted(request: web.Request, services: Services, key: ApiKey) -> rate.Rate:
    try:
        return await rate.count(services.keys, services.clock, key, services.config.api_requests_per_minute)
    except errors.Unavailable as error:
        # Nobody passes uncounted; this is the error by which clients know it.
        log.warning("%s %s: %s", request.method, logs.escaped(request.path), error)
        raise Refused(500, Code.INTERNAL, FAILED) from error


def find(method: str, path: str) -> Found | None:
    """The endpoint of a method and a path below BASE, as it was sent."""
    for endpoint in ENDPOINTS:
        if endpoint.method != method:
            continue
        head, _, name = endpoint.path.partition("{")
        if not name:
            if path == head:
                return Found(endpoint, {})
        elif path.startswith(head) and "/" not in path[len(head) :] and len(path) > len(head):
            return Found(endpoint, {name.removesuffix("}"): unquote(path[len(head) :])})
    return None


async def _opened(request: web.Request, services: Services) -> Opened:
    sent = request.headers.get("Authorization")
    if sent is None:
        raise _unauthorized(f"Send the header `Authorization: {SCHEME}<key>`.")
    if not sent.startswith(SCHEME):
        raise _unauthorized(f"The header Authorization must begin with `{SCHEME}`.")
    text = sent.removeprefix(SCHEME).strip()
    if not api_keys.has_format(text):
        raise _unauthorized(f"A key begins with {api_keys.PREFIX} and has {api_keys.LENGTH} characters.")
    opened = await api_access.open_project(services.database, services.clock, text)
    if opened is None:
        raise _unauthorized("This key is unknown, or it was revoked.")
    return opened


def _unauthorized(message: str) -> Refused:
    return Refused(401, Code.UNAUTHORIZED, message)


def _refusal(error: Refused, headers: Mapping[str, str]) -> web.Response:
    more = {} if error.retry_seconds is None else {"Retry-After": str(error.retry_seconds)}
    if error.status == 401:
        more["WWW-Authenticate"] = "Bearer"
    return _json(error.status, error.body, {**headers, **more})


def _busy(request: web.Request, error: Exception, headers: Mapping[str, str]) -> web.StreamResponse:
    log.warning("%s %s: %s", request.method, logs.escaped(request.path), error)
    refused = Refused(503, Code.UNAVAILABLE, "A store is busy; please try again.", retry_seconds=RETRY_SECONDS)
    return _refusal(refused, headers)


def _failure(request: web.Request, headers: Mapping[str, str]) -> web.StreamResponse:
    log.exception("%s %s failed", request.method, logs.escaped(request.path))
    return _refusal(Refused(500, Code.INTERNAL, FAILED), headers)


def _json(status: int, body: object, headers: Mapping[str, str]) -> web.Response:
    return web.Response(
        status=status, body=_encoder.encode(body), content_type="application/json", headers=dict(headers)
    )
