"""Invitations: a link lets one person into an organization, for a week, as a member or an admin.

The token is all there is to it: whoever has the link may use it once, signed in to any account. It ends with its
maker's being an admin: members.py and profile.py delete what they made.
"""

from collections.abc import Sequence
from typing import NamedTuple

from vemetric import errors
from vemetric.accounts import fields, members, verification
from vemetric.clock import Clock
from vemetric.database import invitations as stored
from vemetric.database import organizations as stored_organizations
from vemetric.database.database import Database
from vemetric.model import ids
from vemetric.model.account import Account
from vemetric.model.organization import Invitation, Membership, Organization, Role

# The link is this path below the public address, with the token behind it.
PATH = "/invite"
VALID_DAYS = 7
VALID_MS = VALID_DAYS * 86_400_000
PENDING_MAX = 100

LINK_IS_DEAD = "This invitation does not work any more."
NOT_AN_ADMIN = "Only an admin invites people."


class Invited(NamedTuple):
    """An invitation that works, and where it leads."""

    invitation: Invitation
    organization: Organization


async def create(
    database: Database,
    clock: Clock,
    organization_id: str,
    by: Account,
    role: Role,
    project_ids: Sequence[int] | None = None,
    email: str = "",
) -> Invitation:
    """Make an invitation. project_ids as in members.change; email: whom the link will be mailed to, '' for nobody.

    Raises Invalid per field, Conflict when too many are pending, Forbidden for somebody who is no admin (any more).
    """
    typed = fields.clean(email=(fields.email, email)) if email.strip() else {"email": None}
    now_ms = clock.now_ms()
    async with database.begin() as connection:
        await connection.lock(f"invitations:{organization_id}")
        await members.lock(connection, organization_id)
        if not by.is_operator and await stored_organizations.role_of(connection, organization_id, by.id) != Role.ADMIN:
            raise errors.Forbidden(NOT_AN_ADMIN)
        chosen = await members.allowed_projects(connection, organization_id, role, project_ids)
        await stored.delete_older(connection, organization_id, now_ms - 2 * VALID_MS)
        if len(await stored.of_organization(connection, organization_id)) >= PENDING_MAX:
            raise errors.Conflict(f"There are {PENDING_MAX} invitations already; take some back first.")
        invitation = Invitation(
            token=ids.random_id(ids.TOKEN_LENGTH),
            organization_id=organization_id,
            role=role,
            created_at_ms=now_ms,
            created_by=by.name,
            email=typed["email"],
            project_ids=chosen,
        )
        await stored.create(connection, invitation, by.id)
    return invitation


async def of_organization(database: Database, organization_id: str) -> list[Invitation]:
    """The invitations that were not used, those that ran out lately included, the newest first."""
    async with database.connect() as connection:
        return await stored.of_organization(connection, organization_id)


async def by_token(database: Database, clock: Clock, token: str) -> Invited | None:
    """The invitation of a link; None if it does not work (any more)."""
    async with database.connect() as connection:
        invitation = await stored.by_token(connection, token)
        if invitation is None or has_run_out(invitation, clock):
            return None
        organization = await stored_organizations.by_id(connection, invitation.organization_id)
    return None if organization is None else Invited(invitation, organization)


async def accept(database: Database, clock: Clock, token: str, account: Account) -> Organization:
    """Take the account in; the link is used up. Raises NotFound when it does not work, Conflict for a member.

    NotFound as well for an account that is gone.
    """
    async with database.begin() as connection:
        # An admin who comes and goes at once would leave none.
        await verification.keep_account(connection, account.id)
        await connection.lock(f"invitation:{token}")
        invitation = await stored.by_token(connection, token)
        if invitation is None or has_run_out(invitation, clock):
            raise errors.NotFound(LINK_IS_DEAD)
        # Whoever made it may be removed just now.
        await members.lock(connection, invitation.organization_id)
        organization = await stored_organizations.by_id(connection, invitation.organization_id)
        if organization is None:
            raise errors.NotFound(LINK_IS_DEAD)
        # It may have been taken back since it was read.
        if not await stored.delete(connection, organization.id, token):
            raise errors.NotFound(LINK_IS_DEAD)
        membership = Membership(account.id, organization.id, invitation.role)
        if not await stored_organizations.add_member(connection, membership, clock.now_ms()):
            raise errors.Conflict(f"You are a member of {organization.name} already.")
        await stored_organizations.set_access(connection, organization.id, account.id, invitation.project_ids)
    return organization


async def revoke(database: Database, organization_id: str, token: str) -> bool:
    """Take an invitation of the organization back; False if there is none of that token."""
    async with database.begin() as connection:
        return await stored.delete(connection, organization_id, token)


def has_run_out(invitation: Invitation, clock: Clock) -> bool:
    """Whether the invitation is too old to be used."""
    return clock.now_ms() - invitation.created_at_ms >= VALID_MS
