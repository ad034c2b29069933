"""Funnels of a project, counted: how many users reach each step. Called by the pages of funnels, the card and the API.

A funnel is about what happened in the range: a way that began before it is none. How far a user gets is said in
funnel_stage.py.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from vemetric.clickhouse.engine import Engine
from vemetric.model.dashboard import Range
from vemetric.model.funnel import Funnel
from vemetric.model.project import Project
from vemetric.stats import filters, funnel_stage
from vemetric.stats.filters import Conditions
from vemetric.stats.predicates import Binder
from vemetric.stats.query import Query, Reader

# The funnels that one statement counts; more take more statements.
FUNNELS_AT_ONCE = 10
# The end of all time that the store knows: the year 2299.
FOREVER_MS = 10_413_792_000_000 - 1


class Counted(msgspec.Struct, frozen=True):
    """A funnel with its figures. users: by step, how many reached it; active_users: of the range, in it or not.

    Rates are in percent, rounded half up to two decimals, 0.0 of nobody.
    """

    funnel: Funnel
    users: tuple[int, ...]
    active_users: int

    @property
    def conversion(self) -> float:
        """How many of those who took the first step took the last one."""
        return rate(self.users[-1], self.users[0])

    @property
    def active_conversion(self) -> float:
        """How many of all active users took the last step."""
        return rate(self.users[-1], self.active_users)

    def step_rate(self, number: int) -> float:
        """How many of those who took the step before took this one; of the first step all, unless nobody did."""
        return rate(self.users[number], self.users[max(number - 1, 0)])


def rate(part: int, whole: int) -> float:
    """Percent, rounded half up to two decimals; 0.0 where there is no whole."""
    return (20_000 * part + whole) // (2 * whole) / 100 if whole else 0.0


async def count(
    engine: Engine,
    project: Project,
    range_: Range,
    funnels: Sequence[Funnel],
    conditions: Conditions = filters.NONE,
) -> list[Counted]:
    """Count funnels, answered in their order. conditions: of the users that count. Raises StoreBusy."""
    reader, parameters = Reader(engine), Query(project.id, range_, conditions).parameters()
    bounds = {"from": range_.start_ms, "to": range_.end_ms}
    users = conditions.users()
    [[active_users]] = await reader.rows("online", parameters | bounds, {"users": users})
    reached = await _reached(reader, parameters, funnels, users)
    return [Counted(funnel, by_step, active_users) for funnel, by_step in zip(funnels, reached, strict=True)]


async def progress(engine: Engine, project: Project, user_id: int, funnels: Sequence[Funnel]) -> list[int]:
    """How many steps of each funnel one user ever got through, in the order of the funnels. Raises StoreBusy."""
    parameters = {"project": project.id, "start": 0, "end": FOREVER_MS, "user": user_id}
    reached = await _reached(Reader(engine), parameters, funnels, "userId = {user:UInt64}")
    return [sum(by_step) for by_step in reached]


async def _reached(
    reader: Reader, parameters: Mapping[str, Any], funnels: Sequence[Funnel], users: str
) -> list[tuple[int, ...]]:
    found: list[tuple[int, ...]] = []
    for begin in range(0, len(funnels), FUNNELS_AT_ONCE):
        asked = funnels[begin : begin + FUNNELS_AT_ONCE]
        binder = Binder("s")
        expressions = _expressions(asked, binder) | {"users": users}
        [row] = await reader.rows("funnels", {**parameters, **binder.values}, expressions)
        found += map(tuple, row)
    return found


def _expressions(funnels: Sequence[Funnel], binder: Binder) -> dict[str, str]:
    """The places of the statement. m<n> is the mask of an event in the nth funnel, s<n> the stage of a user."""
    masks, stages, counts = [], [], []
    for n, funnel in enumerate(funnels):
        steps = len(funnel.steps)
        masks.append(f"{filters.step_mask(funnel, binder)} AS m{n}")
        stages.append(f"{funnel_stage.stage('at', f'm{n}', steps, funnel.window_seconds)} AS s{n}")
        counts.append(f"[{', '.join(f'countIf(s{n} > {step})' for step in range(steps))}]")
    return {
        "masks": ", ".join(masks),
        "stages": ", ".join(stages),
        "counts": ", ".join(counts),
        "fits": " OR ".join(f"m{n} > 0" for n in range(len(funnels))),
    }
