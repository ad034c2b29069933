"""Who may see /admin: operators by their login, and whoever knows the name and password of the settings (HTTP basic
auth), on every path of it. Asked by middleware.py.
"""

import base64
import binascii
import hmac

from aiohttp import web

from vemetric import errors
from vemetric.accounts import limits
from vemetric.accounts.limits import Limit
from vemetric.web.context import Context

SAFE_METHODS = ("GET", "HEAD")
# Tries of one address.
PASSWORD = Limit("board", 10, 60)
CHALLENGE = 'Basic realm="Vemetric", charset="UTF-8"'


async def let_in(request: web.Request, context: Context) -> None:
    """Let operators on. For other accounts there is nothing; who is nobody is asked who it is."""
    is_operator = context.account is not None and context.account.is_operator
    if not is_operator and not await _knows_password(request, context):
        if context.account is not None:
            raise errors.NotFound
        if context.services.config.bullboard_username:
            raise web.HTTPUnauthorized(headers={"WWW-Authenticate": CHALLENGE})
        raise errors.Unauthorized
    if request.method not in SAFE_METHODS and context.services.config.admin_read_only:
        raise errors.Forbidden("VEMETRIC_ADMIN_READ_ONLY is set: here everything can be seen and nothing changed.")


async def _knows_password(request: web.Request, context: Context) -> bool:
    """Whether the request bears the name and the password. Wrong ones are counted."""
    config = context.services.config
    sent = request.headers.get("Authorization", "")
    if not config.bullboard_username or not sent.startswith("Basic "):
        return False
    keys, clock = context.services.keys, context.services.clock
    slot = await limits.take_for(keys, clock, PASSWORD, context.ip)
    known = f"{config.bullboard_username}:{config.bullboard_password}".encode()
    if not hmac.compare_digest(_decoded(sent.removeprefix("Basic ")), known):
        return False
    await limits.give_back(keys, slot)
    return True


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
