"""Who may see a public dashboard: everybody, who has a secret link, who knows a password. Called by its pages.

A link is made of a random salt by the server's secret, so what is stored opens nothing. Whoever gave the password has
a ticket, which holds until it runs out or the password is another.
"""

import base64
import hmac

import msgspec

from vemetric import errors
from vemetric.accounts import fields, limits, passwords
from vemetric.accounts.limits import Limit
from vemetric.clock import Clock
from vemetric.database import public_access as stored
from vemetric.database.database import Database
from vemetric.model import ids
from vemetric.model.project import Project
from vemetric.model.public_access import PublicAccess
from vemetric.queues.keys import Keys

SALT_CHARACTERS = 16
LINK_BYTES = 18
TICKET_DAYS = 7
DAY_MS = 86_400_000
# Wrong passwords: from one address, and for one dashboard from anywhere.
TRIES = Limit("public-password", 10, 60)
TRIES_FOR_PROJECT = Limit("public-password-of", 100, 60)


async def of_project(database: Database, project_id: int) -> PublicAccess:
    """What a project's public dashboard asks of those who look."""
    async with database.connect() as connection:
        return await stored.of_project(connection, project_id)


async def change(
    database: Database, project_id: int, *, needs_link: bool, needs_password: bool, password: str = ""
) -> PublicAccess:
    """Say what it asks. password: a new one; '' keeps the one there is. Raises Invalid for the password."""
    if needs_password and password:
        fields.clean(password=(passwords.allowed, password))
    new_hash = await passwords.hashed(password) if needs_password and password else ""
    async with database.begin() as connection:
        await connection.lock(f"public-access:{project_id}")
        known = await stored.of_project(connection, project_id)
        if needs_password and not new_hash and not known.password_hash:
            raise errors.Invalid(None, {"password": "Type the password that people shall be asked for."})
        access = PublicAccess(
            (known.link_salt or _salt()) if needs_link else "",
            (new_hash or known.password_hash) if needs_password else "",
        )
        await stored.put(connection, project_id, access)
    return access


async def renew_link(database: Database, project_id: int) -> PublicAccess:
    """Give the dashboard another secret link, if it has one; the old one opens nothing from now on."""
    async with database.begin() as connection:
        await connection.lock(f"public-access:{project_id}")
        known = await stored.of_project(connection, project_id)
        access = msgspec.structs.replace(known, link_salt=_salt() if known.link_salt else "")
        await stored.put(connection, project_id, access)
    return access


def link_token(secret: bytes, project_id: int, access: PublicAccess) -> str:
    """What stands in the secret link, '' for a dashboard without one."""
    if not access.link_salt:
        return ""
    made = hmac.digest(secret, f"public-link:{project_id}:{access.link_salt}".encode(), "sha256")
    return base64.urlsafe_b64encode(made[:LINK_BYTES]).decode()


def path_of(secret: bytes, project: Project, access: PublicAccess) -> str:
    """Where a project's public dashboard is."""
    token = link_token(secret, project.id, access)
    return f"/public/{project.domain}" + (f"/{token}" if token else "")


def opens(secret: bytes, project_id: int, access: PublicAccess, token: str) -> bool:
    """Whether a link with this token, '' for the plain address, leads to the dashboard."""
    return hmac.compare_digest(link_token(secret, project_id, access).encode(), token.encode("utf-8", "replace"))


async def ticket_for(
    keys: Keys, clock: Clock, secret: bytes, project_id: int, access: PublicAccess, password: str, ip: str
) -> str:
    """A ticket for who knows the password. Raises Invalid for a wrong one, TooManyRequests after too many."""
    slots = [
        await limits.take_for(keys, clock, TRIES, ip),
        await limits.take_for(keys, clock, TRIES_FOR_PROJECT, str(project_id)),
    ]
    if not await passwords.verify(password, access.password_hash or None):
        raise errors.Invalid(None, {"password": "This is not the password."})
    for slot in slots:
        await limits.give_back(keys, slot)
    expires_ms = clock.now_ms() + TICKET_DAYS * DAY_MS
    return f"{expires_ms}.{_signed(secret, project_id, access, expires_ms)}"


def admits(secret: bytes, project_id: int, access: PublicAccess, ticket: str, now_ms: int) -> bool:
    """Whether a ticket lets its bearer see the dashboard; any does where no password is asked for."""
    if not access.password_hash:
        return True
    expires, _, signature = ticket.partition(".")
    if not (expires.isascii() and expires.isdigit() and len(expires) <= len(str(1 << 62))) or int(expires) <= now_ms:
        return False
    expected = _signed(secret, project_id, access, int(expires))
    return hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace"))


def _signed(secret: bytes, project_id: int, access: PublicAccess, expires_ms: int) -> str:
    said = f"public-ticket:{project_id}:{access.password_hash}:{expires_ms}"
    return hmac.digest(secret, said.encode(), "sha256").hex()


def _salt() -> str:
    return ids.random_id(SALT_CHARACTERS)
