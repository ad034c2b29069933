"""A question to the analytics store: which project, when, and whose. Every panel of a page asks the same one."""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec

from vemetric.clickhouse.engine import Engine
from vemetric.model.dashboard import Range
from vemetric.stats import filters
from vemetric.stats.filters import Conditions
from vemetric.stats.statements import statement

# How many statements of one page may be with the engine: as many as it runs at once, so that none waits for another.
STATEMENTS_AT_ONCE_MAX = 2


class Query(msgspec.Struct, frozen=True):
    """A project, a range and filters, as data. events_prevent_bounce: a visit with a custom event is no bounce."""

    project_id: int
    range: Range
    conditions: Conditions = filters.NONE
    events_prevent_bounce: bool = False

    def parameters(self) -> dict[str, Any]:
        """What statements over the range bind. Instants in milliseconds since 1970 UTC, the end exclusive."""
        bounds = {"project": self.project_id, "start": self.range.start_ms, "end": self.range.end_ms}
        return self.conditions.parameters | bounds

    def with_previous(self, previous: Range) -> dict[str, Any]:
        """What statements over this range and the one before it bind; `starts` are the buckets of both, in order."""
        return self.parameters() | {
            "previousStart": previous.start_ms,
            "previousEnd": previous.end_ms,
            "starts": [*previous.edges_ms[:-1], *self.range.edges_ms[:-1]],
        }


class Reader:
    """Runs the statements of one page, a few at a time."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._turns = asyncio.Semaphore(STATEMENTS_AT_ONCE_MAX)

    async def rows(
        self, name: str, parameters: Mapping[str, Any], expressions: Mapping[str, str] | None = None
    ) -> list[list[Any]]:
        """The rows of a statement of sql/, given the parameters it names; see statements.statement and Engine.query."""
        text = statement(name, expressions)
        named = {key: value for key, value in parameters.items() if f"{{{key}:" in text}
        async with self._turns:
            return await self._engine.query(text, named)
