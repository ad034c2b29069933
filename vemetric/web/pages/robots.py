"""GET /robots.txt: nothing here is for search engines but public dashboards, which say for themselves."""

from aiohttp import web


async def show(request: web.Request) -> web.Response:
    return web.Response(text="User-agent: *\nDisallow: /\nAllow: /public/\nAllow: /static/\n")
