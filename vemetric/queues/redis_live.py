"""Reads the jobs of a queue in Redis that are neither done nor dead, page by page. Used by redis.py."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec

from vemetric.queues.job import LiveJob
from vemetric.queues.redis_client import RedisClient

PAGE_JOBS = 500
# The hashes of the jobs' entries, payloads and holds (lua/base.lua).
JOB, PAYLOAD, HELD = "job", "payload", "held"

# An entry begins with the queue, a hold with how often the job was delivered.
_entry = msgspec.msgpack.Decoder(list[Any]).decode


async def pages(client: RedisClient, queue: str) -> AsyncIterator[list[LiveJob]]:
    """As Queue.live. The server's walk meets every entry that is there all along, some of them twice."""
    cursor, seen = 0, set[int]()
    while True:
        cursor, entries = await client.command("HSCAN", JOB, cursor, "COUNT", PAGE_JOBS)
        ids = [int(id_) for id_, entry in entries.items() if _entry(entry)[0] == queue]
        new = [id_ for id_ in ids if id_ not in seen]
        seen.update(new)
        if new:
            yield await _jobs(client, new)
        if not cursor:
            return


async def _jobs(client: RedisClient, ids: list[int]) -> list[LiveJob]:
    holds = await client.command("HMGET", HELD, *ids)
    payloads = await client.command("HMGET", PAYLOAD, *ids)
    return [
        LiveJob(id_, bytes(payload), 0 if hold is None else _entry(hold)[0])
        for id_, payload, hold in zip(ids, payloads, holds, strict=True)
        if payload is not None
    ]
