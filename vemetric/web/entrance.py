"""Letting somebody in who has proved who it is: a new login, never one that was there before."""

from aiohttp import web

from vemetric.accounts import logins
from vemetric.accounts.logins import Browser
from vemetric.model.account import Account
from vemetric.web import context, cookies, render


def browser_of(request: web.Request) -> Browser:
    """Who asks, as the list of logins shows it."""
    return Browser(request.headers.get("User-Agent", ""), context.of(request).ip)


async def enter(
    request: web.Request, account: Account, location: str, method: str, remember: bool = True
) -> web.Response:
    """Open a login for the account and go on. method: how it came in, which the login page remembers."""
    services = context.of(request).services
    token, _ = await logins.open_login(services.database, services.clock, account, browser_of(request), remember)
    return await entered(request, token, location, method, remember)


async def entered(request: web.Request, token: str, location: str, method: str, remember: bool) -> web.Response:
    """Hand the login to the browser; the one it had ends."""
    page = context.of(request)
    if page.login is not None:
        await logins.sign_out(page.services.database, page.login)
    response = render.redirect(location)
    cookies.keep_login(response, token, remember, page.is_secure)
    cookies.keep_method(response, method, page.is_secure)
    return response
