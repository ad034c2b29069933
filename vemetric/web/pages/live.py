"""GET /p/<project>/live: server-sent events; `change` with the number of users online whenever something happened,
`blind` when this cannot be seen for now.
"""

import asyncio

from aiohttp import web

from vemetric.web import context, headers
from vemetric.web.live import LIVE, Watched
from vemetric.web.pages.install import CLOSING

# A stream ends after so long; browsers open it again, and are recognized anew.
STREAM_SECONDS_MAX = 600
# A line now and then keeps proxies from closing it, and finds out that a browser is gone.
SILENCE_SECONDS_MAX = 15


async def watch(request: web.Request) -> web.StreamResponse:
    """The stream, until the page closes it, the process ends, or it is old."""
    project, page = await context.project_of(request), context.of(request)
    response = web.StreamResponse(
        headers={**headers.SECURITY, **headers.NO_STORE, "Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
    )
    async with request.app[LIVE].watch(project.id, page.signed_in.id, page.ip) as watched:
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        told = 0
        closing = asyncio.create_task(request.app[CLOSING].wait())
        try:
            async with asyncio.timeout(STREAM_SECONDS_MAX):
                while not closing.done():
                    if watched.changes != told:
                        told = watched.changes
                        await response.write(_said(watched))
                    else:
                        await response.write(b": nothing new\n\n")
                    await _moved(watched.moved, closing)
            await response.write_eof()
        except (ConnectionResetError, TimeoutError):
            pass
        finally:
            closing.cancel()
    return response


def _said(watched: Watched) -> bytes:
    if watched.is_blind or watched.pulse is None:
        return b"event: blind\ndata: \n\n"
    return f"event: change\ndata: {watched.pulse.users}\n\n".encode()


async def _moved(moved: asyncio.Condition, closing: "asyncio.Task[bool]") -> None:
    """Wait until something changed, the process ends, or it has been silent for long."""

    async def change() -> None:
        async with moved:
            await moved.wait()

    waiting = asyncio.create_task(change())
    await asyncio.wait([waiting, closing], timeout=SILENCE_SECONDS_MAX, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
