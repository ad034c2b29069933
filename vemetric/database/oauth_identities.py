"""Which account a person of another service signs in to."""

import sqlalchemy
from sqlalchemy import select

from vemetric.database.database import Connection
from vemetric.database.tables import oauth_identity


async def account_of(connection: Connection, provider: str, subject: str) -> str | None:
    """The id of the account that somebody of a service signs in to."""
    found: str | None = await connection.value(
        select(oauth_identity.c.account_id).where(
            oauth_identity.c.provider == provider, oauth_identity.c.subject == subject
        )
    )
    return found


async def of_account(connection: Connection, account_id: str) -> list[str]:
    """The services that the account can sign in with."""
    mine = select(oauth_identity.c.provider).where(oauth_identity.c.account_id == account_id)
    return [row.provider for row in await connection.rows(mine.order_by(oauth_identity.c.provider))]


async def create(connection: Connection, provider: str, subject: str, account_id: str, now_ms: int) -> bool:
    """Connect an account; False if it, or this person, is connected already."""
    values = {"provider": provider, "subject": subject, "account_id": account_id, "created_at_ms": now_ms}
    return await connection.insert_if_absent(oauth_identity, values)


async def delete(connection: Connection, provider: str, account_id: str) -> bool:
    """Disconnect an account; False if it was not connected."""
    mine = (oauth_identity.c.provider == provider, oauth_identity.c.account_id == account_id)
    return await connection.change(sqlalchemy.delete(oauth_identity).where(*mine)) == 1
