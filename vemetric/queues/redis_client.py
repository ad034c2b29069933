"""The connection to Redis or Valkey: by URL, plain, with TLS, through Sentinel or to a cluster. Used by redis.py.

redis-py's own retries are off: whether something may be sent twice is known only to who sends it.
"""

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import AsyncIterator, Callable
from functools import cache
from pathlib import Path
from typing import Any

import redis.asyncio as aioredis
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError

from vemetric import errors
from vemetric.model.redis_url import CLUSTER, SENTINEL, RedisUrl
from vemetric.model.store_facts import StoreFacts

SCRIPTS = Path(__file__).parent / "lua"
CONNECT_SECONDS = 5
ANSWER_SECONDS = 10
CONNECTIONS_MAX = 64
# Calls at a time, fewer than there may be connections: the library refuses who finds none free, here one waits.
CALLS_MAX = 48
VERSION_MIN = (7, 0)
# What the operator is told of a server, by its names in INFO.
TOLD = {
    "redis_mode": "mode",
    "os": "system",
    "uptime_in_seconds": "seconds up",
    "used_memory_peak_human": "peak memory",
    "maxmemory_human": "memory limit",
    "mem_fragmentation_ratio": "fragmentation",
    "connected_clients": "clients",
    "blocked_clients": "blocked clients",
}
# Of a server whose memory is full. What is under way must be able to finish, or it would stay full.
REFUSED_WHEN_FULL = {"put", "set_if_absent", "count_up"}

log = logging.getLogger(__name__)


@cache
def script(name: str) -> tuple[str, str]:
    """The text of a script, what all begin with included, and the hash by which the server knows it."""
    flags = "" if name in REFUSED_WHEN_FULL else " flags=allow-oom"
    text = f"#!lua{flags}\n" + (SCRIPTS / "base.lua").read_text() + (SCRIPTS / f"{name}.lua").read_text()
    return text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


class RedisClient:
    """Runs scripts and commands on keys below one prefix. All methods raise Unavailable."""

    def __init__(self, address: RedisUrl, prefix: str) -> None:
        # The braces are a hash tag: in a cluster all keys of an instance are in one slot, where a script sees them all.
        self.prefix = f"{{{prefix}}}:"
        self._address = address
        self._sentinel = _sentinel(address) if address.kind == SENTINEL else None
        self._client = self._sentinel.master_for(address.name) if self._sentinel else _client(address)
        self._is_closed = False
        self._turns = asyncio.Semaphore(CALLS_MAX)

    async def run(self, name: str, *arguments: Any) -> Any:
        """Run a script."""
        text, digest = script(name)
        async with self._turn():
            try:
                return await self._client.evalsha(digest, 1, self.prefix, *arguments)
            except NoScriptError:
                return await self._client.eval(text, 1, self.prefix, *arguments)

    async def command(self, name: str, key: str, *arguments: Any) -> Any:
        """Run a command on a key below the prefix."""
        async with self._turn():
            return await self._client.execute_command(name, self.prefix + key, *arguments)

    async def info(self) -> dict[str, Any]:
        """What the server says of itself."""
        async with self._turn():
            if self._address.kind == CLUSTER:
                await self._client.initialize()
                node = self._client.get_node_from_key(self.prefix)
                return dict(await self._client.execute_command("INFO", target_nodes=node))
            return dict(await self._client.info())

    @contextlib.asynccontextmanager
    async def messages(self, channel: str) -> AsyncIterator[Callable[[], Any]]:
        """Subscribe to a channel below the prefix; what is yielded waits for the next message."""
        listener = self._client
        if self._address.kind == CLUSTER:
            # A message reaches the subscribers of every node.
            node = self._client.get_node_from_key(self.prefix) or self._client.get_default_node()
            listener = aioredis.Redis(host=node.host, port=node.port, **_settings(self._address.options))
        try:
            async with listener.pubsub() as subscription:
                with self._translated():
                    await subscription.subscribe(self.prefix + channel)

                async def message() -> bytes:
                    with self._translated():
                        while True:
                            found = await subscription.get_message(ignore_subscribe_messages=True, timeout=None)
                            if found is not None:
                                return bytes(found["data"])

                yield message
        finally:
            if listener is not self._client:
                await listener.aclose()

    async def close(self) -> None:
        self._is_closed = True
        with contextlib.suppress(RedisError, OSError):
            await self._client.aclose()
        if self._sentinel is not None:
            with contextlib.suppress(RedisError, OSError):
                await self._sentinel.aclose()

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        with self._translated():
            if self._turns.locked():
                # Where the server hangs, who waits for those that hang waits no longer than they do.
                async with asyncio.timeout(ANSWER_SECONDS):
                    await self._turns.acquire()
            else:
                await self._turns.acquire()
            try:
                yield
            finally:
                self._turns.release()

    @contextlib.contextmanager
    def _translated(self) -> Any:
        if self._is_closed:
            raise errors.Unavailable("The queue is closed.")
        try:
            yield
        except (TimeoutError, RedisError, OSError) as error:
            raise errors.Unavailable(f"The queue cannot be used right now ({error}).") from error


def _client(address: RedisUrl) -> Any:
    settings = _settings(address.options)
    if address.kind == CLUSTER:
        nodes = [ClusterNode(host, port) for host, port in address.hosts]
        return aioredis.RedisCluster(startup_nodes=nodes, max_connections=CONNECTIONS_MAX, **settings)
    settings |= {"db": address.database, "max_connections": CONNECTIONS_MAX}
    [(host, port)] = address.hosts
    return aioredis.Redis(host=host, port=port, **settings)


def _sentinel(address: RedisUrl) -> Any:
    settings = _settings(address.options) | {"db": address.database, "max_connections": CONNECTIONS_MAX}
    # User and password are the watched server's; the sentinels have their own, or none.
    asked_with = {name: value for name, value in settings.items() if name.startswith(("ssl", "socket", "retry"))}
    asked_with |= address.sentinel_login
    return Sentinel(address.hosts, sentinel_kwargs=asked_with, **settings)  # type: ignore[no-untyped-call]


def _settings(options: dict[str, Any]) -> dict[str, Any]:
    return {
        **options,
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_timeout": ANSWER_SECONDS,
        "retry": Retry(NoBackoff(), 0),
    }


def facts_of(info: dict[str, Any]) -> StoreFacts:
    """A server as its INFO tells of it. Size is its memory."""
    more = {label: str(info[name]) for name, label in TOLD.items() if info.get(name) not in (None, "")}
    kind = "Valkey" if info.get("server_name") == "valkey" or "valkey_version" in info else "Redis"
    version = info.get("valkey_version") or info.get("redis_version", "")
    return StoreFacts(kind, str(version), int(info.get("used_memory", 0)), more)


async def check(client: RedisClient, *, may_lose: bool) -> None:
    """Misconfigured if the server is too old, or may forget what was acknowledged and `may_lose` does not allow it."""
    info = await client.info()
    version = tuple(int(part) for part in str(info["redis_version"]).split(".")[:2])
    if version < VERSION_MIN:
        raise errors.Misconfigured(
            f"REDIS_URL names a Redis {info['redis_version']}: it must be 7.0 or newer, or Valkey."
        )
    reasons = []
    if not int(info.get("aof_enabled", 0)):
        reasons.append("keeps no append-only file (set appendonly yes)")
    if info.get("maxmemory_policy", "noeviction") != "noeviction":
        reasons.append(
            f"drops keys when its memory is full (set maxmemory-policy noeviction, not {info['maxmemory_policy']})"
        )
    if not reasons:
        return
    text = f"REDIS_URL names a server that {' and '.join(reasons)}"
    if not may_lose:
        raise errors.Misconfigured(
            f"{text}: events already accepted could be lost. VEMETRIC_REDIS_MAY_LOSE=yes starts all the same."
        )
    log.warning("%s: events already accepted can be lost.", text)
