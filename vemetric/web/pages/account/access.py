"""/account/sign-in: address, password, services, and the list of logins."""

from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
from aiohttp import web

from vemetric import errors
from vemetric.accounts import errands, identities, logins, profile, verification
from vemetric.enrich import user_agent
from vemetric.model.account import Login
from vemetric.web import context, forms, render
from vemetric.web.pages import shell

AREA = "sign-in"
PATH = "/account/sign-in"


class Email(msgspec.Struct, frozen=True):
    """Another address, and the password that it is asked with."""

    email: str
    email_password: str


class Password(msgspec.Struct, frozen=True):
    """Another password."""

    current_password: str
    new_password: str


class Shown(NamedTuple):
    """A login as the list shows it."""

    id: str
    browser: str
    ip: str
    begun: str
    used: str
    is_this: bool


async def show(request: web.Request) -> web.Response:
    return await _page(request, {})


async def change_email(request: web.Request) -> web.Response:
    """POST /account/email"""
    page, form = context.of(request), await forms.read(request, Email)
    services, account = page.services, page.signed_in
    try:
        await _prove(request, form.email_password, "email_password")
        is_done = await profile.change_email(
            services.database, services.keys, services.clock, services.post, account, form.email
        )
    except errors.Invalid as error:
        return await _page(request, error.fields, email=form.email)
    except (errors.Forbidden, errors.TooManyRequests) as error:
        return await _page(request, {"email": error.message}, email=form.email)
    return render.redirect(f"{PATH}?{'saved' if is_done else 'mailed'}=1")


async def change_password(request: web.Request) -> web.Response:
    """POST /account/password"""
    page, form = context.of(request), await forms.read(request, Password)
    services, account = page.services, page.signed_in
    if page.login is None:
        raise errors.Unauthorized
    try:
        await _prove(request, form.current_password, "current_password")
        await profile.change_password(
            services.database,
            services.clock,
            services.post,
            services.providers,
            account,
            page.login,
            form.new_password,
        )
    except errors.Invalid as error:
        return await _page(request, error.fields)
    except errors.Forbidden as error:
        return await _page(request, {"new_password": error.message})
    return render.redirect(f"{PATH}?saved=1")


async def mail_password_link(request: web.Request) -> web.Response:
    """POST /account/password-link: for an account without a password, a letter to set one."""
    page = context.of(request)
    services, email = page.services, page.signed_in.email
    await verification.ask(services.keys, services.clock, services.post, errands.Reset, email, page.ip)
    return render.redirect(f"{PATH}?mailed=1")


async def revoke(request: web.Request) -> web.Response:
    """POST /account/logins/<login>/end"""
    page = context.of(request)
    await logins.revoke(page.services.database, page.signed_in.id, request.match_info["login"])
    return render.redirect(f"{PATH}?saved=1#logins")


async def revoke_others(request: web.Request) -> web.Response:
    """POST /account/logins/end-others"""
    page = context.of(request)
    if page.login is not None:
        await logins.revoke_others(page.services.database, page.login)
    return render.redirect(f"{PATH}?saved=1#logins")


async def _prove(request: web.Request, password: str, field: str) -> None:
    page = context.of(request)
    if page.login is None:
        raise errors.Unauthorized
    services = page.services
    await profile.prove(services.database, services.keys, services.clock, page.signed_in, page.login, password, field)


async def _page(request: web.Request, problems: dict[str, str], email: str = "") -> web.Response:
    page = context.of(request)
    services, account = page.services, page.signed_in
    connected = await identities.of_account(services.database, account.id)
    open_logins = await logins.of_account(services.database, services.clock, account.id)
    return render.page(
        request,
        "pages/account/access.html",
        status=400 if problems else 200,
        form={"email": email, "email_password": "", "current_password": "", "new_password": ""},
        problems=problems,
        is_saved=_said(request, problems),
        is_mail_set_up=services.post.is_set_up,
        has_password=await profile.has_password(services.database, account.id),
        providers=list(services.providers.values()),
        connected=connected,
        logins=[_shown(login, page.login) for login in open_logins],
        **await shell.account_settings(request, AREA),
    )


def _said(request: web.Request, problems: dict[str, str]) -> str:
    if problems:
        return ""
    if "mailed" in request.query:
        return "A letter is on its way: the link in it does the rest."
    return "Done." if "saved" in request.query else ""


def _shown(login: Login, current: Login | None) -> Shown:
    return Shown(
        login.id,
        browser_name(login.user_agent),
        login.ip,
        _day(login.created_at_ms),
        _day(login.used_at_ms),
        current is not None and login.id == current.id,
    )


def browser_name(text: str) -> str:
    """What people call the browser of a user agent: `Firefox on Windows`."""
    device: Any = user_agent.device({"user-agent": text})
    known = [name for name in (device.client_name, device.os_name) if name and name != user_agent.UNKNOWN]
    return " on ".join(known) or "Unknown browser"


def _day(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%-d %b %Y, %H:%M UTC")
