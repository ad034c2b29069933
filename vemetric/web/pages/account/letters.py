"""/account/letters: for the operator, what was written to whom and what became of it."""

from datetime import UTC, datetime

from aiohttp import web

from vemetric.web import context, render
from vemetric.web.pages import shell

AREA = "letters"
SHOWN_MAX = 200


async def show(request: web.Request) -> web.Response:
    """The newest letters."""
    context.for_operator(request)
    post = context.of(request).services.post
    return render.page(
        request,
        "pages/account/letters.html",
        letters=await post.latest(SHOWN_MAX),
        is_mail_set_up=post.is_set_up,
        time_of=time_of,
        **await shell.account_settings(request, AREA),
    )


async def show_one(request: web.Request) -> web.Response:
    """GET /account/letters/<letter>: what it says, as long as that is kept."""
    context.for_operator(request)
    letter = await context.of(request).services.post.by_id(request.match_info["letter"])
    return render.page(
        request,
        "pages/account/letter.html",
        letter=letter,
        time_of=time_of,
        **await shell.account_settings(request, AREA),
    )


def time_of(at_ms: int) -> str:
    """A moment as the list shows it."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%-d %b %Y, %H:%M UTC")
