"""One thread that serves whatever requests are waiting as one group: the heart of the SQLite queue's group commit."""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from vemetric import errors

# Requests and their answers in the order they were made. An answer that is an exception is raised to its requester.
Answers = Sequence[tuple[asyncio.Future[Any], Any]]
Request = tuple[Any, asyncio.Future[Any]]

log = logging.getLogger(__name__)


class GroupThread:
    """Runs `serve` in a thread of its own for all requests that came since the last time.

    serve(requests): called in the thread; hands answers to `answer` as soon as they hold, for every request once.
    gather_seconds: how long it waits for company for a request that came while others were served.
    idle(): called in the thread when nothing came for `idle_seconds`. Returns whether it has more to do: then it is
    called again as soon as nothing waits, else after `idle_seconds`.
    """

    def __init__(
        self,
        name: str,
        serve: Callable[[list[Request]], None],
        idle: Callable[[], bool],
        idle_seconds: float,
        answered: Callable[[Any], None],
        gather_seconds: float = 0.0,
    ) -> None:
        self._serve = serve
        self._idle = idle
        self._idle_seconds = idle_seconds
        self._answered = answered
        self._gather_seconds = gather_seconds
        self._loop = asyncio.get_running_loop()
        self._requests: deque[Request] = deque()
        self._wake = threading.Event()
        self._stopping = False
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def has_ended(self) -> bool:
        """Whether the thread has ended: stopped, or of something unforeseen. Then nothing is taken any more."""
        return self._ended.done()

    def submit(self, request: Any) -> asyncio.Future[Any]:
        """Queue a request; the future holds its answer. Call on the loop only."""
        if self._stopping:
            raise errors.Unavailable("The queue is closed.")
        future: asyncio.Future[Any] = self._loop.create_future()
        self._requests.append((request, future))
        # Setting an event costs a lock; under load it is still set since the request before.
        if not self._wake.is_set():
            self._wake.set()
        return future

    def answer(self, answers: Answers, notice: Any = None) -> None:
        """Give answers back to the loop, in one call for all of them. Call in the thread only."""
        self._loop.call_soon_threadsafe(self._deliver, answers, notice)

    async def stop(self) -> None:
        """Serve what is waiting, then end the thread."""
        self._stopping = True
        self._wake.set()
        await asyncio.shield(self._ended)

    def _deliver(self, answers: Answers, notice: Any) -> None:
        if notice is not None:
            self._answered(notice)
        for future, result in answers:
            if future.done():
                # Only cancelling can have done that; the requester is gone.
                continue
            if isinstance(result, BaseException):
                future.set_exception(result)
            else:
                future.set_result(result)

    def _run(self) -> None:
        has_more = False
        is_crowded = False
        requests: list[Request] = []
        try:
            while True:
                woken = self._stopping or self._wake.wait(0 if has_more else self._idle_seconds)
                if is_crowded and self._gather_seconds:
                    # Where many come at once, more are about to: one transaction for all of them costs far less.
                    time.sleep(self._gather_seconds)
                self._wake.clear()
                requests = [self._requests.popleft() for _ in range(len(self._requests))]
                is_crowded = len(requests) > 1
                if requests:
                    self._serve_all(requests)
                elif self._stopping:
                    return
                elif not woken:
                    has_more = self._use_idle_time()
        except BaseException:
            log.critical(
                "%s has ended; nothing is taken until this process begins anew", self._thread.name, exc_info=True
            )
        finally:
            # What was being served when it ended of something unforeseen waits too.
            self._loop.call_soon_threadsafe(self._end, requests)

    def _serve_all(self, requests: list[Request]) -> None:
        try:
            self._serve(requests)
        except Exception as error:
            # Only a bug leads here; those who wait must hear of it and the thread must go on.
            log.exception("%s failed", self._thread.name)
            self.answer([(future, error) for _, future in requests])

    def _use_idle_time(self) -> bool:
        try:
            return self._idle()
        except Exception:
            # Only a bug leads here too; hits must not be refused for what can wait.
            log.exception("%s failed at what it does at idle times", self._thread.name)
            return False

    def _end(self, served: list[Request]) -> None:
        self._stopping = True
        for _, future in (*served, *self._requests):
            if not future.done():
                future.set_exception(errors.Unavailable("The queue is closed."))
        if not self._ended.done():
            self._ended.set_result(None)
