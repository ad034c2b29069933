"""The cookies of the pages: the login, the secret behind the form tokens, the theme. None is set by the hub."""

from typing import Literal

from aiohttp import web

from vemetric.accounts.logins import LIFETIME_DAYS

LOGIN = "vemetric_login"
FORMS = "vemetric_forms"
THEME = "vemetric_theme"

DAY_SECONDS = 86_400
THEME_SECONDS = 365 * DAY_SECONDS
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
