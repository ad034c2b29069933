"""A slash too many at the end of an address, as people type and proxies add them: who asks is led to the page itself.

Stands before a page is looked for in vain; where a path with its slash is a page of its own, that is what is shown.
"""

from aiohttp import web
from aiohttp.typedefs import Handler

from vemetric import errors

SAFE_METHODS = ("GET", "HEAD")


@web.middleware
async def forgive(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Lead on where there is nothing at the path, and a page at the path without its slashes at the end."""
    is_nothing = isinstance(request.match_info.http_exception, web.HTTPNotFound)
    if is_nothing and request.method in SAFE_METHODS and (path := _without(request)):
        found = await request.app.router.resolve(request.clone(rel_url=request.rel_url.with_path(path, encoded=True)))
        if found.http_exception is None:
            return await lead_on(request)
    return await handler(request)


async def lead_on(request: web.Request) -> web.Response:
    """To the path without its slashes at the end, with the query as it is."""
    path = _without(request)
    if not path:
        raise errors.NotFound
    query = request.rel_url.raw_query_string
    return web.Response(status=308, headers={"Location": f"{path}?{query}" if query else path})


def _without(request: web.Request) -> str:
    """'' where nothing is left, or what is left would lead to another host."""
    raw = request.rel_url.raw_path
    path = raw.rstrip("/")
    return path if path != raw and path[:1] == "/" and path[1:2] not in ("", "/", "\\") else ""
