"""ClickHouse as its users see it, embedded or on a server. Backends: embedded.py and server.py."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from vemetric.clickhouse.encoding import Row


class Engine(Protocol):
    """One analytics store. Errors: StoreBusy (try again), RowRejected (the data), StoreError (the statement)."""

    async def prepare(self) -> None:
        """Make sure that the store can be used, before its tables are brought up; may be done again."""

    async def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[list[Any]]:
        """Rows of a SELECT. Values are bound as {name:Type} parameters, never formatted into the text.

        Integers come as int (64 bit included), DateTime64 as text, NULL as None.
        """

    async def lookup(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[list[Any]]:
        """As `query`, for what workers must know before they write: never waits behind what pages ask."""

    def leave_out(self, conditions: Mapping[str, str]) -> None:
        """Have `query`, not `lookup`, leave rows out of tables from now on: by table the SQL that a row must fulfil.

        A condition may ask other tables; it is asked anew with every query.
        """

    async def insert(self, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Insert rows (tuples in the order of `columns`); on disk when this returns. Times as quoted text.

        A rows.piece stands for several columns, encoding.lines for several rows.
        """

    async def command(self, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        """DDL, OPTIMIZE and the like."""

    async def close(self) -> None: ...
