"""/forgot and /reset: a new password for somebody who cannot sign in, by the link of a letter."""

import msgspec
from aiohttp import web

from vemetric import errors
from vemetric.accounts import errands, verification
from vemetric.model.verification import Purpose
from vemetric.web import context, forms, render


class Forgot(msgspec.Struct, frozen=True):
    """Whose password is forgotten."""

    email: str


class Reset(msgspec.Struct, frozen=True):
    """The new one."""

    password: str


async def show_forgot(request: web.Request) -> web.Response:
    """GET /forgot"""
    return _forgot_page(request, Forgot(request.query.get("email", "")), {})


async def forgot(request: web.Request) -> web.Response:
    """POST /forgot: what is said, and how long it takes, is the same for any address."""
    page, form = context.of(request), await forms.read(request, Forgot)
    services = page.services
    try:
        await verification.ask(services.keys, services.clock, services.post, errands.Reset, form.email, page.ip)
    except errors.Invalid as error:
        return _forgot_page(request, form, error.fields)
    return _forgot_page(request, form, {}, is_sent=True)


async def show_reset(request: web.Request) -> web.Response:
    """GET /reset/<token>"""
    services, token = context.of(request).services, request.match_info["token"]
    is_open = await verification.is_open(services.database, services.clock, Purpose.PASSWORD, token)
    return _reset_page(request, is_open, {})


async def reset(request: web.Request) -> web.Response:
    """POST /reset/<token>: set it; every login ends, and one signs in with the new one."""
    services, form = context.of(request).services, await forms.read(request, Reset)
    token = request.match_info["token"]
    try:
        await verification.set_password(
            services.database, services.clock, services.post, services.providers, token, form.password
        )
    except errors.Invalid as error:
        return _reset_page(request, True, error.fields)
    except errors.NotFound:
        return _reset_page(request, False, {})
    return render.redirect("/login?reset=1")


def _forgot_page(request: web.Request, form: Forgot, problems: dict[str, str], is_sent: bool = False) -> web.Response:
    return render.page(
        request,
        "pages/account/forgot.html",
        status=400 if problems else 200,
        form=form,
        problems=problems,
        is_sent=is_sent,
        is_mail_set_up=context.of(request).services.post.is_set_up,
    )


def _reset_page(request: web.Request, is_open: bool, problems: dict[str, str]) -> web.Response:
    status = 404 if not is_open else 400 if problems else 200
    form = {"password": ""}
    return render.page(
        request, "pages/account/reset.html", status=status, is_open=is_open, form=form, problems=problems
    )
