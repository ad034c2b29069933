"""GET and POST /login, POST /logout."""

from urllib.parse import quote

import msgspec
from aiohttp import web

from vemetric import errors
from vemetric.accounts import logins, oauth, setup, signup
from vemetric.web import context, cookies, entrance, forms, render


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
    return login_page(request, Form(email="", password="", remember="on", next=next_path))


async def sign_in(request: web.Request) -> web.Response:
    """Open a login, or say that something of what was typed is wrong without saying what."""
    page, form = context.of(request), await forms.read(request, Form)
    services = page.services
    remember, next_path = form.remember == "on", forms.local_path(form.next)
    try:
        token, _ = await logins.sign_in(
            services.database,
            services.keys,
            services.clock,
            form.email,
            form.password,
            entrance.browser_of(request),
            remember,
            needs_proof=services.post.is_set_up,
        )
    except logins.Unproved:
        return render.redirect(f"/verify?email={quote(form.email.strip())}&next={quote(next_path)}")
    except (errors.Unauthorized, errors.TooManyRequests) as error:
        shown = msgspec.structs.replace(form, password="", next=next_path)
        return login_page(request, shown, error)
    return await entrance.entered(request, token, next_path, "password", remember)


def login_page(request: web.Request, form: Form, error: errors.VemetricError | None = None) -> web.Response:
    """The login, with what was wrong."""
    page = context.of(request)
    services = page.services
    response = render.page(
        request,
        "pages/login.html",
        status=200 if error is None else error.status,
        form=form,
        problem="" if error is None else error.message,
        providers=services.providers.values(),
        may_sign_up=signup.is_open(services.config.sign_up, is_invited=form.next.startswith("/invite/")),
        last_method=cookies.method_of(request, oauth.METHODS, page.is_secure),
    )
    if isinstance(error, errors.TooManyRequests):
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    return response


async def sign_out(request: web.Request) -> web.Response:
    """End the login, here and in the store."""
    page = context.of(request)
    if page.login is not None:
        await logins.sign_out(page.services.database, page.login)
    response = render.redirect("/login")
    cookies.forget_login(response, page.is_secure)
    return response
