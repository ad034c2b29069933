"""Whose hit it is: cookie, identifier given by a server or a page, or the salted hash of address and browser."""

import re
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from vemetric.ingest import live_session
from vemetric.ingest.identities import Identities
from vemetric.ingest.live_session import UNREAD, LiveSession, LiveSessions, Unread
from vemetric.ingest.resets import Resets
from vemetric.ingest.salts import Salts
from vemetric.model import ids

COOKIE_NAME = "_vuid"
USER_ID_MAX = 2**64 - 1
COOKIE_PATTERN = re.compile(r"(?:^|;)[ \t]*_vuid[ \t]*=[ \t]*\"?([1-9][0-9]{0,19})\"?[ \t]*(?=;|$)")


class Sender(msgspec.Struct, frozen=True, gc=False):
    """What a request says about its user. ip: '' when unknown. user_identifier: set on the backend path only."""

    project_id: int
    ip: str
    user_agent: str | None
    cookie_user_id: int | None
    user_identifier: str | None
    identifier: str | None
    allow_cookies: bool


class Who(msgspec.Struct, frozen=True, gc=False):
    """The user. key: of the live session; session: the live one, if there is any; is_new_cookie: send the id back."""

    user_id: int
    key: str
    session: LiveSession | None
    is_new_cookie: bool = False


def cookie_user_id(headers: Mapping[str, str]) -> int | None:
    """The user id in the cookie; anything but a decimal number of 64 bits is no cookie."""
    cookies = headers.get("cookie")
    if cookies is None:
        return None
    found = COOKIE_PATTERN.search(cookies)
    if found is None:
        return None
    user_id = int(found.group(1))
    return user_id if user_id <= USER_ID_MAX else None


class Resolver:
    """Finds the user of a request."""

    def __init__(self, salts: Salts, sessions: LiveSessions, identities: Identities, resets: Resets) -> None:
        self._salts = salts
        self._sessions = sessions
        self._identities = identities
        self._resets = resets

    async def resolve(self, sender: Sender, now_ms: int, *, may_create: bool) -> Who | None:
        """The user of a request; None when cookies are allowed, there is none, and none may be made (/l)."""
        known = sender.cookie_user_id
        if known is None and sender.user_identifier is not None:
            known = await self._identities.of_backend(sender.project_id, sender.user_identifier, now_ms)
        if known is None and sender.identifier:
            known = await self._identities.by_identifier(sender.project_id, sender.identifier)
        if known is None and sender.allow_cookies:
            return self._by_new_cookie(sender.project_id) if may_create else None
        standing = None
        if known is None and self._resets.must_read:
            standing = await self._resets.read(sender.project_id, self.fingerprints(sender))
        who = None
        for user_id in self._users(sender, known, standing):
            name = live_session.key(sender.project_id, user_id)
            who = Who(user_id, name, await self._sessions.find(name, now_ms))
            if who.session is not None:
                break
        return who

    def at_once(self, sender: Sender, now_ms: int, *, may_create: bool) -> Who | Literal[Unread.UNREAD] | None:
        """As `resolve`, without reading anything; UNREAD when that cannot be."""
        known = sender.cookie_user_id
        identifier = sender.identifier if sender.user_identifier is None else sender.user_identifier
        if known is None and (identifier or sender.user_identifier is not None):
            known = self._identities.at_once(sender.project_id, identifier or "")
            if known is None:
                return UNREAD
        if known is None and sender.allow_cookies:
            return self._by_new_cookie(sender.project_id) if may_create else None
        standing = None
        if known is None and self._resets.must_read:
            visitors = self.fingerprints(sender)
            standing = self._resets.known(sender.project_id, visitors)
            if len(standing) < len(visitors):
                return UNREAD
        who = None
        for user_id in self._users(sender, known, standing):
            name = live_session.key(sender.project_id, user_id)
            found = self._sessions.known(name, now_ms)
            if found is UNREAD:
                return UNREAD
            who = Who(user_id, name, found)
            if found is not None:
                break
        return who

    def fingerprints(self, sender: Sender) -> list[int]:
        """The ids that address and browser make with the secrets in force, yesterday's first; none without browser."""
        if not sender.user_agent:
            return []
        project_id, ip, user_agent, pair = sender.project_id, sender.ip, sender.user_agent, self._salts.pair
        today = ids.fingerprint_user_id(project_id, ip, user_agent, pair.current)
        if pair.previous is None:
            return [today]
        return [ids.fingerprint_user_id(project_id, ip, user_agent, pair.previous), today]

    def _by_new_cookie(self, project_id: int) -> Who:
        user_id = ids.new_user_id()
        return Who(user_id, live_session.key(project_id, user_id), None, is_new_cookie=True)

    def _users(self, sender: Sender, known: int | None, standing: Mapping[int, int] | None) -> Sequence[int]:
        """Who it may be: the first with a live session, or the last. standing: as Resets.read, where others reset too.

        Of an address and browser yesterday's id as long as its visit goes on, so that midnight splits nobody; else
        today's. Without a browser nobody can be told from anybody: a new user.
        """
        if known is not None:
            return (known,)
        visitors = self.fingerprints(sender)
        if not visitors:
            return (ids.new_user_id(),)
        if standing is None:
            standing = self._resets.known(sender.project_id, visitors)
        # Else not what is believed by now: that may be nothing any more, and the salts may have changed meanwhile.
        return [standing.get(visitor_id, visitor_id) for visitor_id in visitors] if standing else visitors
