"""GET and POST /signup: an account of one's own, where the setting allows it."""

from urllib.parse import quote

import msgspec
from aiohttp import web

from vemetric import errors
from vemetric.accounts import invitations, limits, setup, signup
from vemetric.web import context, entrance, forms, render

INVITE = f"{invitations.PATH}/"


class Form(signup.Form, frozen=True):
    """The sign-up form. next: where to go on; an invitation's page lets its guest sign up."""

    next: str


async def show(request: web.Request) -> web.Response:
    """The form, or that nobody can sign up here."""
    next_path = forms.local_path(request.query.get("next", "/"))
    if context.of(request).account is not None:
        return render.redirect(next_path)
    return await _page(request, Form("", "", "", next_path), {})


async def sign_up(request: web.Request) -> web.Response:
    """Make the account; it goes on with the code of a letter, or straight in where no mail is set up."""
    page, form = context.of(request), await forms.read(request, Form)
    services, next_path = page.services, forms.local_path(form.next)
    if not await may_sign_up(request, next_path):
        return await _page(request, form, {})
    await limits.take_for(services.keys, services.clock, limits.SIGN_UP, page.ip)
    try:
        account = await signup.sign_up(services.database, services.keys, services.clock, services.post, form)
    except errors.Invalid as error:
        return await _page(request, form, error.fields)
    if account is None:
        return render.redirect(f"/verify?email={quote(form.email.strip().lower())}&next={quote(next_path)}")
    return await entrance.enter(request, account, next_path, "password")


async def may_sign_up(request: web.Request, next_path: str) -> bool:
    """Whether this visitor may make an account: before the first one nobody may, that is the set-up's."""
    services = context.of(request).services
    token = next_path.removeprefix(INVITE) if next_path.startswith(INVITE) else ""
    invited = await invitations.by_token(services.database, services.clock, token) if token else None
    return signup.is_open(services.config.sign_up, invited is not None) and await setup.is_done(services.database)


async def _page(request: web.Request, form: Form, problems: dict[str, str]) -> web.Response:
    services = context.of(request).services
    if not await may_sign_up(request, forms.local_path(form.next)):
        return render.page(request, "pages/account/closed.html", status=403, rule=services.config.sign_up)
    return render.page(
        request,
        "pages/account/sign_up.html",
        status=400 if problems else 200,
        form=msgspec.structs.replace(form, password="", next=forms.local_path(form.next)),
        problems=problems,
        providers=services.providers.values(),
    )
