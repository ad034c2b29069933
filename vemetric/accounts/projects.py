"""How organizations and projects come to be. Used by signup.py, the pages and the command line."""

from vemetric import errors
from vemetric.accounts import fields
from vemetric.clock import Clock
from vemetric.database import accounts as stored_accounts
from vemetric.database import organizations as stored_organizations
from vemetric.database import projects as stored_projects
from vemetric.database.database import Connection, Database
from vemetric.model import ids
from vemetric.model.organization import Membership, Organization, Role
from vemetric.model.project import Project

ORGANIZATION_ID_LENGTH = 16
# What the organization is called that the command line makes when there is none.
FIRST_ORGANIZATION_NAME = "My organization"
DOMAIN_LOCK = "project-domain"
# Of one organization: each is a card on its overview, and has a cache of its own at the hub.
PROJECTS_MAX = 500


async def create(
    database: Database, clock: Clock, organization_id: str, name: str, domain: str, time_zone: str = "UTC"
) -> Project:
    """Make a project in the organization.

    Raises Invalid per field, NotFound, Conflict when the domain is taken or there are too many.
    """
    typed = _clean(name, domain, time_zone)
    async with database.begin() as connection:
        if await stored_organizations.by_id(connection, organization_id) is None:
            raise errors.NotFound(f"There is no organization {organization_id}.")
        return await store(connection, new_project(organization_id, now_ms=clock.now_ms(), **typed))


async def create_by_operator(
    database: Database,
    clock: Clock,
    name: str,
    domain: str,
    time_zone: str = "UTC",
    organization: str | None = None,
) -> Project:
    """Make a project at the word of who runs the machine.

    organization: the id or the name of one; without it the only one there is, made if there is none, the operators
    being its admins. Raises Invalid, NotFound, and Conflict when the domain is taken.
    """
    typed = _clean(name, domain, time_zone)
    now_ms = clock.now_ms()
    async with database.begin() as connection:
        organization_id = await _organization_meant(connection, organization, now_ms)
        return await store(connection, new_project(organization_id, now_ms=now_ms, **typed))


async def everything(database: Database) -> list[Project]:
    """All projects, the oldest first."""
    async with database.connect() as connection:
        return await stored_projects.everything(connection)


async def by_domain(database: Database, text: str) -> Project:
    """The project of a domain, however it is written. Raises Invalid, NotFound."""
    typed = fields.clean(domain=(fields.domain, text))
    async with database.connect() as connection:
        project = await stored_projects.by_domain(connection, typed["domain"])
    if project is None:
        raise errors.NotFound(f"There is no project for {typed['domain']}.")
    return project


def new_project(organization_id: str, name: str, domain: str, time_zone: str, now_ms: int) -> Project:
    """A project with an id and a token of its own, not stored yet."""
    return Project(
        id=ids.new_project_id(),
        organization_id=organization_id,
        name=name,
        domain=domain,
        token=ids.random_id(ids.TOKEN_LENGTH),
        time_zone=time_zone,
        created_at_ms=now_ms,
    )


def new_organization(name: str, now_ms: int) -> Organization:
    """An organization with an id of its own, not stored yet."""
    return Organization(ids.random_id(ORGANIZATION_ID_LENGTH), name, now_ms)


def _clean(name: str, domain: str, time_zone: str) -> dict[str, str]:
    return fields.clean(
        name=(fields.name, name), domain=(fields.domain, domain), time_zone=(fields.time_zone, time_zone)
    )


async def store(connection: Connection, project: Project) -> Project:
    """Keep a new project. Raises Conflict, saying so, when its domain is taken or its organization has too many."""
    # The look-up is for the sentence; of two that race past it, the unique column lets one through.
    taken = f"There is a project for {project.domain} already."
    await connection.lock(DOMAIN_LOCK)
    if await stored_projects.by_domain(connection, project.domain) is not None:
        raise errors.Conflict(taken)
    if len(await stored_projects.of_organization(connection, project.organization_id)) >= PROJECTS_MAX:
        raise errors.Conflict(f"An organization can have {PROJECTS_MAX} projects.")
    await stored_projects.create(connection, project)
    return project


async def _organization_meant(connection: Connection, wanted: str | None, now_ms: int) -> str:
    organizations = await stored_organizations.everything(connection)
    if wanted is not None:
        found = [one for one in organizations if wanted in (one.id, one.name)]
        if not found:
            raise errors.NotFound(f"There is no organization {wanted}.")
    elif organizations:
        found = organizations
    else:
        found = [await _first_organization(connection, now_ms)]
    if len(found) > 1:
        choices = ", ".join(f"{one.id} ({one.name})" for one in found)
        raise errors.Invalid(f"Say which organization the project is for: {choices}.", {"organization": choices})
    return found[0].id


async def _first_organization(connection: Connection, now_ms: int) -> Organization:
    organization = new_organization(FIRST_ORGANIZATION_NAME, now_ms)
    await stored_organizations.create(connection, organization)
    for operator in await stored_accounts.operators(connection):
        await stored_organizations.add_member(connection, Membership(operator.id, organization.id, Role.ADMIN), now_ms)
    return organization
