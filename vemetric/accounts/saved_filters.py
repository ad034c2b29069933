"""What members of a project do with its saved filters: any of them may keep, change and forget one."""

import uuid
from typing import Any

from vemetric import errors
from vemetric.clock import Clock
from vemetric.database import saved_filters as stored
from vemetric.database.database import Database
from vemetric.model.filters import Group
from vemetric.model.saved_filter import SavedFilter

NAME_CHARACTERS_MAX = 100
ICON_CHARACTERS_MAX = 32
PER_PROJECT_MAX = 100


async def keep(database: Database, clock: Clock, project_id: int, name: str, icon: str, filters: Group) -> SavedFilter:
    """Keep a set under a name. Raises Invalid per field, also when the project has too many."""
    new = SavedFilter(str(uuid.uuid4()), project_id, _name(name), _not_empty(filters), _icon(icon), clock.now_ms())
    async with database.begin() as connection:
        if await stored.count(connection, project_id) >= PER_PROJECT_MAX:
            raise errors.Invalid(None, {"name": f"A project keeps at most {PER_PROJECT_MAX} filters."})
        await stored.create(connection, new)
    return new


async def rename(database: Database, clock: Clock, project_id: int, id_: str, name: str, icon: str) -> None:
    """Store another name and icon. Raises Invalid per field, NotFound when the project has none of that id."""
    await _change(database, clock, project_id, id_, {"name": _name(name), "icon": _icon(icon)})


async def overwrite(database: Database, clock: Clock, project_id: int, id_: str, filters: Group) -> None:
    """Store other filters under the same name. Raises as `rename`."""
    await _change(database, clock, project_id, id_, {"filters": _not_empty(filters)})


async def forget(database: Database, project_id: int, id_: str) -> None:
    """Delete one. Raises NotFound when the project has none of that id."""
    async with database.begin() as connection:
        if not await stored.delete(connection, project_id, id_):
            raise errors.NotFound


async def _change(database: Database, clock: Clock, project_id: int, id_: str, values: dict[str, Any]) -> None:
    async with database.begin() as connection:
        if not await stored.change(connection, project_id, id_, values, clock.now_ms()):
            raise errors.NotFound


def _name(typed: str) -> str:
    name = " ".join(typed.split())
    if not name:
        raise errors.Invalid(None, {"name": "Please give it a name."})
    if len(name) > NAME_CHARACTERS_MAX:
        raise errors.Invalid(None, {"name": f"At most {NAME_CHARACTERS_MAX} characters."})
    return name


def _icon(typed: str) -> str | None:
    icon = typed.strip()
    if len(icon) > ICON_CHARACTERS_MAX:
        raise errors.Invalid(None, {"icon": "One emoji, please."})
    return icon or None


def _not_empty(filters: Group) -> Group:
    if not filters.filters:
        raise errors.Invalid(None, {"name": "There is no filter to keep."})
    return filters
