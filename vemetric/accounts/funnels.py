"""What admins of a project do with its funnels: make, change and delete one. Called by the pages of funnels."""

import uuid
from collections.abc import Sequence

import msgspec

from vemetric import errors
from vemetric.accounts import event_icons, fields
from vemetric.clock import Clock
from vemetric.database import funnels as stored
from vemetric.database.database import Database
from vemetric.model.filters import EventFilter, PageFilter, Text
from vemetric.model.funnel import Funnel, Step

PER_PROJECT_MAX = 50
STEPS_MAX = 10
STEP_NAME_CHARACTERS_MAX = 100
WINDOW_SECONDS_MIN = 60
WINDOW_SECONDS_MAX = 366 * 24 * 3600


class Drawn(msgspec.Struct, frozen=True):
    """A funnel as a person draws it up. icon: one emoji, '' for none."""

    name: str
    icon: str
    window_seconds: int
    steps: tuple[Step, ...]


async def of_project(database: Database, project_id: int) -> list[Funnel]:
    """The project's funnels, the oldest first."""
    async with database.connect() as connection:
        return await stored.of_project(connection, project_id)


async def find(database: Database, project_id: int, id_: str) -> Funnel:
    """The project's funnel of an id. Raises NotFound."""
    async with database.connect() as connection:
        found = await stored.by_id(connection, project_id, id_)
    if found is None:
        raise errors.NotFound
    return found


async def make(database: Database, clock: Clock, project_id: int, drawn: Drawn) -> Funnel:
    """Make a funnel. Raises Invalid per field, Conflict when the project has too many."""
    now_ms = clock.now_ms()
    made = _checked(str(uuid.uuid4()), drawn, now_ms, now_ms)
    async with database.begin() as connection:
        await connection.lock(f"funnels:{project_id}")
        if await stored.count(connection, project_id) >= PER_PROJECT_MAX:
            raise errors.Conflict(f"A project can have {PER_PROJECT_MAX} funnels.")
        await stored.create(connection, project_id, made)
    return made


async def change(database: Database, clock: Clock, project_id: int, id_: str, drawn: Drawn) -> Funnel:
    """Make a funnel another one under the same id. Raises Invalid per field, NotFound."""
    changed = _checked(id_, drawn, 0, clock.now_ms())
    async with database.begin() as connection:
        if not await stored.change(connection, project_id, changed):
            raise errors.NotFound
    return changed


async def delete(database: Database, project_id: int, id_: str) -> None:
    """Delete one. Filters that name it restrict nothing from now on. Raises NotFound."""
    async with database.begin() as connection:
        if not await stored.delete(connection, project_id, id_):
            raise errors.NotFound


def _checked(id_: str, drawn: Drawn, created_at_ms: int, now_ms: int) -> Funnel:
    """Raises Invalid; the fields of a step are called `step.<number>.<field>`."""
    problems: dict[str, str] = {}
    name = icon = ""
    try:
        name, icon = fields.clean(name=(fields.name, drawn.name), icon=(_icon, drawn.icon)).values()
    except errors.Invalid as error:
        problems |= error.fields
    if not WINDOW_SECONDS_MIN <= drawn.window_seconds <= WINDOW_SECONDS_MAX:
        problems["window"] = "Use a time from one minute to 366 days."
    problems |= _problems_of(drawn.steps)
    if problems:
        raise errors.Invalid("Please look at the marked fields.", problems)
    steps = tuple(msgspec.structs.replace(step, name=" ".join(step.name.split())) for step in drawn.steps)
    return Funnel(id_, name, steps, icon or None, drawn.window_seconds, created_at_ms, now_ms)


def _problems_of(steps: Sequence[Step]) -> dict[str, str]:
    if not 1 <= len(steps) <= STEPS_MAX:
        return {"steps": f"A funnel has 1 to {STEPS_MAX} steps."}
    problems = {}
    for number, step in enumerate(steps):
        if len(step.name) > STEP_NAME_CHARACTERS_MAX or not step.name.isprintable():
            problems[f"step.{number}.name"] = f"Use at most {STEP_NAME_CHARACTERS_MAX} characters."
        first, condition = _first(step.filter)
        if condition is not None and condition.is_active and not condition.value:
            problems[f"step.{number}.{first}"] = "Say which, or choose that anything will do."
    return problems


def _first(filter_: PageFilter | EventFilter) -> tuple[str, Text | None]:
    """The field that says what a step is about, with its condition: nothing has an empty path or name."""
    return ("path", filter_.path) if isinstance(filter_, PageFilter) else ("event", filter_.name)


def _icon(text: str) -> str:
    return event_icons.emoji(text) if text.strip() else ""
