"""How organizations come, change and go. Deleting one is deleting its projects too: see removal.py."""

import msgspec

from vemetric import errors
from vemetric.accounts import fields, projects, verification
from vemetric.clock import Clock
from vemetric.database import organizations as stored
from vemetric.database.database import Connection, Database
from vemetric.model.account import Account
from vemetric.model.organization import Membership, Organization, Role

# How many organizations an account may be the admin of: whoever may sign up may make them.
ADMINISTERED_MAX = 20
EVENTS_MAX = 10**15
FLAGS_MAX = 50
FLAG_LENGTH_MAX = 100


async def create(database: Database, clock: Clock, account: Account, name: str) -> Organization:
    """Make an organization whose admin is the account. Raises Invalid for the name, Conflict when it has too many."""
    typed = fields.clean(name=(fields.name, name))
    organization = projects.new_organization(typed["name"], clock.now_ms())
    async with database.begin() as connection:
        # Nor may the account go meanwhile, which would leave it without an admin.
        await verification.keep_account(connection, account.id)
        if len(await stored.administered_by(connection, account.id)) >= ADMINISTERED_MAX:
            raise errors.Conflict(f"An account can be the admin of {ADMINISTERED_MAX} organizations.")
        await stored.create(connection, organization)
        membership = Membership(account.id, organization.id, Role.ADMIN)
        await stored.add_member(connection, membership, organization.created_at_ms)
    return organization


async def rename(database: Database, organization_id: str, name: str) -> Organization:
    """Give the organization another name. Raises Invalid, NotFound."""
    typed = fields.clean(name=(fields.name, name))
    return await _change(database, organization_id, name=typed["name"])


async def limit_events(database: Database, organization_id: str, typed: str) -> Organization:
    """Warn above so many events a month; '' ends the limit. Raises Invalid, NotFound."""
    cleaned = fields.clean(limit=(_events, typed))
    return await _change(database, organization_id, events_per_month_max=cleaned["limit"])


async def feature_flags(database: Database, organization_id: str) -> list[str]:
    """The features that are switched on for the organization, in order."""
    async with database.connect(may_lag=True) as connection:
        return await stored.feature_flags(connection, organization_id)


async def set_feature_flags(database: Database, organization_id: str, typed: str) -> list[str]:
    """Switch on the features of a comma list, and no others. Raises Invalid, NotFound."""
    names = fields.clean(flags=(_flags, typed))["flags"]
    async with database.begin() as connection:
        if await stored.by_id(connection, organization_id) is None:
            raise errors.NotFound
        await stored.set_feature_flags(connection, organization_id, names)
    return list(names)


async def lock(connection: Connection, organization_id: str) -> None:
    """Keep the organization as it is until the transaction ends: all of it is written, not what changed."""
    await connection.lock(f"organization:{organization_id}")


async def _change(database: Database, organization_id: str, **values: str | int | None) -> Organization:
    async with database.begin() as connection:
        await lock(connection, organization_id)
        organization = await stored.by_id(connection, organization_id)
        if organization is None:
            raise errors.NotFound
        changed = msgspec.structs.replace(organization, **values)
        await stored.update(connection, changed)
    return changed


def _events(text: str) -> int | None:
    cleaned = text.strip().replace(",", "").replace(" ", "")
    if not cleaned:
        return None
    if not cleaned.isascii() or not cleaned.isdigit() or not 0 < int(cleaned) <= EVENTS_MAX:
        raise ValueError("This is not a number of events; leave it empty for no limit.")
    return int(cleaned)


def _flags(text: str) -> list[str]:
    names = sorted({" ".join(name.split()) for name in text.split(",")} - {""})
    if len(names) > FLAGS_MAX or any(len(name) > FLAG_LENGTH_MAX for name in names):
        raise ValueError(f"Use at most {FLAGS_MAX} names of at most {FLAG_LENGTH_MAX} characters.")
    return [fields.name(name) for name in names]
