"""/verify: the code or the link of the letter that proves an address. What proves it signs in."""

from urllib.parse import quote

import msgspec
from aiohttp import web

from vemetric import errors
from vemetric.accounts import errands, verification
from vemetric.model.verification import Purpose
from vemetric.web import context, entrance, forms, render


class Form(msgspec.Struct, frozen=True):
    """The code, and whose it is."""

    email: str
    code: str
    next: str


async def show(request: web.Request) -> web.Response:
    """GET /verify?email=: the form for the code."""
    email = request.query.get("email", "")
    if not email or context.of(request).account is not None:
        return render.redirect("/login")
    return _page(request, Form(email, "", forms.local_path(request.query.get("next", "/"))), {})


async def by_code(request: web.Request) -> web.Response:
    """POST /verify"""
    page, form = context.of(request), await forms.read(request, Form)
    services = page.services
    try:
        account = await verification.by_code(
            services.database, services.keys, services.clock, form.email, form.code, page.ip
        )
    except errors.Invalid as error:
        return _page(request, form, error.fields)
    return await entrance.enter(request, account, forms.local_path(form.next), "password")


async def again(request: web.Request) -> web.Response:
    """POST /verify-again: a new code. What is said is the same for any address."""
    page, form = context.of(request), await forms.read(request, Form)
    services = page.services
    try:
        await verification.ask(services.keys, services.clock, services.post, errands.Verify, form.email, page.ip)
    except errors.Invalid as error:
        return _page(request, form, {"code": error.fields["email"]})
    target = f"/verify?email={quote(form.email.strip())}&next={quote(forms.local_path(form.next))}&sent=1"
    return render.redirect(target)


async def show_link(request: web.Request) -> web.Response:
    """GET /verify/<token>: asks for a click, because programs that look through mail open links too."""
    services = context.of(request).services
    token = request.match_info["token"]
    is_open = await verification.is_open(services.database, services.clock, Purpose.SIGN_UP, token)
    return render.page(request, "pages/account/link.html", status=200 if is_open else 404, is_open=is_open, **WORDS)


async def by_link(request: web.Request) -> web.Response:
    """POST /verify/<token>"""
    services = context.of(request).services
    try:
        account = await verification.by_link(services.database, services.clock, request.match_info["token"])
    except errors.NotFound:
        return await show_link(request)
    return await entrance.enter(request, account, "/", "password")


WORDS = {
    "title": "Confirm your address",
    "sentence": "One click, and your account is ready.",
    "button": "Confirm and sign in",
    "next_step": "Sign in with your password: you get a new code then.",
    "back": "/login",
    "back_label": "Sign in",
}


def _page(request: web.Request, form: Form, problems: dict[str, str]) -> web.Response:
    return render.page(
        request,
        "pages/account/verify.html",
        status=400 if problems else 200,
        form=msgspec.structs.replace(form, next=forms.local_path(form.next)),
        problems=problems,
        is_sent="sent" in request.query,
    )
