"""GET and POST /login, POST /logout."""

import msgspec
from aiohttp import web

from vemetric import errors
from vemetric.accounts import logins, setup
from vemetric.accounts.logins import Browser
from vemetric.web import context, cookies, forms, render


class Form(msgspec.Struct, frozen=True):
    """The login form. remember: `on` where the box is ticked."""

    email: str
    password: str
    remember: str
    next: str


async def show(request: web.Request) -> web.Response:
    """The form; whoever is signed in is sent on."""
    page = context.of(request)
    next_path = forms.local_path(request.query.get("next", "/"))
    if page.account is not None:
        return render.redirect(next_path)
    if not await setup.is_done(page.services.database):
        return render.page(request, "pages/setup_waiting.html", is_dead=False)
    form = Form(email="", password="", remember="on", next=next_path)
    return render.page(request, "pages/login.html", form=form, problem="")


async def sign_in(request: web.Request) -> web.Response:
    """Open a login, or say that something of what was typed is wrong without saying what."""
    page, form = context.of(request), await forms.read(request, Form)
    services = page.services
    browser = Browser(request.headers.get("User-Agent", ""), page.ip)
    remember = form.remember == "on"
    try:
        token, _ = await logins.sign_in(
            services.database, services.keys, services.clock, form.email, form.password, browser, remember
        )
    except (errors.Unauthorized, errors.TooManyRequests) as error:
        shown = msgspec.structs.replace(form, password="", next=forms.local_path(form.next))
        return render.page(request, "pages/login.html", status=error.status, form=shown, problem=error.message)
    if page.login is not None:
        await logins.sign_out(services.database, page.login)
    response = render.redirect(forms.local_path(form.next))
    cookies.keep_login(response, token, remember, page.is_secure)
    return response


async def sign_out(request: web.Request) -> web.Response:
    """End the login, here and in the store."""
    page = context.of(request)
    if page.login is not None:
        await logins.sign_out(page.services.database, page.login)
    response = render.redirect("/login")
    cookies.forget_login(response, page.is_secure)
    return response
