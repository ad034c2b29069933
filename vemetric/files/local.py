"""Uploaded files below the data directory."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from vemetric import errors
from vemetric.model import private_file

Answer = TypeVar("Answer")


class LocalStore:
    """A directory of its own, readable by its owner only."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def put(self, name: str, content: bytes, content_type: str) -> None:
        """See FileStore. The type is told by the name."""

        def write() -> None:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            private_file.write(self._directory / name, content)

        await self._do(write)

    async def get(self, name: str) -> bytes | None:
        """See FileStore."""

        def read() -> bytes | None:
            try:
                return (self._directory / name).read_bytes()
            except FileNotFoundError:
                return None

        return await self._do(read)

    async def remove(self, name: str) -> None:
        """See FileStore."""
        await self._do(lambda: (self._directory / name).unlink(missing_ok=True))

    async def _do(self, work: Callable[[], Answer]) -> Answer:
        try:
            return await asyncio.to_thread(work)
        except OSError as error:
            raise errors.Unavailable(f"{self._directory} cannot be used: {error.strerror}.") from error
