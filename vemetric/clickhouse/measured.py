"""An engine whose every statement is timed and counted. services.py puts it before the one that was opened."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from vemetric.clickhouse.admission import Admission
from vemetric.clickhouse.engine import Engine
from vemetric.clock import Clock
from vemetric.model.meters import Meters


class Measured:
    """See Engine; does what the engine behind it does."""

    def __init__(self, engine: Engine, meters: Meters, clock: Clock, admission: Admission) -> None:
        self._engine = engine
        self.meters = meters
        self.admission = admission
        self._clock = clock

    async def prepare(self) -> None:
        await self._engine.prepare()

    async def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[list[Any]]:
        async with self.admission.query():
            with self._timed("query", sql):
                return await self._engine.query(sql, parameters)

    async def lookup(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[list[Any]]:
        with self._timed("lookup", sql):
            return await self._engine.lookup(sql, parameters)

    def leave_out(self, conditions: Mapping[str, str]) -> None:
        self._engine.leave_out(conditions)

    async def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        with self._timed("insert", f"INSERT INTO {table}, {len(rows)} rows"):
            await self._engine.insert(table, columns, rows)

    async def command(self, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        with self._timed("command", sql):
            await self._engine.command(sql, parameters)

    async def close(self) -> None:
        await self._engine.close()

    @contextmanager
    def _timed(self, kind: str, statement: str) -> Iterator[None]:
        began_at = time.perf_counter()
        try:
            yield
        except Exception:
            self.meters.query_failures[kind] += 1
            raise
        finally:
            self.meters.asked(kind, statement, time.perf_counter() - began_at, self._clock.now_ms())
