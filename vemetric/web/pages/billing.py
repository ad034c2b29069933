"""POST /webhooks/paddle: what Paddle tells of subscriptions. Where billing is off there is no such page."""

from aiohttp import web

from vemetric import errors
from vemetric.accounts import billing
from vemetric.web import forms
from vemetric.web.context import SERVICES


async def take(request: web.Request) -> web.Response:
    """Believe a notice that is signed; Paddle sends any other answer than 200 again."""
    services = request.app[SERVICES]
    secret = services.config.paddle_webhook_secret_key
    if not secret:
        return web.Response(status=404, text="There is nothing here.")
    body = await forms.body(request)
    try:
        billing.check(secret, request.headers.get(billing.SIGNATURE_HEADER, ""), body, services.clock)
        await billing.take(services.database, services.post, services.config.paddle_plans, body)
    except (errors.Unauthorized, errors.Invalid) as error:
        return web.Response(status=error.status, text=error.message)
    return web.Response()
