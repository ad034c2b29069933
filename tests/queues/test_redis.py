"""What only Redis and Valkey can get wrong: servers that forget, lost answers, outages, TLS, Sentinel, clusters."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import trustme

from tests.kit import servers
from vemetric import errors
from vemetric.clock import FrozenClock, SystemClock
from vemetric.model import redis_url
from vemetric.queues import redis_client
from vemetric.queues.job import KeySet, NewJob, Write
from vemetric.queues.redis import RedisQueue

PROGRAMS = list(servers.redis_programs())


@contextlib.asynccontextmanager
async def opened(url: str, **options: object) -> AsyncIterator[RedisQueue]:
    queue = await RedisQueue.open(redis_url.parse(url), SystemClock(), **options)
    try:
        yield queue
    finally:
        await queue.close()


@pytest.fixture(params=PROGRAMS)
def own(request: pytest.FixtureRequest) -> Iterator[Callable[..., servers.Server]]:
    """own(options...): a server that the test may stop."""
    made: list[servers.Server] = []

    def start(*options: str, durable: bool = True) -> servers.Server:
        made.append(servers.start_redis(request.param, *options, durable=durable))
        return made[-1]

    yield start
    for server in made:
        server.kill()


def put_of(name: str) -> Write:
    return Write(jobs=[NewJob("line", name.encode())], keys=[KeySet(name, b"v")], counters={"put": 1})


async def names(queue: RedisQueue) -> list[str]:
    return [job.payload.decode() for job in await queue.claim("line", 10_000, 60)]


# What the start refuses


async def test_a_server_that_may_forget_is_refused_unless_told_otherwise(own) -> None:
    url = servers.redis_url(own("--maxmemory-policy", "allkeys-lru", durable=False))
    with pytest.raises(errors.Misconfigured, match=r"append-only file .* drops keys .* VEMETRIC_REDIS_MAY_LOSE=yes"):
        await RedisQueue.open(redis_url.parse(url), SystemClock())
    async with opened(url, may_lose=True) as queue:
        await queue.put(put_of("a"))
        assert await names(queue) == ["a"]


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(errors.Unavailable, match="cannot be used right now"):
        await RedisQueue.open(redis_url.parse(f"redis://127.0.0.1:{servers.free_port()}"), SystemClock())


async def test_the_password_is_asked_for_and_not_shown(own) -> None:
    server = own("--requirepass", "very-secret")
    with pytest.raises(errors.Unavailable) as caught:
        await RedisQueue.open(redis_url.parse(f"redis://:wrong-one@127.0.0.1:{server.port}"), SystemClock())
    assert "wrong-one" not in caught.value.message
    async with opened(f"redis://:very-secret@127.0.0.1:{server.port}") as queue:
        await queue.put(put_of("a"))


# Keys of several instances


async def test_prefixes_keep_instances_apart(own) -> None:
    url = servers.redis_url(own())
    async with opened(url, prefix="one") as one, opened(url, prefix="other") as other:
        await one.put(put_of("a"))
        assert await names(other) == []
        assert await other.get("a") is None
        assert await other.counters("") == {}
        assert await names(one) == ["a"]


async def test_expired_keys_make_room_as_fast_as_new_ones_come(own) -> None:
    clock = FrozenClock(1_000_000)
    queue = await RedisQueue.open(redis_url.parse(servers.redis_url(own())), clock)
    for generation in range(4):
        expires_ms = clock.now_ms() + 1_000
        sets = [KeySet(f"{generation}:{number}", b"v", expires_ms) for number in range(400)]
        await asyncio.gather(*(queue.put(Write(keys=[one])) for one in sets))
        clock.advance(1_000)
    for kept, command in (("values", "HLEN"), ("names", "ZCARD"), ("expiry", "ZCARD")):
        assert await queue._client.command(command, kept) == 400
    await queue.close()


# More calls at once than there are connections


async def test_more_calls_than_connections_wait_and_none_is_refused(own) -> None:
    async with opened(servers.redis_url(own())) as queue:
        names = [str(number) for number in range(3 * redis_client.CONNECTIONS_MAX)]
        firsts = await asyncio.gather(*(queue.set_if_absent(name, b"v", 0) for name in (*names, *names)))
        assert firsts == [True] * len(names) + [False] * len(names)
        # Calls that do not travel together.
        deleted = await asyncio.gather(*(queue.delete(name) for name in names))
        assert all(deleted)


# Several processes


async def test_processes_share_the_backlog_and_wake_each_other(own) -> None:
    url = servers.redis_url(own())
    async with opened(url) as hub, opened(url) as worker:
        waiting = asyncio.create_task(worker.wait("line", 3600))
        await asyncio.sleep(0)
        await hub.put(put_of("a"))
        async with asyncio.timeout(4):
            await waiting
        assert await names(worker) == ["a"]
        assert await names(hub) == []


async def test_two_workers_never_have_jobs_of_one_lane_at_once_and_take_them_in_order(own) -> None:
    """Without lanes two claimers would interleave: each claims three at a time and gives way before it acknowledges."""
    url = servers.redis_url(own())
    done: list[int] = []
    async with opened(url) as first, opened(url) as second:
        jobs = [NewJob("line", b"%d" % number, order_key="user") for number in range(60)]
        await first.put(Write(jobs=jobs))

        async def work(queue: RedisQueue) -> None:
            while len(done) < len(jobs):
                claimed = await queue.claim("line", 3, 60)
                await asyncio.sleep(0)
                done.extend(int(job.payload) for job in claimed)
                await queue.ack(claimed)

        await asyncio.gather(work(first), work(second))
    assert done == list(range(60))


# Lost answers


class Wire:
    """A stretch of wire before a server, which can swallow an answer after the server has done what was asked."""

    def __init__(self, port: int) -> None:
        self.port = servers.free_port()
        self.swallow = False
        self._to = port
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> "Wire":
        self._server = await asyncio.start_server(self._meet, "127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in self._writers:
            writer.close()

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._to)
        self._writers += [writer, back]
        await asyncio.gather(self._carry(reader, back), self._carry(there, writer, is_answer=True))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_answer: bool = False) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                if is_answer and self.swallow:
                    self.swallow = False
                    break
                writer.write(data)
                await writer.drain()
        writer.close()


async def test_a_put_whose_answer_was_lost_is_done_once(own) -> None:
    server = own()
    async with Wire(server.port) as wire, opened(f"redis://127.0.0.1:{wire.port}") as queue:
        for number in range(5):
            wire.swallow = True
            await queue.put(put_of(f"{number}"))
        assert not wire.swallow
        assert await names(queue) == ["0", "1", "2", "3", "4"]
        assert await queue.counters("put") == {"put": 5}


async def test_a_key_whose_setting_was_answered_to_nobody_is_still_set_by_who_asked(own) -> None:
    server = own()
    async with Wire(server.port) as wire, opened(f"redis://127.0.0.1:{wire.port}") as queue:
        wire.swallow = True
        assert await queue.set_if_absent("visit", b"mine", 0)
        assert not wire.swallow
        assert not await queue.set_if_absent("visit", b"mine", 0)


async def test_a_read_whose_answer_was_lost_is_made_again(own) -> None:
    server = own()
    async with Wire(server.port) as wire, opened(f"redis://127.0.0.1:{wire.port}") as queue:
        await queue.set([KeySet("visit", b"mine")])
        wire.swallow = True
        assert await queue.get_many(["visit", "other"]) == {"visit": b"mine"}
        assert not wire.swallow


async def test_a_refusal_whose_answer_was_lost_stays_one(own) -> None:
    server = own()
    async with Wire(server.port) as wire, opened(f"redis://127.0.0.1:{wire.port}", jobs_max=1) as queue:
        await queue.put(put_of("a"))
        wire.swallow = True
        with pytest.raises(errors.QueueFull):
            await queue.put(put_of("b"))
        assert await names(queue) == ["a"]


async def test_a_claim_whose_answer_was_lost_is_given_back_before_the_next(own) -> None:
    """Its jobs lay until their lease ended: nobody knew of it."""
    server = own()
    async with (
        Wire(server.port) as wire,
        opened(f"redis://127.0.0.1:{wire.port}") as queue,
        opened(servers.redis_url(server)) as other,
    ):
        await queue.put(put_of("other's"))
        held = await other.claim("line", 10, 60)
        for name in ("a", "b"):
            await queue.put(put_of(name))
        wire.swallow = True
        with pytest.raises(errors.Unavailable):
            await queue.claim("line", 10, 60)
        assert not wire.swallow
        assert await names(queue) == ["a", "b"]
        # Nobody else's was given back.
        await other.ack(held)


# Outages


async def test_what_could_not_be_given_back_is_before_the_next_claim(own) -> None:
    server = own()
    async with opened(servers.redis_url(server)) as queue:
        await queue.put(put_of("a"))
        claimed = await queue.claim("line", 10, 3_600)
        with servers.stopped(server):
            with pytest.raises(errors.Unavailable):
                await queue.release(claimed)
            for _ in range(2):
                with pytest.raises(errors.Unavailable):
                    await queue.claim("line", 10, 3_600)
        await until_it_takes(queue, "b")
        assert await names(queue) == ["a", "b"]


async def test_what_was_answered_survives_a_restart_and_the_rest_is_refused(own) -> None:
    server = own()
    async with opened(servers.redis_url(server)) as queue:
        await queue.put(put_of("before"))
        with servers.stopped(server):
            with pytest.raises(errors.Unavailable):
                await queue.put(put_of("meanwhile"))
            for attempt in (queue.get("before"), queue.claim("line", 1, 60), queue.stats()):
                with pytest.raises(errors.Unavailable):
                    await attempt
        await until_it_takes(queue, "after")
        assert await names(queue) == ["before", "after"]
        assert await queue.counters("put") == {"put": 2}


async def test_a_wait_is_woken_again_after_a_restart(own) -> None:
    server = own()
    async with opened(servers.redis_url(server)) as queue, opened(servers.redis_url(server)) as other:
        with servers.stopped(server):
            pass
        await until_it_takes(other, "a")
        async with asyncio.timeout(30):
            while True:
                with contextlib.suppress(errors.Unavailable):
                    await queue.wait("line", 3600)
                    break
        assert await names(queue) == ["a"]


async def test_a_kill_loses_nothing_that_was_answered(own) -> None:
    """With `everysec` it answers before it writes while a sync of its disk is under way (docs/scaling.md)."""
    server = own("--appendfsync", "always")
    async with opened(servers.redis_url(server)) as queue:
        answered: set[str] = set()

        async def put(name: str) -> None:
            with contextlib.suppress(errors.Unavailable):
                await queue.put(put_of(name))
                answered.add(name)

        putting = [asyncio.create_task(put(f"{number}")) for number in range(2_000)]
        await asyncio.gather(*putting[:700])
        server._process.send_signal(signal.SIGKILL)
        await asyncio.gather(*putting)
        server._process.wait()
        server.start()
        await until_it_takes(queue, "after")
        stored = set(await names(queue))
        assert answered <= stored
        assert (await queue.counters("put"))["put"] == len(stored)


async def until_it_takes(queue: RedisQueue, name: str) -> None:
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(errors.Unavailable):
                await queue.put(put_of(name))
                return
            await asyncio.sleep(0.05)


async def test_a_full_memory_is_unavailable_and_what_is_stored_can_be_worked_off(own) -> None:
    async with opened(servers.redis_url(own("--maxmemory", "3mb"))) as queue:
        large = Write(jobs=[NewJob("line", bytes(100_000))], counters={"put": 1})
        puts = 0
        with contextlib.suppress(errors.Unavailable):
            while True:
                await queue.put(large)
                puts += 1
        with pytest.raises(errors.Unavailable, match="cannot be used right now"):
            await queue.put(large)
        assert await queue.counters("put") == {"put": puts}
        jobs = await queue.claim("line", 100, 60)
        assert len(jobs) == puts
        await queue.ack(jobs, Write(jobs=[NewJob("next", b"b")]))
        await until_it_takes(queue, "after")


# How it is reached


if "redis" in PROGRAMS:  # the Valkey of the tests has no TLS

    async def test_tls_with_an_authority_that_is_named(tmp_path: Path) -> None:
        authority = trustme.CA()
        certificate = authority.issue_cert("localhost", "127.0.0.1")
        server = servers.start_redis("redis")
        folder, port = server.folder, servers.free_port()
        authority.cert_pem.write_to_path(folder / "ca.pem")
        certificate.private_key_pem.write_to_path(folder / "key.pem")
        certificate.cert_chain_pems[0].write_to_path(folder / "cert.pem")
        for file in folder.glob("*.pem"):
            file.chmod(0o644)
        server.stop()
        server._command += [
            "--tls-port", str(port), "--tls-cert-file", str(folder / "cert.pem"),
            "--tls-key-file", str(folder / "key.pem"), "--tls-ca-cert-file", str(folder / "ca.pem"),
            "--tls-auth-clients", "no",
        ]  # fmt: skip
        server.start()
        try:
            async with opened(f"rediss://localhost:{port}?ssl_ca_certs={folder / 'ca.pem'}") as queue:
                await queue.put(put_of("a"))
                assert await names(queue) == ["a"]
            with pytest.raises(errors.Unavailable, match=r"certificate|CERTIFICATE"):
                await RedisQueue.open(redis_url.parse(f"rediss://localhost:{port}"), SystemClock())
        finally:
            server.kill()


@pytest.mark.parametrize("name", PROGRAMS)
async def test_sentinels_name_the_server(name: str) -> None:
    sentinel = servers.start_sentinel(name, servers.redis(name))
    async with opened(f"redis-sentinel://127.0.0.1:{sentinel.port}/main") as queue:
        await queue.put(put_of("a"))
        assert await names(queue) == ["a"]
    with pytest.raises(errors.Unavailable):
        await RedisQueue.open(redis_url.parse(f"redis-sentinel://127.0.0.1:{sentinel.port}/other"), SystemClock())


async def test_sentinels_and_the_server_have_passwords_of_their_own(own) -> None:
    server = own("--requirepass", "of-the-server")
    sentinel = servers.start_sentinel(
        PROGRAMS[-1], server, "requirepass of-the-sentinel", "sentinel auth-pass main of-the-server"
    )
    where = f"redis-sentinel://:of-the-server@127.0.0.1:{sentinel.port}/main"
    async with opened(f"{where}?sentinel_password=of-the-sentinel") as queue:
        await queue.put(put_of("a"))
        assert await names(queue) == ["a"]
    for wrong in (where, f"{where}?sentinel_password=of-the-server"):
        with pytest.raises(errors.Unavailable) as caught:
            await RedisQueue.open(redis_url.parse(wrong), SystemClock())
        assert "of-the-server" not in caught.value.message
    sentinel.kill()


async def test_a_cluster_keeps_an_instance_in_one_slot(own) -> None:
    """Three nodes share the slots; the prefixes fall on different ones."""
    nodes = [own("--cluster-enabled", "yes", "--cluster-port", str(servers.free_port())) for _ in range(3)]
    await asyncio.to_thread(join, nodes)
    hosts = ",".join(f"127.0.0.1:{node.port}" for node in nodes)
    found = {}
    for prefix in ("one", "two", "three", "four"):
        async with (
            opened(f"redis-cluster://{hosts}", prefix=prefix) as queue,
            opened(f"redis-cluster://127.0.0.1:{nodes[0].port}", prefix=prefix) as worker,
        ):
            waiting = asyncio.create_task(worker.wait("line", 3600))
            await asyncio.sleep(0)
            await queue.put(put_of(prefix))
            async with asyncio.timeout(10):
                await waiting
            assert await names(worker) == [prefix]
            found[prefix] = await queue.scan("", 10)
    assert found == {prefix: [(prefix, b"v")] for prefix in found}


def join(nodes: list[servers.Server]) -> None:
    """Make a cluster of nodes, as the server's own tool does."""
    share = -(-16_384 // len(nodes))
    for number, node in enumerate(nodes):
        slots = range(number * share, min(16_384, (number + 1) * share))
        ask(node, "CLUSTER", "SET-CONFIG-EPOCH", str(number + 1))
        ask(node, "CLUSTER", "ADDSLOTSRANGE", str(slots.start), str(slots.stop - 1))
        ask(node, "CLUSTER", "MEET", "127.0.0.1", str(nodes[0].port), bus_port(nodes[0]))
    for node in nodes:
        servers.wait_until(lambda node=node: b"cluster_state:ok" in ask(node, "CLUSTER", "INFO"))
        servers.wait_until(lambda node=node: ask(node, "CLUSTER", "NODES").count(b" connected") == len(nodes))


def bus_port(node: servers.Server) -> str:
    return node._command[node._command.index("--cluster-port") + 1]


def ask(server: servers.Server, *words: str) -> bytes:
    with socket.create_connection(("127.0.0.1", server.port), 5) as connection:
        connection.sendall((" ".join(words) + "\r\n").encode())
        answer = connection.recv(65_536)
    assert not answer.startswith(b"-"), answer
    return answer
