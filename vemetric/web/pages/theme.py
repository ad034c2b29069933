"""POST /theme: light, dark or as the system has it. The choice is a cookie, so that no page flashes."""

import msgspec
from aiohttp import web

from vemetric.web import cookies, forms, render
from vemetric.web.context import THEMES


class Form(msgspec.Struct, frozen=True):
    """theme: `light`, `dark`, anything else for the system's. next: the page to come back to."""

    theme: str
    next: str


async def choose(request: web.Request) -> web.Response:
    form = await forms.read(request, Form)
    response = render.redirect(forms.local_path(form.next))
    cookies.keep_theme(response, form.theme if form.theme in THEMES else "")
    return response
