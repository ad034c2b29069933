"""A question to the analytics store: which project, and when. Every panel of a page asks the same one."""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec

from vemetric.clickhouse.engine import Engine
from vemetric.model.dashboard import Range
from vemetric.stats.statements import statement

# How many statements of one page may be with the engine: as many as it runs at once, so that none waits for another.
STATEMENTS_AT_ONCE_MAX = 2


class Query(msgspec.Struct, frozen=True):
    """A project and a range, as data."""

    project_id: int
    range: Range

    def parameters(self) -> dict[str, Any]:
        """What statements over the range bind. Instants in milliseconds since 1970 UTC, the end exclusive."""
        return {"project": self.project_id, "start": self.range.start_ms, "end": self.range.end_ms}

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
        """The rows of a statement of sql/; see statements.statement and Engine.query."""
        text = statement(name, expressions)
        async with self._turns:
            return await self._engine.query(text, parameters)
