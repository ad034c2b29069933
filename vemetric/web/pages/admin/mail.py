"""/admin/mail: the letters that were written and what became of them. What they say is for operators' own accounts: it
may hold a link that lets somebody in.
"""

from aiohttp import web

from vemetric import errors
from vemetric.web import context
from vemetric.web.context import Context
from vemetric.web.pages.admin import frame

SHOWN_MAX = 200


async def show(request: web.Request) -> web.Response:
    """The newest letters."""
    page = context.of(request)
    post = page.services.post
    letters = await post.latest(SHOWN_MAX)
    return frame.page(request, "mail", "mail", letters=letters, is_mail_set_up=post.is_set_up, may_read=_may_read(page))


async def show_one(request: web.Request) -> web.Response:
    """GET /admin/mail/<letter>."""
    page = context.of(request)
    if not _may_read(page):
        raise errors.Forbidden("What letters say is shown to operators who are signed in.")
    letter = await page.services.post.by_id(request.match_info["letter"])
    return frame.page(request, "letter", "mail", letter=letter)


def _may_read(page: Context) -> bool:
    """Whoever is here by the password alone may be signed in too, to an account that is no operator's."""
    return page.account is not None and page.account.is_operator
