"""Who is in an organization and what they may do there. An organization is never left without an admin."""

from collections.abc import Sequence

from vemetric import errors
from vemetric.database import invitations as stored_invitations
from vemetric.database import organizations as stored
from vemetric.database import projects as stored_projects
from vemetric.database.database import Connection, Database
from vemetric.model.organization import Member, Organization, Role

LAST_ADMIN = "An organization needs an admin: make somebody else one first."


async def of_organization(database: Database, organization_id: str) -> list[Member]:
    """The members, who came first first."""
    async with database.connect(may_lag=True) as connection:
        return await stored.members(connection, organization_id)


async def change(
    database: Database, organization_id: str, account_id: str, role: Role, project_ids: Sequence[int] | None
) -> None:
    """Set a member's role, and the only projects it may see; None: all of them, as an admin always does.

    Invitations that somebody made who is no admin any more end.
    Raises NotFound, Conflict for the last admin, Invalid for no project or one that is not the organization's.
    """
    async with database.begin() as connection:
        await lock(connection, organization_id)
        await _keep_an_admin(connection, organization_id, account_id, role)
        if not await stored.set_role(connection, organization_id, account_id, role):
            raise errors.NotFound
        if role is not Role.ADMIN:
            await stored_invitations.delete_of_maker(connection, account_id, organization_id)
        chosen = await allowed_projects(connection, organization_id, role, project_ids)
        await stored.set_access(connection, organization_id, account_id, chosen)


async def remove(database: Database, organization_id: str, account_id: str) -> None:
    """Let a member out, by an admin's word or its own; what it made of invitations ends.

    Raises NotFound, Conflict for the last admin.
    """
    async with database.begin() as connection:
        await lock(connection, organization_id)
        await _keep_an_admin(connection, organization_id, account_id, None)
        if not await stored.remove_member(connection, organization_id, account_id):
            raise errors.NotFound
        await stored_invitations.delete_of_maker(connection, account_id, organization_id)


async def only_admin_of(connection: Connection, account_id: str) -> list[Organization]:
    """The organizations that would be without an admin if the account were gone. Their members stay as they are until
    the transaction ends.
    """
    found = await stored.administered_by(connection, account_id)
    for organization_id in sorted(one.id for one in found):
        await lock(connection, organization_id)
    return [one for one in found if await stored.admins(connection, one.id) == [account_id]]


async def allowed_projects(
    connection: Connection, organization_id: str, role: Role, project_ids: Sequence[int] | None
) -> tuple[int, ...] | None:
    """What is stored of a choice of projects: None where all may be seen. Raises Invalid."""
    if role is Role.ADMIN or project_ids is None:
        return None
    theirs = {project.id for project in await stored_projects.of_organization(connection, organization_id)}
    chosen = tuple(sorted(set(project_ids)))
    if not chosen or not theirs.issuperset(chosen):
        raise errors.Invalid(None, {"projects": "Choose at least one project of the organization."})
    return chosen


async def lock(connection: Connection, organization_id: str) -> None:
    """Keep the organization's members as they are until the transaction ends."""
    await connection.lock(f"members:{organization_id}")


async def _keep_an_admin(connection: Connection, organization_id: str, account_id: str, role: Role | None) -> None:
    if role is not Role.ADMIN and await stored.admins(connection, organization_id) == [account_id]:
        raise errors.Conflict(LAST_ADMIN)
