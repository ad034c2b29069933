"""/account/notifications, and /unsubscribe/<token> for those who only have a letter."""

import msgspec
from aiohttp import web

from vemetric import errors
from vemetric.accounts import profile
from vemetric.web import context, forms, render
from vemetric.web.context import SERVICES
from vemetric.web.pages import shell

AREA = "notifications"


class Form(msgspec.Struct, frozen=True):
    """tips: `on` where the box is ticked."""

    tips: str


async def show(request: web.Request) -> web.Response:
    return render.page(
        request,
        "pages/account/notifications.html",
        is_saved="Saved." if "saved" in request.query else "",
        **await shell.account_settings(request, AREA),
    )


async def save(request: web.Request) -> web.Response:
    """POST /account/notifications"""
    page, form = context.of(request), await forms.read(request, Form)
    await profile.receive_tips(page.services.database, page.services.clock, page.signed_in.id, form.tips == "on")
    return render.redirect("/account/notifications?saved=1")


async def ask_to_unsubscribe(request: web.Request) -> web.Response:
    """GET /unsubscribe/<token>: changes nothing, because programs that look through mail open links too."""
    services = context.of(request).services
    services.post.account_to_unsubscribe(request.match_info["token"])
    return render.page(request, "pages/account/unsubscribe.html", is_done="done" in request.query)


async def unsubscribe(request: web.Request) -> web.Response:
    """POST /unsubscribe/<token>: by the page's button, or by a mail program's (RFC 8058).

    The token says that it may be done: a mail program has no page of ours, and so no form token.
    """
    services, token = request.app[SERVICES], request.match_info["token"]
    try:
        account_id = services.post.account_to_unsubscribe(token)
        await profile.receive_tips(services.database, services.clock, account_id, False)
    except errors.NotFound:
        return web.Response(status=404, text="This link is not ours, or its account is gone.")
    return render.redirect(f"/unsubscribe/{token}?done=1")
