"""Events by the batch: all that is good is taken at once, at its own time, and each once however often it is sent."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from tests.kit import http, visits
from tests.kit.http import Answer
from tests.workers.test_pipeline import rows
from vemetric import commands, errors
from vemetric.clock import FrozenClock
from vemetric.ingest import batch
from vemetric.ingest.live_session import KEY_PREFIX
from vemetric.model.project import Project
from vemetric.queues.job import Write
from vemetric.services import Services
from vemetric.web import hub_batch
from vemetric.web.hub import Hub
from vemetric.web.tracker import Tracker

MINUTE_MS, HOUR_MS = 60_000, 3_600_000


class Client:
    """Sends batches of one project."""

    def __init__(self, services: Services, project: Project, port: int) -> None:
        self.services = services
        self.project = project
        self._port = port

    async def send(self, body: Any, **headers: str) -> Answer:
        """Any body; headers by name, underscores for dashes."""
        named = {"Content-Type": "application/json", "Token": self.project.token, "User-Agent": visits.CHROME}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await http.exchange(self._port, "POST", "/batch", list(named.items()), content)

    async def taken(self, *events: Any, **headers: str) -> dict[str, Any]:
        """What is answered to these events, once they are stored."""
        answer = await self.send(list(events), **headers)
        assert (answer.status, answer.header("content-type")) == (200, "application/json")
        await visits.settle(self.services)
        outcome: dict[str, Any] = json.loads(answer.body)
        return outcome

    async def stored(self, columns: str, table: str = "event") -> list[list[Any]]:
        return await rows(self.services, self.project.id, table, columns)


@pytest.fixture
async def client(services_at_noon: Services) -> AsyncIterator[Client]:
    project = await visits.a_project(services_at_noon, "shop.example.com")
    runner = web.ServerRunner(web.Server(Hub(services_at_noon, Tracker()).handle, auto_decompress=False))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield Client(services_at_noon, project, runner.addresses[0][1])
    await runner.cleanup()


def event(name: str = "Bought", **fields: Any) -> dict[str, Any]:
    return {"name": name, "userIdentifier": "ann", **fields}


async def test_events_happen_when_they_say(client: Client, clock: FrozenClock) -> None:
    now_ms = clock.now_ms()
    outcome = await client.taken(
        event("Now"),
        event("Ahead", timestamp=now_ms + batch.TIMESTAMP_AHEAD_MS_MAX),
        event("Number", timestamp=now_ms - 3 * HOUR_MS),
        event("Text", timestamp="2026-03-09T13:00:00.250+01:00"),
        event("Oldest", timestamp=now_ms - batch.TIMESTAMP_AGE_MS_MAX),
    )
    assert outcome == {"accepted": 5, "repeated": 0, "refused": []}
    assert await client.stored("name, toString(createdAt)") == [
        ["Ahead", "2026-03-10 12:00:00.000"],
        ["Now", "2026-03-10 12:00:00.000"],
        ["Number", "2026-03-10 09:00:00.000"],
        ["Oldest", "2026-03-07 12:00:00.000"],
        ["Text", "2026-03-09 12:00:00.250"],
    ]


@pytest.mark.parametrize(
    "timestamp",
    [
        "2026-03-07T11:59:59.999Z", "2026-03-10T12:05:00.001Z", "2026-03-10T12:00:00", "yesterday", 1_773_144_000, True,
        {}, [1], "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00",
    ],
)  # fmt: skip
async def test_other_times_are_refused(client: Client, timestamp: Any) -> None:
    outcome = await client.taken(event(timestamp=timestamp), event("Good"))
    assert outcome == {
        "accepted": 1,
        "repeated": 0,
        "refused": [
            {"index": 0, "reason": "invalid", "message": "timestamp is not within the last 72 hours"},
        ],
    }


async def test_an_event_with_an_id_is_taken_once(client: Client, clock: FrozenClock) -> None:
    first = [event("One", id="a"), event("Two", id="b"), event("Two again", id="b"), event("Three")]
    assert await client.taken(*first) == {"accepted": 3, "repeated": 1, "refused": []}
    clock.advance(HOUR_MS)
    assert await client.taken(*first, event("Four", id="c")) == {"accepted": 2, "repeated": 3, "refused": []}
    names = sorted(name for (name,) in await client.stored("name"))
    assert names == ["Four", "One", "Three", "Three", "Two"]
    # All of it came once more: nothing but the count is written.
    assert await client.taken(first[0], first[1]) == {"accepted": 0, "repeated": 2, "refused": []}
    told = await commands.run(client.services, "verify", {})
    assert (told["accepted"], told["stored"], told["repeated"], told["difference"]) == (11, 5, 6, 0)


async def test_an_id_is_never_taken_for_a_place_in_the_batch(client: Client) -> None:
    outcome = await client.taken(event("One", id="#1"), event("Two"), event("Three", id="0"), event("Four"))
    assert outcome == {"accepted": 4, "repeated": 0, "refused": []}
    assert await client.stored("name") == [["Four"], ["One"], ["Three"], ["Two"]]


async def test_ids_are_of_a_project(client: Client) -> None:
    other = Client(client.services, await visits.a_project(client.services), client._port)
    assert (await client.taken(event(id="a")))["accepted"] == 1
    assert (await other.taken(event(id="a")))["accepted"] == 1


async def test_the_same_batch_many_times_at_once_is_taken_once(client: Client) -> None:
    events = [event(f"Event {number}", id=str(number)) for number in range(20)]
    answers = await asyncio.gather(*(client.send(events) for _ in range(10)))
    assert sum(json.loads(answer.body)["accepted"] for answer in answers) == 20
    await visits.settle(client.services)
    assert len(await client.stored("id")) == 20


async def test_another_process_at_it_is_waited_for_by_the_sender(client: Client, clock: FrozenClock) -> None:
    await client.services.keys.set_if_absent(f"batch:{client.project.id}", b"other", clock.now_ms() + MINUTE_MS)
    answer = await client.send([event(id="a")])
    assert (answer.status, answer.header("retry-after")) == (503, "5")
    assert (await client.send([event()])).status == 200


async def test_nothing_of_a_batch_is_taken_when_it_cannot_be_written(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = [event("One", id="a"), {"name": "$$pageView", "url": "https://shop.example.com/"}]

    async def broken(write: Write) -> None:
        raise errors.Unavailable

    with monkeypatch.context() as patched:
        patched.setattr(client.services.queue, "put", broken)
        assert (await client.send(events)).status == 503
    assert await client.taken(*events) == {"accepted": 2, "repeated": 0, "refused": []}
    assert await client.stored("count()", "session") == [[2]]


async def test_each_event_is_judged_by_itself(client: Client) -> None:
    outcome = await client.taken(
        {"name": ""}, "text", event(), {"name": "$$pageView"}, event(id="x" * 201), event(id="x" * 200),
        {"name": "$$outboundLink", "url": "https://shop.example.com", "customData": {"href": "https://shop.example.com"}},
    )  # fmt: skip
    assert (outcome["accepted"], [each["index"] for each in outcome["refused"]]) == (2, [0, 1, 3, 4, 6])
    assert [each["reason"] for each in outcome["refused"]] == ["invalid"] * 4 + ["internal-link"]
    assert outcome["refused"][2]["message"] == "Missing URL for $$pageView event"


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (b"{", 400, "Malformed JSON in request body"), (b"", 400, "Malformed JSON in request body"),
        ({"name": "x"}, 400, "Invalid!"), (None, 400, "Invalid!"),
    ],
)  # fmt: skip
async def test_anything_but_an_array_is_refused(client: Client, body: Any, status: int, text: str) -> None:
    answer = await client.send(body)
    assert (answer.status, answer.body.decode()) == (status, text)


async def test_a_batch_has_a_bound(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_batch, "EVENTS_MAX", 2)
    assert (await client.taken(event(), event()))["accepted"] == 2
    assert (await client.send([event()] * 3)).status == 413
    assert await client.taken() == {"accepted": 0, "repeated": 0, "refused": []}


async def test_a_token_is_needed(client: Client) -> None:
    assert (await client.send([event()], Token="wrong")).status == 401


async def test_visits_of_the_past_are_told_apart(client: Client, clock: FrozenClock) -> None:
    """29 minutes on are the same visit, 31 are another; what is still under way goes on."""

    def at(minutes_ago: int) -> dict[str, Any]:
        path = f"https://shop.example.com/{minutes_ago}"
        return {"name": "$$pageView", "url": path, "timestamp": clock.now_ms() - minutes_ago * MINUTE_MS}

    await client.taken(at(20), at(500), at(471), at(440), at(10))
    clock.advance(MINUTE_MS)
    await visits.event(client.services, client.project, path="/now", who=visits.sender(client.project, ip="127.0.0.1"))
    await visits.settle(client.services)
    assert await client.stored("pathname, duration", "session") == [["/20", 21 * 60], ["/440", 0], ["/500", 29 * 60]]


@pytest.mark.parametrize("batches", [((50, 25),), ((50, 25, 0),), ((50,), (25,)), ((70, 50), (25,), (45,))])
async def test_a_visit_of_the_past_that_reaches_into_the_present_goes_on(
    client: Client, clock: FrozenClock, batches: tuple[tuple[int, ...], ...]
) -> None:
    """Who was offline and is back: what was collected and what comes now is one visit."""
    for minutes_ago in batches:
        await client.taken(*({"name": "Read", "timestamp": clock.now_ms() - ago * MINUTE_MS} for ago in minutes_ago))
    clock.advance(MINUTE_MS)
    await visits.event(client.services, client.project, who=visits.sender(client.project, ip="127.0.0.1"))
    await visits.settle(client.services)
    assert await client.stored("uniqExact(sessionId), count()") == [[1, sum(map(len, batches)) + 1]]
    assert await client.stored("duration", "session") == [[(batches[0][0] + 1) * 60]]


async def test_an_event_before_the_visit_that_is_under_way_is_a_visit_of_its_own(
    client: Client, clock: FrozenClock
) -> None:
    await client.taken({"name": "$$pageView", "url": "https://shop.example.com/now"})
    earlier = {"name": "Early", "timestamp": clock.now_ms() - 10 * MINUTE_MS}
    await client.taken(earlier, {"name": "Now"})
    assert await client.stored("uniqExact(sessionId), count()") == [[2, 3]]
    assert await client.stored("toString(startedAt), duration", "session") == [
        ["2026-03-10 11:50:00.000", 0], ["2026-03-10 12:00:00.000", 0]
    ]  # fmt: skip


@pytest.mark.parametrize(("earlier_ms", "visits_made"), [(1, 1), (MINUTE_MS, 1), (MINUTE_MS + 1, 2)])
async def test_a_visit_that_begins_while_a_batch_is_on_its_way_is_not_split(
    client: Client, clock: FrozenClock, earlier_ms: int, visits_made: int
) -> None:
    sent_ms = clock.now_ms() - earlier_ms
    await visits.event(client.services, client.project, who=visits.sender(client.project, ip="127.0.0.1"))
    await client.taken({"name": "Sent before", "timestamp": sent_ms})
    assert await client.stored("uniqExact(sessionId), count()") == [[visits_made, 2]]
    assert await client.stored("count()", "session") == [[visits_made]]


async def test_an_event_is_not_put_into_a_visit_that_begins_while_it_is_placed(
    client: Client, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    load, sender = batch.Visits.load, visits.sender(client.project, ip="127.0.0.1")

    async def load_slowly(self: batch.Visits, key: str) -> None:
        await load(self, key)
        monkeypatch.undo()
        await visits.event(client.services, client.project, who=sender)

    monkeypatch.setattr(batch.Visits, "load", load_slowly)
    await client.taken({"name": "Earlier", "timestamp": clock.now_ms() - 20 * MINUTE_MS})
    assert await client.stored("uniqExact(sessionId), count()") == [[2, 2]]


async def test_a_batch_may_speak_of_many_users(client: Client) -> None:
    await client.taken(event(), event(userIdentifier="bob", displayName="Bob", userData={"set": {"a": 1}}), event())
    assert await client.stored("userIdentifier, userDisplayName") == [["ann", ""], ["ann", ""], ["bob", "Bob"]]
    assert await client.stored("identifier, customData", "user") == [["ann", "{}"], ["bob", '{"a":1}']]


async def test_a_visitor_with_cookies_gets_one(client: Client) -> None:
    answer = await client.send([{"name": "One"}, {"name": "Two"}], Allow_Cookies="true")
    assert (answer.header("set-cookie") or "").startswith("_vuid=")
    await visits.settle(client.services)
    [[user_id]] = await client.stored("DISTINCT userId")
    assert f"_vuid={user_id};" in (answer.header("set-cookie") or "")


async def test_a_batch_of_now_loses_no_visit_of_the_past(
    client: Client, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for no turn: what another one notes of the past while it is written must stay."""
    services, now_ms = client.services, clock.now_ms()
    await client.taken(*(event("Early", timestamp=now_ms - ago * MINUTE_MS) for ago in (40, 20)))
    # As on another hub whose live visits have just been lost.
    [(name, _)] = await services.keys.scan(KEY_PREFIX, 2)
    await services.keys.delete(name)
    services.sessions._cache.clear()
    put, others = services.queue.put, [event("Older", timestamp=now_ms - 5 * HOUR_MS)]

    async def put_after_another(write: Write) -> None:
        while others:
            await client.send([others.pop()])
        await put(write)

    monkeypatch.setattr(services.queue, "put", put_after_another)
    await client.taken(event("Now"))
    await client.taken(event("Oldest", timestamp=now_ms - 5 * HOUR_MS + 10 * MINUTE_MS))
    visits_of = dict(await client.stored("name, sessionId"))
    assert visits_of["Now"] == visits_of["Early"]
    assert visits_of["Oldest"] == visits_of["Older"]
    assert len(set(visits_of.values())) == 2


async def test_batches_of_the_same_past_share_its_visits(client: Client, clock: FrozenClock) -> None:
    def ago(minutes: int) -> int:
        return clock.now_ms() - minutes * MINUTE_MS

    await client.taken(event(timestamp=ago(600)), event(timestamp=ago(500)))
    # Within the first visit, at its end, and between the two.
    await client.taken(event(timestamp=ago(590)), event(timestamp=ago(561)), event(timestamp=ago(520)))
    await client.taken(event("Other", userIdentifier="bob", timestamp=ago(595)))
    of_events = Counter(tuple(one) for one in await client.stored("userId, sessionId"))
    assert sorted(of_events.values()) == [1, 1, 1, 3]
    durations = [seconds for (seconds,) in await client.stored("duration", "session")]
    assert sorted(durations) == [0, 0, 0, 39 * 60]
