"""Whose hit it is: cookie, identifier given by a server or a page, or the salted hash of address and browser."""

import re
from collections.abc import Mapping

import msgspec

from vemetric.ingest import live_session
from vemetric.ingest.identities import Identities
from vemetric.ingest.live_session import LiveSession, LiveSessions
from vemetric.ingest.salts import Salts
from vemetric.model import ids

COOKIE_NAME = "_vuid"
USER_ID_MAX = 2**64 - 1
COOKIE_PATTERN = re.compile(r"(?:^|;)[ \t]*_vuid[ \t]*=[ \t]*\"?([1-9][0-9]{0,19})\"?[ \t]*(?=;|$)")


class Sender(msgspec.Struct, frozen=True):
    """What a request says about its user. ip: '' when unknown. user_identifier: set on the backend path only."""

    project_id: int
    ip: str
    user_agent: str | None
    cookie_user_id: int | None
    user_identifier: str | None
    identifier: str | None
    allow_cookies: bool


class Who(msgspec.Struct, frozen=True):
    """The user. key: of the live session; session: the live one, if there is any; is_new_cookie: send the id back."""

    user_id: int
    key: str
    session: LiveSession | None
    is_new_cookie: bool = False


def cookie_user_id(headers: Mapping[str, str]) -> int | None:
    """The user id in the cookie; anything but a decimal number of 64 bits is no cookie (defect 19)."""
    cookies = headers.get("Cookie")
    if cookies is None:
        return None
    found = COOKIE_PATTERN.search(cookies)
    if found is None:
        return None
    user_id = int(found.group(1))
    return user_id if user_id <= USER_ID_MAX else None


class Resolver:
    """Finds the user of a request."""

    def __init__(self, salts: Salts, sessions: LiveSessions, identities: Identities) -> None:
        self._salts = salts
        self._sessions = sessions
        self._identities = identities

    async def resolve(self, sender: Sender, now_ms: int, *, may_create: bool) -> Who | None:
        """The user of a request; None when cookies are allowed, there is none, and none may be made (/l)."""
        known = sender.cookie_user_id
        if known is None and sender.user_identifier is not None:
            known = await self._identities.of_backend(sender.project_id, sender.user_identifier, now_ms)
        if known is None and sender.identifier:
            known = await self._identities.by_identifier(sender.project_id, sender.identifier)
        if known is not None:
            return await self._known(sender.project_id, known, now_ms)
        if sender.allow_cookies:
            if not may_create:
                return None
            user_id = ids.new_user_id()
            return Who(user_id, live_session.key(sender.project_id, user_id), None, is_new_cookie=True)
        if not sender.user_agent:
            user_id = ids.new_user_id()
            return Who(user_id, live_session.key(sender.project_id, user_id), None)
        return await self._by_fingerprint(sender, sender.user_agent, now_ms)

    async def _known(self, project_id: int, user_id: int, now_ms: int) -> Who:
        key = live_session.key(project_id, user_id)
        return Who(user_id, key, await self._sessions.find(key, now_ms))

    async def _by_fingerprint(self, sender: Sender, user_agent: str, now_ms: int) -> Who:
        """Yesterday's id as long as its visit goes on, so that midnight splits nobody; else today's."""
        pair = self._salts.pair
        if pair.previous is not None:
            user_id = ids.fingerprint_user_id(sender.project_id, sender.ip, user_agent, pair.previous)
            who = await self._known(sender.project_id, user_id, now_ms)
            if who.session is not None:
                return who
        user_id = ids.fingerprint_user_id(sender.project_id, sender.ip, user_agent, pair.current)
        return await self._known(sender.project_id, user_id, now_ms)
