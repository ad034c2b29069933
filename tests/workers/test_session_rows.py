"""Folding: whatever the order and the clock, what is written of a session can be stored."""

import msgspec

from vemetric.ingest.jobs import SessionAttributes, SessionPart
from vemetric.workers import session_rows

ATTRIBUTES = SessionAttributes("", "", "", "", None, None, *[""] * 13)


def part(ended_ms: int, *, opens: bool = False, pathname: str = "/") -> SessionPart:
    attributes = msgspec.structs.replace(ATTRIBUTES, pathname=pathname)
    return SessionPart(1, 2, "session", 10_000, ended_ms, opens, attributes)


def test_a_clock_set_back_makes_no_negative_duration() -> None:
    row = session_rows.fold(None, part(1_000))
    assert row is not None
    assert (row.startedAt, row.endedAt, row.duration) == ("1970-01-01 00:00:10.000", "1970-01-01 00:00:10.000", 0)
    assert session_rows.fold(row, part(2_000)) is None


def test_a_stand_in_gives_way_to_the_opening_event() -> None:
    row = session_rows.fold(session_rows.fold(None, part(12_000, pathname="/second")), part(10_000, opens=True))
    assert row is not None
    assert (row.pathname, row.duration, row.version) == ("/", 2, 2)
    assert session_rows.fold(row, part(10_000, opens=True)) is None
