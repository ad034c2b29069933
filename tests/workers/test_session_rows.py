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


def test_a_visit_with_an_earlier_start_than_its_jobs_know_is_as_long_as_it_was() -> None:
    row = session_rows.fold(None, part(11_000, opens=True))
    assert row is not None
    earlier = msgspec.structs.replace(row, startedAt="1970-01-01 00:00:04.000", duration=7, mergeId=5)
    longer = session_rows.fold(earlier, part(13_000))
    assert longer is not None
    assert (longer.startedAt, longer.endedAt, longer.duration, longer.mergeId) == (
        *("1970-01-01 00:00:04.000", "1970-01-01 00:00:13.000"),
        *(9, 5),
    )


def test_a_visit_that_went_to_another_user_begins_again_with_what_came_later() -> None:
    row = session_rows.fold(None, part(11_000, opens=True))
    assert row is not None
    gone = msgspec.structs.replace(row, deleted=1, endedAt="1970-01-01 00:00:20.000", version=4)
    assert session_rows.fold(gone, part(20_000, pathname="/late")) is None
    again = session_rows.fold(gone, part(21_000, pathname="/again"))
    assert again is not None
    assert (again.deleted, again.pathname, again.duration, again.version) == (0, "/again", 11, 5)
