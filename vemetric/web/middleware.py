"""What happens around every page: security headers, errors as pages, who is signed in, and whether a form is ours.

The hub's paths never come here: front.py answers them before routing.
"""

import logging
import secrets
from urllib.parse import quote, urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler

from vemetric import errors, logs
from vemetric.accounts import logins
from vemetric.accounts.logins import HOUR_MS, PROLONG_AFTER_HOURS
from vemetric.enrich import client
from vemetric.web import cookies, forms, headers, operators, render, routes
from vemetric.web.context import CONTEXT, SERVICES, THEMES, Context
from vemetric.web.routes import Access

SAFE_METHODS = ("GET", "HEAD")
# What an HTTP error says beside its status.
EXPLAINING_HEADERS = {"Allow", "WWW-Authenticate"}
# The parts of a path that the log shall not have.
PRIVATE_NAMES = {"token", "identifier"}
REQUEST_ID_BYTES = 6
REQUEST_ID_HEADER = "X-Request-Id"
FORMS_SECRET_BYTES = 24
FORMS_SECRET_CHARACTERS_MAX = 64
BEGUN = web.RequestKey("begun", web.StreamResponse)

log = logging.getLogger("vemetric.web")


@web.middleware
async def number(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give the request an id, which its lines in the log bear and its answer tells."""
    of = secrets.token_hex(REQUEST_ID_BYTES)
    token = logs.request_id.set(of)
    try:
        response = await handler(request)
        if not response.prepared:
            response.headers[REQUEST_ID_HEADER] = of
        return response
    finally:
        logs.request_id.reset(token)


@web.middleware
async def secure(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The headers and cookies of every answer, and no cache for anything that is not a file."""
    response = await handler(request)
    if not response.prepared:
        if CONTEXT in request:
            _renew_cookies(response, request[CONTEXT])
        for name, value in {**headers.SECURITY, **headers.NO_STORE}.items():
            response.headers.setdefault(name, value)
    return response


@web.middleware
async def explain(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Errors become pages that say what is wrong; only what nobody foresaw is logged."""
    try:
        return await handler(request)
    except Exception as error:
        begun: web.StreamResponse | None = request.get(BEGUN)
        return _explained(request, error) if begun is None else _broken_off(request, begun)


def _explained(request: web.Request, error: Exception) -> web.StreamResponse:
    match error:
        case errors.VemetricError():
            return _refused(request, error)
        case web.HTTPException() if error.status < 400:
            raise error
        case web.HTTPException():
            response = render.failure(request, error.status, error.reason)
            for name in EXPLAINING_HEADERS & error.headers.keys():
                response.headers[name] = error.headers[name]
            return response
    _logged(request)
    where = logs.request_id.get()
    return render.failure(request, 500, f"Something went wrong here. The log says what, at number {where}.")


def _logged(request: web.Request) -> None:
    """Put the exception that is being handled into the log, with the request's id whatever form the log has."""
    log.exception("%s %s failed (%s)", request.method, _path(request), logs.request_id.get())


async def keep_begun(request: web.Request, response: web.StreamResponse) -> None:
    """Remember the answer whose head goes out now (a signal of the application)."""
    request[BEGUN] = response


def _broken_off(request: web.Request, begun: web.StreamResponse) -> web.StreamResponse:
    """End the connection in the middle: nobody shall take half a file for the whole, nor wait for the rest."""
    if request.transport is not None and not request.transport.is_closing():
        _logged(request)
        request.transport.abort()
    return begun


def _refused(request: web.Request, error: errors.VemetricError) -> web.Response:
    if isinstance(error, errors.Unauthorized) and (elsewhere := _to_login(request)) is not None:
        return elsewhere
    if error.status >= 500:
        log.warning("%s %s: %s", request.method, _path(request), error.message)
    if isinstance(error, errors.StoreError):
        error = errors.Unavailable()
    response = render.failure(request, error.status, error.message)
    if isinstance(error, errors.TooManyRequests):
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    return response


def _path(request: web.Request) -> str:
    """The path as the log may have it: one line, without what opens the link of a letter or says who somebody is."""
    path = request.path
    for name in PRIVATE_NAMES & request.match_info.keys():
        path = path.replace(request.match_info[name] or "...", "...")
    return logs.escaped(path)


@web.middleware
async def recognize(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Who asks. Routes for accounts send others to the login; forms must come from a page of ours."""
    access = routes.access_of(request)
    if access is Access.KEY:
        return await handler(request)
    if "\0" in request.path or "\0" in request.query_string:
        # Nothing that can be asked for has one, and PostgreSQL refuses to be asked for it.
        raise errors.NotFound
    if access is Access.FILE:
        return await handler(request)
    context = _context(request)
    request[CONTEXT] = context
    await _sign_in(request, context)
    _give_forms_token(request, context)
    if access is Access.ACCOUNT and context.account is None:
        raise errors.Unauthorized
    if request.method not in SAFE_METHODS and request.match_info.http_exception is None:
        await _check_form(request, context)
    if access is Access.OPERATOR:
        await operators.let_in(request, context)
    return await handler(request)


def _context(request: web.Request) -> Context:
    services = request.app[SERVICES]
    scheme, host = client.scheme_and_host(
        request.remote, request.headers, services.trusted_proxies, request.scheme, request.host
    )
    origin = services.config.public_url or f"{scheme}://{host}{services.config.base_path}"
    theme = request.cookies.get(cookies.THEME, "")
    return Context(
        services=services,
        origin=origin,
        is_secure=scheme == "https" or origin.startswith("https://"),
        ip=client.client_ip(request.remote, request.headers, services.trusted_proxies) or "",
        theme=theme if theme in THEMES else "",
        is_fragment="HX-Request" in request.headers,
    )


async def _sign_in(request: web.Request, context: Context) -> None:
    token = request.cookies.get(cookies.named(cookies.LOGIN, context.is_secure), "")
    found = await logins.by_token(context.services.database, context.services.clock, token)
    if found is not None:
        context.account, context.login = found
        context.login_token = token


def _give_forms_token(request: web.Request, context: Context) -> None:
    """Forms are bound to the login; for those who have none, to a secret that their browser keeps."""
    kept = request.cookies.get(cookies.named(cookies.FORMS, context.is_secure), "")
    if context.login is not None:
        kept = context.login.id
    elif not 0 < len(kept) <= FORMS_SECRET_CHARACTERS_MAX:
        kept = context.new_forms_secret = secrets.token_urlsafe(FORMS_SECRET_BYTES)
    context.forms_key = forms.csrf_key(context.services.secret, kept)


def _renew_cookies(response: web.StreamResponse, context: Context) -> None:
    """A login that use has prolonged lives longer in the browser too; a new browser gets its form secret."""
    login = context.login
    name = cookies.named(cookies.LOGIN, context.is_secure)
    if login is not None and login.remember and name not in response.cookies:
        was_prolonged = login.used_at_ms - login.created_at_ms >= PROLONG_AFTER_HOURS * HOUR_MS
        if was_prolonged and context.services.clock.now_ms() - login.used_at_ms < HOUR_MS:
            cookies.keep_login(response, context.login_token, remember=True, is_secure=context.is_secure)
    if context.new_forms_secret:
        cookies.keep_forms(response, context.new_forms_secret, context.is_secure)


async def _check_form(request: web.Request, context: Context) -> None:
    """A form must be posted by a page of this site: its token says so, and the browser does not say otherwise."""
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    if site is not None and site not in ("same-origin", "none"):
        raise errors.Forbidden("This form was sent from another site.")
    if origin is not None and _host_of(origin) not in (request.host, urlsplit(context.origin).netloc):
        raise errors.Forbidden("This form was sent from another site.")
    posted = (await forms.text_fields(request)).get(forms.CSRF_FIELD, "")
    if not forms.is_csrf_token(posted, context.forms_key):
        raise errors.Forbidden(
            "This form is too old, or cookies are switched off. Go back, reload the page, try again."
        )


def _host_of(origin: str) -> str | None:
    """Host and port of an Origin header; None for one that no browser sends."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def _to_login(request: web.Request) -> web.Response | None:
    """Somebody who is not signed in goes to the login and comes back from there; a swapped part reloads its page."""
    if CONTEXT not in request or routes.access_of(request) not in (Access.ACCOUNT, Access.OPERATOR):
        return None
    if request[CONTEXT].is_fragment:
        return web.Response(status=401, headers={"HX-Refresh": "true"})
    target = (
        f"/login?next={quote(request.path_qs)}" if request.method in SAFE_METHODS and request.path != "/" else "/login"
    )
    return web.Response(status=303, headers={"Location": target})
