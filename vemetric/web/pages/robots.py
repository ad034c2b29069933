"""GET /robots.txt: nothing here is for search engines but public dashboards, which say for themselves."""

from aiohttp import web

from vemetric.web.context import SERVICES


async def show(request: web.Request) -> web.Response:
    below = request.app[SERVICES].config.base_path
    return web.Response(text=f"User-agent: *\nDisallow: {below}/\nAllow: {below}/public/\nAllow: {below}/static/\n")
