"""The end of a process whose sockets somebody else keeps open: nobody who asks meanwhile is refused or cut off.

New connections wait for the next process. Those that this one has are told with their next answer to come again by a
new one; only who says nothing for a while is closed without having been told.
"""

import asyncio
from collections.abc import Sequence

from aiohttp import web

# How long a connection that is kept open may take to ask once more. A busy client does so many times a second.
LINGER_SECONDS = 1.5
LOOK_SECONDS = 0.02


class Leaving:
    """Whether the process is about to go; what answers requests asks it, and tells the client."""

    def __init__(self) -> None:
        self.has_begun = False

    def watch(self, server: web.Server) -> None:
        """Have every answer of the library end its connection once the end has begun."""
        inner = server.request_handler

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            answer = await inner(request)
            if self.has_begun:
                answer.force_close()
            return answer

        server.request_handler = handle

    async def leave(self, runners: Sequence[web.BaseRunner]) -> None:
        """Stop listening and let those who are connected come to an end, as long as they may take."""
        self.has_begun = True
        for runner in runners:
            for site in list(runner.sites):
                await site.stop()
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + LINGER_SECONDS
        # The library tells nobody when a connection has ended.
        while any(_connections(runner) for runner in runners) and loop.time() < give_up_at:  # noqa: ASYNC110
            await asyncio.sleep(LOOK_SECONDS)


def _connections(runner: web.BaseRunner) -> int:
    return 0 if runner.server is None else len(runner.server.connections)
