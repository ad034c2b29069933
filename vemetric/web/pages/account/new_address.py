"""/new-address/<token>: the link of the letter to the address that an account shall have from now on.

It works for a login of that account alone: whoever gets hold of the letter cannot take the account along.
"""

from aiohttp import web

from vemetric import errors
from vemetric.accounts import verification
from vemetric.web import context, render

WORDS = {
    "title": "Use this address",
    "button": "Use it",
    "next_step": "It works for the account that asked for it alone: sign in to that one, or ask once more in its "
    "settings.",
    "back": "/account/sign-in",
    "back_label": "How you sign in",
}


async def show(request: web.Request) -> web.Response:
    """Ask for a click, because programs that look through mail open links too."""
    page, token = context.of(request), request.match_info["token"]
    services, account = page.services, page.signed_in
    email = await verification.new_address_of(services.database, services.clock, account.id, token)
    return render.page(
        request,
        "pages/account/link.html",
        status=200 if email else 404,
        is_open=email is not None,
        sentence=f"Your account {account.email} gets the address {email}.",
        **WORDS,
    )


async def take(request: web.Request) -> web.Response:
    """Change it."""
    page = context.of(request)
    services = page.services
    try:
        await verification.take_new_address(
            services.database, services.clock, services.post, page.signed_in.id, request.match_info["token"]
        )
    except (errors.NotFound, errors.Conflict):
        return await show(request)
    return render.redirect("/account/sign-in?saved=1")
