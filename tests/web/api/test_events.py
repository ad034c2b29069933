"""Events through the API: sent by a server, and taken away as a whole."""

import csv
import io
import json
from itertools import pairwise
from typing import Any

import pytest
from aiohttp import ClientError, ClientResponse, web

from tests.kit import visits
from tests.web.api.conftest import KEY, OTHER_KEY, OTHER_WRITE_KEY, WRITE_KEY, Ask
from tests.web.conftest import Site
from vemetric import errors
from vemetric.clock import FrozenClock
from vemetric.model.project import Project
from vemetric.stats import all_events

FULL = ["2025-12-01", "2026-01-31"]


async def read_into(came: bytearray, response: ClientResponse) -> None:
    """All that comes of an answer, also of one that breaks off."""
    async for piece in response.content.iter_any():
        came += piece


class TestExport:
    async def test_every_event_in_order(self, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
        # Smaller than what happened in a moment's reading, so that pieces have to be put together.
        monkeypatch.setattr(all_events, "PIECE_ROWS", 2)
        answer = await ask("/v1/events/export", {"dateRange": FULL})
        assert answer.headers["Content-Type"] == "application/x-ndjson; charset=utf-8"
        assert "X-RateLimit-Limit" in answer.headers
        lines = list(map(json.loads, answer.body.splitlines()))
        assert [line["createdAt"] for line in lines] == sorted(line["createdAt"] for line in lines)
        assert len({line["id"] for line in lines}) == len(lines) == 14
        assert lines[2] == {
            "id": "event-1",
            "userId": "1",
            "userIdentifier": "user-1",
            "sessionId": "s1",
            "name": "signup",
            "isPageView": False,
            "createdAt": "2026-01-18T09:02:00.000Z",
            "origin": "https://example.com",
            "path": "/signup",
            "hash": None,
            "country": "US",
            "city": "New York",
            "browser": "Chrome",
            "os": "macOS",
            "deviceType": "desktop",
            "data": {"plan": "pro"},
        }

    async def test_reads_further_where_little_is_found(
        self, ask: Ask, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Else filters that fit nothing would take a statement for every few hours, and the head as long as all."""
        query, asked = site.services.engine.query, list[dict[str, int]]()

        async def noted(sql: str, parameters: Any = None) -> Any:
            asked.append(parameters)
            return await query(sql, parameters)

        monkeypatch.setattr(site.services.engine, "query", noted)
        nothing = {"type": "page", "path": {"value": "/nowhere", "operator": "eq"}}
        assert (await ask("/v1/events/export", {"dateRange": FULL, "filters": [nothing]})).body == ""
        _, *pieces = [(one["start"], one["end"]) for one in asked]
        assert all(end == start for (_, end), (start, _) in pairwise(pieces))
        assert all(end - start <= all_events.PIECE_MS_MAX for start, end in pieces)
        # 25 days of six hours each would be a hundred.
        assert len(pieces) < 10

    async def test_as_a_table_of_some(self, ask: Ask) -> None:
        filters = [{"type": "event", "name": {"value": "signup", "operator": "eq"}}]
        asked = {"dateRange": FULL, "filters": filters, "format": "csv"}
        answer = await ask("/v1/events/export", asked)
        heads, *lines = csv.reader(io.StringIO(answer.body))
        assert [dict(zip(heads, line, strict=True))["data"] for line in lines] == [
            '{"plan":"pro"}',
            '{"plan":"starter"}',
            '{"plan":"pro"}',
        ]
        nothing = await ask("/v1/events/export", {"dateRange": ["2020-01-01", "2020-01-02"]})
        assert (nothing.status, nothing.body) == (200, "")

    @pytest.mark.parametrize("error", [errors.StoreBusy("too much to do"), RuntimeError("nobody foresaw it")])
    async def test_is_never_ended_in_the_middle_as_if_whole(
        self,
        project: Project,
        site: Site,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
        error: Exception,
    ) -> None:
        query, asked = site.services.engine.query, list[str]()

        async def fails_later(sql: str, parameters: Any = None) -> Any:
            asked.append(sql)
            if len(asked) > 3:
                raise error
            return await query(sql, parameters)

        monkeypatch.setattr(all_events, "PIECE_ROWS", 2)
        monkeypatch.setattr(site.services.engine, "query", fails_later)
        sent, came = {"Authorization": f"Bearer {KEY}"}, bytearray()
        async with site.client.post("/api/v1/events/export", json={"dateRange": FULL}, headers=sent) as response:
            assert response.status == 200
            with pytest.raises(ClientError, match=r"payload|disconnected|closing|reset"):
                await read_into(came, response)
        # Whole lines came, and no other answer in their midst.
        assert [json.loads(line)["id"] for line in came.splitlines()] == ["event-13"]
        assert str(error) in caplog.text

    async def test_is_broken_off_by_who_asked_without_a_word(
        self, ask: Ask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        write, left = web.StreamResponse.write, list[bytes]()

        async def leaves(response: Any, data: bytes) -> None:
            left.append(data)
            response._req.transport.abort()
            await write(response, data)

        monkeypatch.setattr(web.StreamResponse, "write", leaves)
        with pytest.raises(Exception, match=r"payload|isconnected|closing|reset"):
            await ask("/v1/events/export", {"dateRange": FULL})
        assert left
        assert not [record for record in caplog.records if record.levelname == "ERROR"]


class TestSending:
    async def test_events_of_now_and_before_are_taken_once(
        self, ask: Ask, site: Site, other: Project, clock: FrozenClock
    ) -> None:
        events = [
            {"id": "a", "name": "purchase", "userIdentifier": "user-1", "customData": {"plan": "pro", "seats": 3}},
            {"id": "b", "name": "renewal", "userIdentifier": "user-2", "timestamp": "2026-02-17T00:00:00+01:00"},
            {"name": "$$pageView", "userIdentifier": "user-1"},
            {"name": "purchase", "userIdentifier": "user-1", "timestamp": "2026-02-01T00:00:00Z"},
            {"name": "purchase", "userIdentifier": "user-1", "url": "nowhere"},
        ]
        answer = await ask("/v1/events", {"events": events}, key=OTHER_WRITE_KEY)
        assert (answer.status, answer.body["accepted"], answer.body["repeated"]) == (200, 2, 0)
        assert [(one["index"], one["reason"]) for one in answer.body["refused"]] == [
            (2, "invalid"),
            (3, "invalid"),
            (4, "invalid"),
        ]
        again = await ask("/v1/events", {"events": events[:2]}, key=OTHER_WRITE_KEY)
        assert again.body == {"accepted": 0, "repeated": 2, "refused": []}
        await visits.settle(site.services)
        lines = (await ask("/v1/events/export", {"dateRange": "30days"}, key=OTHER_KEY)).body.splitlines()
        kept = ("userIdentifier", "name", "createdAt", "data")
        assert [tuple(line[name] for name in kept) for line in map(json.loads, lines)] == [
            ("user-2", "renewal", "2026-02-16T23:00:00.000Z", {}),
            ("user-1", "purchase", "2026-02-17T23:59:59.000Z", {"plan": "pro", "seats": 3}),
        ]

    async def test_says_where_events_are_wrong(self, ask: Ask) -> None:
        async def fields(body: Any) -> list[str]:
            return (await ask("/v1/events", body, key=WRITE_KEY)).fields

        assert await fields({}) == ["events"]
        assert await fields({"events": []}) == ["events"]
        assert await fields({"events": [{"name": "x"}] * 501}) == ["events"]
        assert await fields({"events": [{"name": ""}]}) == ["events.0.name", "events.0.userIdentifier"]
        for timestamp in ("", "now", "2026-02-17", "2026-02-17T10:00:00", "2026-02-30T10:00:00Z", "1771279200"):
            event = {"name": "x", "userIdentifier": "a", "timestamp": timestamp}
            assert await fields({"events": [event]}) == ["events.0.timestamp"], timestamp
        assert await fields({"events": [{"name": "x", "userIdentifier": "a", "customData": []}]}) == [
            "events.0.customData"
        ]
