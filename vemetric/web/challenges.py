"""The port for challenges: what an ACME service looks for, and for everybody else the way to https."""

from collections.abc import Mapping

from aiohttp import web

PREFIX = "/.well-known/acme-challenge/"


class Challenges:
    """Answers by token while an order is open. origin: scheme, host and port to send others to."""

    def __init__(self, answers: Mapping[str, str], origin: str) -> None:
        self._answers = answers
        self._origin = origin

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """GET of a challenge, or anything else. Where others are sent is never what a request says of its host."""
        if request.path.startswith(PREFIX):
            answer = self._answers.get(request.path.removeprefix(PREFIX))
            return web.Response(status=404) if answer is None else web.Response(text=answer)
        if request.method not in ("GET", "HEAD"):
            # What was sent in the clear is lost already; its sender shall see that.
            return web.Response(status=403, text="https only\n")
        return web.Response(status=308, headers={"Location": self._origin + str(request.rel_url)})
