"""The site: pages and the files they load. listeners.py runs it and front.py puts the hub's paths before it."""

import asyncio

from aiohttp import web

from vemetric.clickhouse.sizes import Measure
from vemetric.services import Services
from vemetric.stats.usage import Usage
from vemetric.web import base_path, forms, middleware, render, routes, slashes
from vemetric.web.assets import ASSETS, Assets
from vemetric.web.context import SERVICES
from vemetric.web.live import LIVE, Live
from vemetric.web.pages import public, reports
from vemetric.web.pages.admin import system
from vemetric.web.pages.install import CLOSING
from vemetric.web.pages.organization.usage import USAGE
from vemetric.web.showcase import Showcase
from vemetric.web.unfinished import UNFINISHED, Unfinished


def make_app(services: Services) -> web.Application:
    """The application over opened services. It holds nothing that another process would miss."""
    app = web.Application(
        middlewares=(middleware.number, middleware.secure, middleware.explain, slashes.forgive, middleware.recognize),
        client_max_size=forms.BODY_BYTES_MAX,
    )
    app[SERVICES] = services
    app[ASSETS] = Assets()
    app[reports.BUDGET] = reports.Budget(services.clock)
    app[USAGE] = Usage(services.engine, services.clock)
    app[system.MEASURE] = Measure(services.engine, services.clock)
    app[CLOSING] = asyncio.Event()
    app[public.SHOWCASE] = Showcase(services.clock)
    app[LIVE] = Live(services.engine, services.clock)
    app[UNFINISHED] = Unfinished()
    app.on_shutdown.append(_close_streams)
    app.on_response_prepare.append(middleware.keep_begun)
    base_path.send(app, services.config.base_path)
    render.set_up(app)
    routes.add_to(app)
    return app


def make_bare_app() -> web.Application:
    """What a process without pages answers beside its own paths: that there is nothing."""
    return web.Application()


async def _close_streams(app: web.Application) -> None:
    """Pages that watch, and panels nobody waits for, would otherwise hold up the end of the process."""
    app[CLOSING].set()
    await app[UNFINISHED].close()
