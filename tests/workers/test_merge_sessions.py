"""Re-assigning visits in a merge: the recorded cases of the original, and its two mistakes mended."""

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from vemetric.clickhouse.rows import milliseconds, timestamp
from vemetric.workers.merge_sessions import NEAR_MS, Reassigned, Visit, reassign
from vemetric.workers.session_rows import whole_seconds

DIRECTORY = Path(os.environ.get("VEMETRIC_TEST_VECTORS", Path(__file__).parents[1] / "vectors"))
CASES: list[dict[str, Any]] = msgspec.json.decode((DIRECTORY / "merge_sessions.json").read_bytes())

MINUTE_MS = 60_000


def ms(text: str) -> int:
    return milliseconds(text)


@pytest.mark.vectors
@pytest.mark.parametrize("case", CASES, ids=[case["in"]["name"] for case in CASES])
def test_a_recorded_case(case: dict[str, Any]) -> None:
    given, expected = case["in"], case["out"]
    events = [(event["sessionId"], ms(event["createdAt"])) for event in given["events"]]
    known = {session["id"]: session for session in given["newUserSessionsReturnedByLookup"]}
    found = reassign(events, [Visit(one["id"], ms(one["startedAt"]), ms(one["endedAt"])) for one in known.values()])
    assert found.moved == expected["sessionIdMapping"]
    assert [known[id_] | changed(visit) for id_, visit in found.widened.items()] == expected["sessionsWithTimeUpdates"]
    started_earlier = [id_ for id_, visit in found.widened.items() if visit.started_ms != ms(known[id_]["startedAt"])]
    assert [known[id_] for id_ in started_earlier] == expected["newUserSessionsToDelete"]
    stored = {session["id"]: session for session in given["oldUserSessions"]}
    assert [stored[id_] for id_ in found.kept if id_ in stored] == expected["oldSessionsToMigrate"]
    after = {event["id"]: found.moved.get(event["sessionId"], event["sessionId"]) for event in given["events"]}
    assert after == expected["eventSessionAfter"]
    if events:
        times = [at_ms for _, at_ms in events]
        lookup = (timestamp(min(times) - NEAR_MS), timestamp(max(times) + NEAR_MS))
        assert lookup == (expected["lookup"]["from"], expected["lookup"]["to"])


def changed(visit: Visit) -> dict[str, Any]:
    return {
        "startedAt": timestamp(visit.started_ms),
        "endedAt": timestamp(visit.ended_ms),
        "duration": whole_seconds(visit.ended_ms - visit.started_ms),
    }


def test_a_visit_that_moves_takes_its_far_events_along_and_leaves_no_copy() -> None:
    far_ms = 100 * MINUTE_MS
    visit = Visit("n1", 0, 10 * MINUTE_MS)
    found = reassign([("o1", 20 * MINUTE_MS), ("o1", far_ms)], [visit])
    assert found == Reassigned({"o1": "n1"}, [], {"n1": Visit("n1", 0, far_ms)})
    assert reassign([("o1", far_ms), ("o1", 20 * MINUTE_MS)], [visit]) == found


def test_what_lies_near_is_measured_from_the_visit_as_it_was() -> None:
    """A visit that grows does not draw in what was far from it."""
    found = reassign([("o1", 40 * MINUTE_MS), ("o2", 70 * MINUTE_MS)], [Visit("n1", 0, 10 * MINUTE_MS)])
    assert found.moved == {"o1": "n1"}
    assert found.kept == ["o2"]
