"""/oauth/<provider>: to the service one signs in with, and back."""

import msgspec
from aiohttp import web

from vemetric import errors
from vemetric.accounts import identities, oauth, profile
from vemetric.accounts.oauth import Provider
from vemetric.web import context, cookies, entrance, forms, render
from vemetric.web.pages import sign_in
from vemetric.web.pages.account import sign_up

SETTINGS = "/account/sign-in"


class Form(msgspec.Struct, frozen=True):
    """Where to go on afterwards."""

    next: str


async def begin(request: web.Request) -> web.Response:
    """POST /oauth/<provider>: sign in with it."""
    form = await forms.read(request, Form)
    return await _leave(request, forms.local_path(form.next), "")


async def connect(request: web.Request) -> web.Response:
    """POST /account/identities/<provider>: connect it with the account that is signed in, by a login that is fresh.

    It is another way in that a new password does not end.
    """
    _prove(request)
    return await _leave(request, f"{SETTINGS}?saved=1", context.of(request).signed_in.id)


async def disconnect(request: web.Request) -> web.Response:
    """POST /account/identities/<provider>/remove: for a login that is fresh."""
    page = context.of(request)
    services, account = page.services, page.signed_in
    _prove(request)
    await identities.disconnect(services.database, services.providers.keys(), account, request.match_info["provider"])
    return render.redirect(f"{SETTINGS}?saved=1")


async def come_back(request: web.Request) -> web.Response:
    """GET /oauth/<provider>/callback: the service sends the browser here."""
    page, provider = context.of(request), _provider(request)
    services = page.services
    kept = cookies.attempt_of(request, page.is_secure)
    try:
        person, attempt = await oauth.finish(
            services.keys, services.clock, provider, _redirect_uri(request, provider), request.query, kept
        )
        if attempt.account_id:
            if page.account is None or page.account.id != attempt.account_id:
                raise errors.Forbidden(oauth.GONE)
            await identities.connect(
                services.database, services.clock, services.post, person, page.account, provider.label
            )
            response = render.redirect(attempt.next)
        else:
            may_sign_up = await sign_up.may_sign_up(request, attempt.next)
            account = await identities.enter(
                services.database, services.clock, services.post, person, provider.label, may_sign_up
            )
            response = await entrance.enter(request, account, attempt.next, provider.key)
        await oauth.let_in(services.keys, services.clock, attempt)
    except errors.VemetricError as error:
        if page.account is not None:
            raise
        response = sign_in.login_page(request, sign_in.Form("", "", "on", "/"), error)
    cookies.forget_attempt(response, page.is_secure)
    return response


async def _leave(request: web.Request, next_path: str, account_id: str) -> web.Response:
    page, provider = context.of(request), _provider(request)
    services = page.services
    url, state = await oauth.begin(
        services.keys, services.clock, provider, _redirect_uri(request, provider), next_path, account_id, page.ip
    )
    # Not by a redirect: browsers hold the answer to a form to the policy's form-action, and that is this site.
    response = render.page(
        request, "pages/account/leaving.html", url=url, label=provider.label, sentence="You come back from there."
    )
    cookies.keep_attempt(response, state, page.is_secure)
    return response


def _prove(request: web.Request) -> None:
    page = context.of(request)
    if page.login is None:
        raise errors.Unauthorized
    profile.prove_by_login(page.services.clock, page.login)


def _provider(request: web.Request) -> Provider:
    provider = context.of(request).services.providers.get(request.match_info["provider"])
    if provider is None:
        raise errors.NotFound
    return provider


def _redirect_uri(request: web.Request, provider: Provider) -> str:
    """Made of the settings, never of what a request says of its host."""
    return f"{context.of(request).services.post.url}/oauth/{provider.key}/callback"
