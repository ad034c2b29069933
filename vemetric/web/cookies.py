"""The cookies of the pages: the login, the secret behind the form tokens, the theme. None is set by the hub."""

import hashlib
from collections.abc import Sequence
from typing import Literal

from aiohttp import web

from vemetric.accounts.logins import LIFETIME_DAYS
from vemetric.accounts.public_access import TICKET_DAYS

LOGIN = "vemetric_login"
FORMS = "vemetric_forms"
THEME = "vemetric_theme"
METHOD = "vemetric_method"
ATTEMPT = "vemetric_attempt"

# Of one public dashboard: whose, a digest of its domain says.
TICKET = "vemetric_ticket_"
TICKET_DIGEST_BYTES = 8

DAY_SECONDS = 86_400
THEME_SECONDS = 365 * DAY_SECONDS
METHOD_SECONDS = 30 * DAY_SECONDS
ATTEMPT_SECONDS = 600
LAX: Literal["Lax"] = "Lax"
# Browsers take a cookie of such a name only over https, for this host alone: no other host can plant it.
HOST_PREFIX = "__Host-"


def named(name: str, is_secure: bool) -> str:
    """What the cookie is called on this connection. Plain http has no such protection, and no such name."""
    return f"{HOST_PREFIX}{name}" if is_secure else name


def keep_login(response: web.StreamResponse, token: str, remember: bool, is_secure: bool) -> None:
    """Hand the login's token to the browser, for as long as the login lives or its window is open."""
    seconds = LIFETIME_DAYS * DAY_SECONDS if remember else None
    name = named(LOGIN, is_secure)
    response.set_cookie(name, token, max_age=seconds, path="/", httponly=True, secure=is_secure, samesite=LAX)


def forget_login(response: web.StreamResponse, is_secure: bool) -> None:
    """Take the login's token from the browser."""
    response.del_cookie(named(LOGIN, is_secure), path="/", httponly=True, secure=is_secure, samesite=LAX)


def keep_forms(response: web.StreamResponse, secret: str, is_secure: bool) -> None:
    """The secret of somebody who is not signed in; it lasts as long as the window."""
    name = named(FORMS, is_secure)
    response.set_cookie(name, secret, path="/", httponly=True, secure=is_secure, samesite=LAX)


def keep_theme(response: web.StreamResponse, theme: str) -> None:
    """Remember the theme; '' is the system's."""
    if theme:
        response.set_cookie(THEME, theme, max_age=THEME_SECONDS, path="/", samesite=LAX)
    else:
        response.del_cookie(THEME, path="/", samesite=LAX)


def keep_method(response: web.StreamResponse, method: str, is_secure: bool) -> None:
    """Remember how somebody came in, for the mark on the login page."""
    name = named(METHOD, is_secure)
    response.set_cookie(name, method, max_age=METHOD_SECONDS, path="/", httponly=True, secure=is_secure, samesite=LAX)


def method_of(request: web.Request, methods: Sequence[str], is_secure: bool) -> str:
    """How somebody came in last, one of the methods; '' if that is not known."""
    method = request.cookies.get(named(METHOD, is_secure), "")
    return method if method in methods else ""


def keep_attempt(response: web.StreamResponse, state: str, is_secure: bool) -> None:
    """Bind the way to another service to this browser, so that nobody can be led in by somebody else's link."""
    name = named(ATTEMPT, is_secure)
    response.set_cookie(name, state, max_age=ATTEMPT_SECONDS, path="/", httponly=True, secure=is_secure, samesite=LAX)


def attempt_of(request: web.Request, is_secure: bool) -> str:
    """The state of the browser's way to another service, '' if it is on none."""
    return request.cookies.get(named(ATTEMPT, is_secure), "")


def forget_attempt(response: web.StreamResponse, is_secure: bool) -> None:
    """The way is over."""
    response.del_cookie(named(ATTEMPT, is_secure), path="/", httponly=True, secure=is_secure, samesite=LAX)


def keep_ticket(response: web.StreamResponse, domain: str, ticket: str, is_secure: bool) -> None:
    """Let the browser see a public dashboard that asks for a password."""
    seconds, name = TICKET_DAYS * DAY_SECONDS, _ticket_name(domain, is_secure)
    response.set_cookie(name, ticket, max_age=seconds, path="/", httponly=True, secure=is_secure, samesite=LAX)


def ticket_of(request: web.Request, domain: str, is_secure: bool) -> str:
    """The browser's ticket for a public dashboard, '' for none."""
    return request.cookies.get(_ticket_name(domain, is_secure), "")


def _ticket_name(domain: str, is_secure: bool) -> str:
    digest = hashlib.blake2b(domain.encode("utf-8", "replace"), digest_size=TICKET_DIGEST_BYTES).hexdigest()
    return named(TICKET + digest, is_secure)
