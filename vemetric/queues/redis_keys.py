"""Keys and counters in Redis or Valkey, and the lines on which puts and what hits ask for travel. Part of redis.py.

A value is kept behind eight bytes that say when it expires by the clock of who asks; Redis' own expiry is not used, so
that a key and its place in the order of names go together.
"""

import asyncio
import itertools
import logging
import secrets
import struct
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from vemetric import errors
from vemetric.clock import Clock
from vemetric.queues.job import PAYLOAD_BYTES_MAX, KeySet, Write
from vemetric.queues.queue import Told
from vemetric.queues.redis_client import RedisClient
from vemetric.queues.redis_line import Line

# Lua's numbers are exact up to here.
COUNT_MAX = 1 << 53
NAME_LAST = b"\xff"

_encode = msgspec.msgpack.Encoder().encode
_expiry = struct.Struct(">q")
log = logging.getLogger(__name__)


def packed(write: Write) -> list[bytes]:
    """A write as the arguments that `apply` in lua/base.lua reads. Raises what is wrong with it before it is sent."""
    head = (
        [_job(job) for job in write.jobs],
        [(_text(one.key), _number(one.expires_ms)) for one in write.keys],
        {_text(name): _number(more) for name, more in write.counters.items()},
    )
    return [_encode(head), *(job.payload for job in write.jobs), *map(stored, write.keys)]


def stored(one: KeySet) -> bytes:
    """A key's value with its expiry."""
    return _expiry.pack(_number(one.expires_ms)) + one.value


def alive(value: bytes | None, now_ms: int) -> bytes | None:
    """The value in what is stored, None if there is none or it has expired."""
    if value is None:
        return None
    (expires_ms,) = _expiry.unpack_from(value)
    return None if 0 < expires_ms <= now_ms else value[_expiry.size :]


class RedisKeys:
    """Implements `Keys`; redis.py adds `Queue`."""

    def __init__(self, client: RedisClient, clock: Clock, jobs_max: int) -> None:
        self.jobs_max = jobs_max
        self._client = client
        self._clock = clock
        self._caller = secrets.token_hex(8)
        self._calls: Counter[str] = Counter()
        self._is_failing = False
        self._puts = Line(self._put_all)
        self._gets = Line(self._get_all)
        self._first_sets = Line(self._set_all_absent)

    async def get(self, key: str) -> bytes | None:
        return alive(await self._gets.submit(_text(key)), self._clock.now_ms())

    async def get_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        values = await asyncio.gather(*(self._gets.submit(_text(key)) for key in keys))
        now_ms = self._clock.now_ms()
        found = {key: alive(value, now_ms) for key, value in zip(keys, values, strict=True)}
        return {key: value for key, value in found.items() if value is not None}

    async def set(self, sets: Sequence[KeySet]) -> None:
        await self._written(Write(keys=list(sets)))

    async def set_if_absent(self, key: str, value: bytes, expires_ms: int) -> bool:
        one = KeySet(key, value, expires_ms)
        return bool(await self._first_sets.submit((_text(key), stored(one), expires_ms)))

    async def count_up(self, key: str, expires_ms: int) -> tuple[int, int]:
        held: bytes = await self._run("count_up", _text(key), stored(KeySet(key, b"1", expires_ms)), expires_ms)
        return int(held[_expiry.size :]), _expiry.unpack_from(held)[0]

    async def delete(self, key: str, value: bytes | None = None) -> bool:
        return bool(await self._run("delete", _text(key), *([] if value is None else [value])))

    async def scan(self, prefix: str, limit: int) -> list[tuple[str, bytes]]:
        first = prefix.encode()
        found = await self._run("scan", b"[" + first, b"(" + first + NAME_LAST, limit)
        return [
            (bytes(name).decode(), value[_expiry.size :]) for name, value in zip(found[::2], found[1::2], strict=True)
        ]

    async def add(self, counters: dict[str, int]) -> None:
        await self._written(Write(counters=dict(counters)))

    async def counters(self, prefix: str) -> dict[str, int]:
        found = await self._client.command("HGETALL", "counters")
        pairs = found.items() if isinstance(found, dict) else zip(found[::2], found[1::2], strict=True)
        named = {bytes(name).decode(): int(value) for name, value in pairs}
        return {name: value for name, value in sorted(named.items()) if name.startswith(prefix)}

    async def maintain(self) -> None:
        """Delete every expired key; each put deletes a few by itself."""
        while await self._run("purge"):
            pass

    async def _run(self, script: str, *arguments: Any) -> Any:
        return await self._client.run(script, self._clock.now_ms(), *arguments)

    def submit(self, write: Write, told: Told) -> None:
        """`Queue.submit`: the write joins the next call."""
        self._written(write).add_done_callback(lambda future: told(future.exception()))

    def _written(self, write: Write) -> "asyncio.Future[None]":
        return self._puts.submit(packed(write))

    async def _put_all(self, writes: list[list[bytes]]) -> Sequence[Any]:
        try:
            refused = await self._once(self._puts, "put", self.jobs_max, *itertools.chain.from_iterable(writes))
        except errors.Unavailable as error:
            if not self._is_failing:
                self._is_failing = True
                log.error("The queue cannot be written: %s", error)
            raise
        if self._is_failing:
            self._is_failing = False
            log.warning("The queue can be written again.")
        return [errors.QueueFull() if is_refused else None for is_refused in refused]

    async def _set_all_absent(self, asked: list[tuple[str, bytes, int]]) -> Sequence[Any]:
        flat = itertools.chain.from_iterable(asked)
        answers: Sequence[Any] = await self._once(self._first_sets, "set_if_absent", *flat)
        return answers

    async def _get_all(self, keys: list[str]) -> Sequence[Any]:
        values: Sequence[Any] = await self._gets.resent(lambda: self._client.command("HMGET", "values", *keys))
        return values

    async def _once(self, line: Line, script: str, *arguments: Any) -> Any:
        """Run a line's script, which knows by its number a call that was done and does not do it again."""
        self._calls[script] += 1
        call = (f"{self._caller}:{script}", self._calls[script], *arguments)
        return await line.resent(lambda: self._run(script, *call))


def _job(job: Any) -> tuple[Any, ...]:
    if not isinstance(job.payload, bytes):
        raise errors.Invalid("A job's payload must be bytes.")
    if len(job.payload) > PAYLOAD_BYTES_MAX:
        raise errors.Invalid(f"A job's payload has {len(job.payload)} bytes; at most {PAYLOAD_BYTES_MAX} are allowed.")
    # Lua's tables have no place for nothing.
    key, lane, after = (False if name is None else _text(name) for name in (job.key, job.order_key, job.after))
    return (_text(job.queue), key, lane, after, _number(job.run_at_ms))


def _text(value: str) -> str:
    if not isinstance(value, str):
        raise errors.Invalid("A name must be text.")
    return value


def _number(value: int) -> int:
    if not -COUNT_MAX < value < COUNT_MAX:
        raise errors.Invalid(f"A number must lie within {COUNT_MAX}.")
    return value
