"""/new-address/<token>: the link of the letter to the address that an account shall have from now on."""

from aiohttp import web

from vemetric import errors
from vemetric.accounts import verification
from vemetric.model.verification import Purpose
from vemetric.web import context, render

WORDS = {
    "title": "Use this address",
    "sentence": "Your account gets the address that the letter came to.",
    "button": "Use it",
    "next_step": "Ask for the change once more in your account's settings.",
}


async def show(request: web.Request) -> web.Response:
    """Ask for a click, because programs that look through mail open links too."""
    services, token = context.of(request).services, request.match_info["token"]
    is_open = await verification.is_open(services.database, services.clock, Purpose.NEW_ADDRESS, token)
    return render.page(request, "pages/account/link.html", status=200 if is_open else 404, is_open=is_open, **WORDS)


async def take(request: web.Request) -> web.Response:
    """Change it."""
    services = context.of(request).services
    try:
        await verification.take_new_address(
            services.database, services.clock, services.post, request.match_info["token"]
        )
    except (errors.NotFound, errors.Conflict):
        return await show(request)
    return render.redirect("/account/sign-in?saved=1")
