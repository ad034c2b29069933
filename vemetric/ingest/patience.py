"""Asks the relational store about what was read before, but not for long: while it is away the hub goes on by that."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from vemetric import errors
from vemetric.database.database import Connection, Database

# So long a hit waits for the database where what it asks for was read before; that goes on to hold then, for so long.
PATIENCE_SECONDS = 1.0
HELD_MS = 3_600_000
# How often a database that is away is tried by one, while nobody else who knows an earlier answer waits for it.
TRIED_SECONDS = 0.5

Answer = TypeVar("Answer")
log = logging.getLogger(__name__)


class Patience:
    """Reads from a database that may be away."""

    def __init__(
        self, database: Database, patience_seconds: float = PATIENCE_SECONDS, tried_seconds: float = TRIED_SECONDS
    ) -> None:
        self._database = database
        self._patience_seconds = patience_seconds
        self._tried_seconds = tried_seconds
        self._trying: asyncio.Task[None] | None = None
        self._reading: set[asyncio.Task[object]] = set()

    async def read(self, ask: Callable[[Connection], Awaitable[Answer]], *, is_known: bool) -> Answer:
        """What the database answers. is_known: there is an earlier answer, so that Unavailable is told soon, and at
        once while the database is known to be away.
        """
        if not is_known:
            return await self._read(ask)
        if self._trying is not None:
            raise errors.Unavailable("The accounts database is away.")
        reading = asyncio.create_task(self._read(ask))
        # It may be left to itself, and then fail.
        self._reading.add(reading)
        reading.add_done_callback(self._ended)
        await asyncio.wait({reading}, timeout=self._patience_seconds)
        try:
            if reading.done():
                return reading.result()
            raise errors.Unavailable("The accounts database does not answer.")
        except errors.Unavailable as error:
            self._note_away(error)
            raise

    async def _read(self, ask: Callable[[Connection], Awaitable[Answer]]) -> Answer:
        async with self._database.connect() as connection:
            return await ask(connection)

    def _ended(self, reading: "asyncio.Task[object]") -> None:
        self._reading.discard(reading)
        if not reading.cancelled():
            reading.exception()

    def _note_away(self, error: errors.Unavailable) -> None:
        if self._trying is None:
            log.warning("Who is known goes on to be, by what was read last: %s", error)
            self._trying = asyncio.create_task(self._try())

    async def _try(self) -> None:
        try:
            while True:
                try:
                    await self._database.check()
                    return
                except errors.Unavailable:
                    await asyncio.sleep(self._tried_seconds)
        finally:
            self._trying = None
