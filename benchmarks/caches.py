"""How long what one process changed stays unseen by others: project, identity and salts, over two hubs on servers.

python build.py bench caches [--changes 10]

Each change is made in the stores, as by a process that neither hub knows of, while both are asked a hundred times a
second. Told is when the last answer came that went by what had been before: the asking itself is in it.
"""

import argparse
import asyncio
import itertools
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

import aiohttp
import asyncpg

from benchmarks.scaling import is_drained
from tests.kit import stores
from tests.kit.ledger import PROXY
from tests.kit.process import Server, wait_for
from tests.kit.stores import DATABASE, Stores
from vemetric.clock import SystemClock
from vemetric.ingest.identities import CLAIM_PREFIX
from vemetric.model import ids, redis_url
from vemetric.queues.redis import RedisQueue

PAUSE_SECONDS = 0.01
# What is asked for is in memory by then; and so long both are asked after the change.
BEFORE_SECONDS, AFTER_SECONDS = 0.7, 1.3
ROLES = {"one": "hub,web,worker", "other": "hub"}
ADDRESS, NAME = "198.51.100.7", "ann@example.com"


class Given(NamedTuple):
    """An answer: by which hub, when, and what it shows of what the hub went by."""

    hub: int
    at: float
    shown: str


Ask = Callable[[aiohttp.ClientSession, Server, int], Awaitable[str]]


class Bench:
    """Two hubs, and the stores behind them."""

    def __init__(self, hubs: list[Server], over: Stores, database: asyncpg.Connection, keys: RedisQueue) -> None:
        self._hubs = hubs
        self._over = over
        self._database = database
        self._keys = keys
        self._numbers = itertools.count()

    async def project(self) -> tuple[str, str]:
        """The only one: id, as it is stored, and token."""
        row = await self._database.fetchrow("SELECT id, token FROM project")
        return row["id"], row["token"]

    async def rotate_token(self) -> list[float]:
        """A new token: the old one is refused. Seconds, of each hub."""
        project_id, token = await self.project()

        async def ask(session: aiohttp.ClientSession, hub: Server, _: int) -> str:
            return str(await status(session, hub, "/e", token, {"name": "token"}))

        async def change() -> None:
            await self._database.execute("UPDATE project SET token = $1 WHERE id = $2", ids.random_id(16), project_id)

        given, changed_at = await self._asked(ask, change)
        return unseen(given, changed_at, lambda one: one.shown == "200")

    async def forget_identity(self) -> list[float]:
        """Somebody's name is forgotten: who says it is somebody else. Seconds, of each hub."""
        project_id, token = await self.project()

        async def ask(session: aiohttp.ClientSession, hub: Server, _: int) -> str:
            asked = session.post(
                f"{hub.url}/i", json={"identifier": NAME}, headers={"Token": token, "Allow-Cookies": "true"}
            )
            async with asked as answer:
                return answer.headers.get("Set-Cookie", str(answer.status)).partition(";")[0]

        async def change() -> None:
            await self._database.execute("DELETE FROM identity WHERE project_id = $1", project_id)

        async with aiohttp.ClientSession() as session:
            await ask(session, self._hubs[0], 0)
            await self._drained()
            # For ten minutes after a naming its claim is asked each time; only what is read of the table is believed.
            for name, _ in await self._keys.scan(f"{CLAIM_PREFIX}{project_id}:", 100):
                await self._keys.delete(name)
            before = await ask(session, self._hubs[0], 0)
        given, changed_at = await self._asked(ask, change)
        return unseen(given, changed_at, lambda one: one.shown == before)

    async def rotate_salts(self) -> list[float]:
        """The salt of a new day: visitors without cookies get other ids. Seconds, of each hub."""
        project_id, token = await self.project()
        first = next(self._numbers)

        async def ask(session: aiohttp.ClientSession, hub: Server, number: int) -> str:
            agent = browser(first, number)
            headers = {"User-Agent": agent, "X-Forwarded-For": ADDRESS}
            await status(session, hub, "/e", token, {"name": "salt", "customData": {"agent": agent}}, headers)
            return agent

        salt = ids.random_id(21)

        async def change() -> None:
            now_ms = time.time_ns() // 1_000_000
            await self._database.execute("INSERT INTO salt (id, created_at_ms) VALUES ($1, $2)", salt, now_ms)

        given, changed_at = await self._asked(ask, change)
        await self._drained()
        question = "SELECT toInt64(1), JSONExtractString(customData, 'agent'), toString(userId) FROM event FINAL"
        rows = await asyncio.to_thread(self._over.clickhouse.ask, f"{question} WHERE name = 'salt'", DATABASE)
        users = {agent: int(user_id) for _, agent, user_id in rows}
        return unseen(
            given,
            changed_at,
            lambda one: users[one.shown] != ids.fingerprint_user_id(int(project_id), ADDRESS, one.shown, salt),
        )

    async def _drained(self) -> None:
        await asyncio.to_thread(wait_for, lambda: is_drained(self._hubs[0]), "an empty queue", 60)

    async def _asked(self, ask: Ask, change: Callable[[], Awaitable[None]]) -> tuple[list[Given], float]:
        """What both hubs answered before and after a change, and when that was made."""
        given: list[Given] = []
        loop = asyncio.get_running_loop()
        until = loop.time() + BEFORE_SECONDS + AFTER_SECONDS

        async def keep_asking(number: int) -> None:
            async with aiohttp.ClientSession() as session:
                for turn in itertools.count():
                    if loop.time() >= until:
                        return
                    shown = await ask(session, self._hubs[number], turn * len(self._hubs) + number)
                    given.append(Given(number, loop.time(), shown))
                    await asyncio.sleep(PAUSE_SECONDS)

        async with asyncio.TaskGroup() as asking:
            for number in range(len(self._hubs)):
                asking.create_task(keep_asking(number))
            await asyncio.sleep(BEFORE_SECONDS)
            await change()
            changed_at = loop.time()
        return given, changed_at


async def status(
    session: aiohttp.ClientSession,
    hub: Server,
    path: str,
    token: str,
    body: dict[str, object],
    headers: dict[str, str] | None = None,
) -> int:
    async with session.post(f"{hub.url}{path}", json=body, headers={"Token": token} | (headers or {})) as answer:
        return answer.status


def browser(change: int, number: int) -> str:
    """A browser that was never seen."""
    return f"Mozilla/5.0 (X11; Linux x86_64; rv:{change}.{number}) Gecko/20100101 Firefox/{change}.{number}"


def unseen(given: list[Given], changed_at: float, is_old: Callable[[Given], bool]) -> list[float]:
    """How long after the change each hub gave its last answer by what had been before."""
    delays = []
    for hub in sorted({one.hub for one in given}):
        of_hub = [one for one in given if one.hub == hub]
        old = [one.at for one in of_hub if is_old(one)]
        if len(old) < BEFORE_SECONDS / PAUSE_SECONDS / 10 or is_old(of_hub[-1]):
            raise SystemExit(f"the change cannot be told: {of_hub[0]}, {of_hub[-1]}")
        delays.append(max(0.0, old[-1] - changed_at))
    return delays


async def run(options: argparse.Namespace) -> None:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        over = await stack.enter_async_context(stores.running(folder, all_own=True))
        environ = PROXY | over.settings | {"VEMETRIC_SECRET": "the same for both of these processes"}
        hubs = [Server(folder / name, environ=environ | {"VEMETRIC_ROLES": roles}) for name, roles in ROLES.items()]
        await asyncio.to_thread(hubs[0].run, "project", "create", "--name", "Bench", "--domain", "example.com")
        for hub in hubs:
            stack.callback(hub.kill)
            await asyncio.to_thread(hub.start)
        database = await asyncpg.connect(over.settings["DATABASE_URL"])
        stack.push_async_callback(database.close)
        keys = await RedisQueue.open(redis_url.parse(over.settings["REDIS_URL"]), SystemClock())
        stack.push_async_callback(keys.close)
        bench = Bench(hubs, over, database, keys)
        for what, change in (
            ("a token", bench.rotate_token),
            ("an identity", bench.forget_identity),
            ("the salts", bench.rotate_salts),
        ):
            found = sorted(itertools.chain.from_iterable([await change() for _ in range(options.changes)]))
            middle = found[len(found) // 2]
            times = f"{what:12} changed {options.changes} times:"
            print(f"{times} unseen for {middle:.2f} s in the middle, {found[-1]:.2f} s at most", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--changes", type=int, default=10)
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
