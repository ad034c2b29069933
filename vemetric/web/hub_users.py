"""The hub's paths that speak of users: /i says who a visitor is, /u what is known of a user, /r forgets the visitor."""

import msgspec

from vemetric.ingest import hit as hits
from vemetric.ingest.refuse import Refusal
from vemetric.model import ids
from vemetric.services import Services
from vemetric.web.ask import Answer
from vemetric.web.hub_answers import Asked, Refused, answer, bad_body
from vemetric.web.hub_cookies import Cookies


class UserPaths:
    """The handlers of these paths; each is given a request that the first checks have let through."""

    def __init__(self, services: Services, cookies: Cookies) -> None:
        self._services = services
        self._cookies = cookies

    async def identify(self, asked: Asked) -> Answer:
        """POST /i: the visitor is known by an identifier from now on. 202: will be, another process is at it."""
        try:
            hit = hits.decode_identify(asked.ask.body)
        except (hits.Malformed, msgspec.ValidationError):
            raise bad_body(asked) from None
        identified = await self._services.users.identify(hit, asked.project, asked.sender(), asked.place)
        headers = asked.ask.headers
        if identified.is_running:
            return answer(headers, 202, "Identification is running")
        if identified.new_cookie_user_id is None:
            return answer(headers, 200)
        return answer(headers, 200, cookie=self._cookies.set(asked.ask, identified.new_cookie_user_id))

    async def update(self, asked: Asked) -> Answer:
        """POST /u: something is said of a user."""
        try:
            hit = hits.decode_update(asked.ask.body)
        except (hits.Malformed, msgspec.ValidationError):
            raise bad_body(asked) from None
        if not await self._services.users.update(hit, asked.project, asked.sender()):
            raise Refused(Refusal.NO_USER, 400, "No user found", asked.project.id)
        return answer(asked.ask.headers, 200)

    async def reset(self, asked: Asked) -> Answer:
        """POST /r: who comes next is nobody yet, with a cookie of a new user, or without one."""
        ask, sender = asked.ask, asked.sender()
        is_allowed = sender.allow_cookies
        if not is_allowed:
            await self._services.users.reset(asked.project, sender)
        cookie = self._cookies.set(ask, ids.new_user_id()) if is_allowed else self._cookies.delete(ask)
        return answer(ask.headers, 200, cookie=cookie)
