"""GET /robots.txt: nothing here is for search engines."""

from aiohttp import web


async def show(request: web.Request) -> web.Response:
    return web.Response(text="User-agent: *\nDisallow: /\n")
