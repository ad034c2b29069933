"""What the key of a request opens: the project, and whether its organization has a plan. Called by web/api."""

from typing import NamedTuple

from vemetric.accounts import api_keys
from vemetric.clock import Clock
from vemetric.database import projects, subscriptions
from vemetric.database.database import Database
from vemetric.model.api_key import ApiKey
from vemetric.model.project import Project


class Opened(NamedTuple):
    """A project and the key that opened it."""

    key: ApiKey
    project: Project


async def open_project(database: Database, clock: Clock, text: str) -> Opened | None:
    """What a key opens; None for one that is unknown or revoked. A text that can be no key is not looked up."""
    key = await api_keys.by_key(database, clock, text)
    if key is None:
        return None
    async with database.connect() as connection:
        project = await projects.by_id(connection, key.project_id)
    return None if project is None else Opened(key, project)


async def has_plan(database: Database, project: Project) -> bool:
    """Whether the project's organization has bought a plan that holds."""
    async with database.connect() as connection:
        bought = await subscriptions.of_organization(connection, project.organization_id)
    return bought is not None and bought.holds
