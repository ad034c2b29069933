"""What is answered before the router: the hub's paths, the questions of machines, and what the operator has alone."""

from aiohttp import web

from vemetric.web import metrics
from vemetric.web.health import PATHS as health_paths
from vemetric.web.health import Health
from vemetric.web.hub import PATHS, Hub


class OperatorsPort:
    """The listener that the operator has alone, if one is asked for; its port once it listens."""

    def __init__(self, *, asked_for: bool = False) -> None:
        self.asked_for = asked_for
        self.port = 0

    def has(self, request: web.BaseRequest) -> bool:
        """Whether the request came by it."""
        name = None if request.transport is None else request.transport.get_extra_info("sockname")
        return self.asked_for and isinstance(name, tuple) and name[1] == self.port

    def hides(self, request: web.BaseRequest) -> bool:
        """Whether the request asks elsewhere for what is answered there alone."""
        return self.asked_for and is_operators(request.path) and not self.has(request)


def is_operators(path: str) -> bool:
    """Whether a path is one of the operator's."""
    return path in (metrics.PATH, "/admin") or path.startswith("/admin/")


def put_first(pages: web.AppRunner, hub: Hub | None, health: Health, operators: OperatorsPort | None = None) -> None:
    """Answer the hub's exact paths before routing and middlewares: they are nearly all requests there are. Then those
    by which machines look whether this process lives.
    """
    server = server_of(pages)
    rest, operators = server.request_handler, operators or OperatorsPort()

    async def dispatch(request: web.BaseRequest) -> web.StreamResponse:
        if hub is not None and request.path in PATHS:
            return await hub.handle(request)
        if operators.hides(request):
            return web.Response(status=404)
        if request.path in health_paths:
            return await health.handle(request, is_private=operators.has(request))
        if not request.headers.get("Expect", "").isascii():
            # The router would quote it in its refusal, which then cannot be written.
            return web.Response(status=417)
        return await rest(request)

    server.request_handler = dispatch


def server_of(runner: web.BaseRunner) -> web.Server:
    """What answers the connections of a runner that was set up."""
    if runner.server is None:
        raise RuntimeError("the runner is not set up")
    return runner.server
