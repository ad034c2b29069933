"""Calls that are made one after another, each for all requests that came meanwhile: what a commit is to SQLite.

A call to Redis costs an event loop 0.15 ms and more, whether it carries one hit or hundreds. Where its answer is lost
it is made again: whoever makes it sees to it that it is not done twice.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from vemetric import errors

REQUESTS_PER_CALL_MAX = 500
# The waits before a call whose answer was lost is made again.
RESEND_WAITS_SECONDS = (0.05, 0.25)
# After a call has failed for good, others fail at once for this long instead of waiting for the same.
REST_SECONDS = 0.5


class Line:
    """Serves requests in the order they came. serve(requests): their answers, in order; an exception is for all."""

    def __init__(self, serve: Callable[[list[Any]], Awaitable[Sequence[Any]]]) -> None:
        self._serve = serve
        self._waiting: deque[tuple[Any, asyncio.Future[Any]]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._is_closed = False
        self._resting_until = 0.0

    def submit(self, request: Any) -> "asyncio.Future[Any]":
        """Add a request; the future holds its answer."""
        if self._is_closed:
            raise errors.Unavailable("The queue is closed.")
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, future))
        if self._task is None:
            self._task = asyncio.create_task(self._work())
        return future

    async def close(self) -> None:
        """Serve what is waiting and take nothing more."""
        self._is_closed = True
        if self._task is not None:
            await self._task

    async def _work(self) -> None:
        try:
            # Whoever else is ready to run now may have a request too.
            await asyncio.sleep(0)
            while self._waiting:
                count = min(len(self._waiting), REQUESTS_PER_CALL_MAX)
                await self._call([self._waiting.popleft() for _ in range(count)])
        finally:
            self._task = None

    async def _call(self, requests: list[tuple[Any, "asyncio.Future[Any]"]]) -> None:
        try:
            answers = await self._serve([request for request, _ in requests])
        except Exception as error:
            answers = [error] * len(requests)
        for (_, future), answer in zip(requests, answers, strict=True):
            if future.done():
                # Only cancelling can have done that; the requester is gone.
                continue
            if isinstance(answer, BaseException):
                future.set_exception(answer)
            else:
                future.set_result(answer)

    async def resent(self, ask: Callable[[], Awaitable[Any]]) -> Any:
        """What is answered, asked again where it is Unavailable; for `serve` to use."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._resting_until:
            raise errors.Unavailable("The queue cannot be used right now.")
        for wait_seconds in RESEND_WAITS_SECONDS:
            try:
                return await ask()
            except errors.Unavailable:
                await asyncio.sleep(wait_seconds)
        try:
            return await ask()
        except errors.Unavailable:
            self._resting_until = loop.time() + REST_SECONDS
            raise
