"""GET /avatars/<name>: a picture of somebody. It comes from here wherever it is kept, so that no page asks others."""

from aiohttp import web

from vemetric.accounts import pictures
from vemetric.web.context import SERVICES

# A new picture has a new name.
CACHE = "private, max-age=31536000, immutable"


async def show(request: web.Request) -> web.Response:
    content_type, content = await pictures.show(request.app[SERVICES].pictures, request.match_info["name"])
    return web.Response(body=content, content_type=content_type, headers={"Cache-Control": CACHE})
