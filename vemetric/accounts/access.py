"""Who may see and change what. Every page asks here; what somebody may not see does not exist for them."""

from vemetric.database import organizations as stored_organizations
from vemetric.database import projects as stored_projects
from vemetric.database.database import Database
from vemetric.model.account import Account
from vemetric.model.organization import Organization, Role
from vemetric.model.project import Project


async def projects_of(database: Database, account: Account) -> list[Project]:
    """The projects the account may see, the oldest first: the operator all, others by their memberships."""
    async with database.connect(may_lag=True) as connection:
        if account.is_operator:
            return await stored_projects.everything(connection)
        return await stored_projects.of_account(connection, account.id)


async def project_for(database: Database, account: Account, project_id: int) -> Project | None:
    """The project, if the account may see it; None alike for one that does not exist."""
    async with database.connect() as connection:
        project = await stored_projects.by_id(connection, project_id)
        if project is None or account.is_operator:
            return project
        return project if await stored_projects.is_visible(connection, project_id, account.id) else None


async def organizations_of(database: Database, account: Account) -> list[Organization]:
    """The organizations the account may see, the oldest first."""
    async with database.connect() as connection:
        if account.is_operator:
            return await stored_organizations.everything(connection)
        return await stored_organizations.of_account(connection, account.id)


async def role_in(database: Database, account: Account, organization_id: str) -> Role | None:
    """What the account may do in the organization: Role.ADMIN may change things; None: it does not exist for it."""
    async with database.connect() as connection:
        if not account.is_operator:
            return await stored_organizations.role_of(connection, organization_id, account.id)
        exists = await stored_organizations.by_id(connection, organization_id) is not None
        return Role.ADMIN if exists else None
