"""Folding: whatever the order and the clock, what is written of a session can be stored."""

from typing import cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vemetric.clickhouse.rows import SESSION_COLUMNS, SessionRow
from vemetric.ingest import jobs
from vemetric.ingest.jobs import NO_ATTRIBUTES, SessionAttributes, SessionPart
from vemetric.services import Services
from vemetric.workers import session_rows
from vemetric.workers.session import REMEMBERED_BYTES_MAX, SessionWorker
from vemetric.workers.session_rows import KeptRow

ATTRIBUTES = SessionAttributes("", "", "", "", None, None, *[""] * 13)


def part(ended_ms: int, *, opens: bool = False, pathname: str = "/") -> SessionPart:
    attributes = msgspec.structs.replace(ATTRIBUTES, pathname=pathname)
    return SessionPart(1, 2, "session", 10_000, ended_ms, opens, jobs.pack_attributes(attributes))


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


PLACES = [("", "", None, None), ("AT", "", None, None), ("AT", "Wien", 48.25, 16.5), ("", "Ort", None, None)]
places = st.sampled_from(PLACES)
ended = st.integers(8_000, 16_000).map(lambda ms: ms // 500 * 500)


@st.composite
def parts(draw: st.DrawFn) -> SessionPart:
    """What may be said of a visit: by its opening event, by another one, by a leave; by programs of any age."""
    ended_ms = draw(ended)
    if draw(st.booleans()) and draw(st.booleans()):
        return SessionPart(1, 2, "session", 10_000, ended_ms, False, NO_ATTRIBUTES, ended_ms, draw(st.booleans()))
    place = draw(places)
    attributes = SessionAttributes(draw(st.sampled_from(["", "ann"])), "", *place, *[""] * 13)
    packed = jobs.pack_attributes(msgspec.structs.replace(attributes, pathname=draw(st.sampled_from(["/", '/"ü"\n']))))
    is_placeless = place == PLACES[0] and draw(st.booleans())
    return SessionPart(1, 2, "session", 10_000, ended_ms, draw(st.booleans()), packed, ended_ms, is_placeless)


@st.composite
def stored_rows(draw: st.DrawFn) -> SessionRow | None:
    """A row as a merge may have left it, or none."""
    opened = session_rows.fold(None, part(11_000, opens=True))
    if opened is None or draw(st.booleans()):
        return None
    country_code, city, latitude, longitude = draw(places)
    changes = {"countryCode": country_code, "city": city, "latitude": latitude, "longitude": longitude}
    start = draw(st.sampled_from(["1970-01-01 00:00:04.000", opened.startedAt]))
    deleted, merge_id = draw(st.sampled_from([(0, 0), (0, 5), (1, 5)]))
    return msgspec.structs.replace(opened, **changes, startedAt=start, duration=7, deleted=deleted, mergeId=merge_id)


@given(stored_rows(), st.lists(parts(), max_size=6))
def test_a_kept_row_comes_to_what_the_whole_row_comes_to(stored: SessionRow | None, said: list[SessionPart]) -> None:
    row, kept = stored, None if stored is None else KeptRow.of(stored)
    for one in said:
        folded, following = session_rows.fold(row, one), session_rows.next_row(kept, one)
        assert (following is None) == (folded is None)
        row, kept = folded or row, following or kept
        assert (None if kept is None else kept.whole()) == row
        if row is not None and kept is not None:
            line = msgspec.json.encode(kept.to_tuple())
            assert line == msgspec.json.encode(row.to_tuple())
            assert len(msgspec.json.decode(line)) == len(SESSION_COLUMNS)


def test_parts_of_older_programs_are_read() -> None:
    attributes = msgspec.structs.astuple(ATTRIBUTES)
    said = [(True, attributes), (True, attributes, 5), (False, None, 5)]
    first, second, leave = jobs.decode_sessions(msgspec.msgpack.encode([(1, 2, "session", 3, 4, *one) for one in said]))
    assert [jobs.attributes_of(one) for one in (first, second, leave)] == [ATTRIBUTES, ATTRIBUTES, None]
    assert [(one.first_ms, one.is_placeless) for one in (first, second, leave)] == [(0, False), (5, False), (5, False)]
    assert leave.attributes == NO_ATTRIBUTES


@pytest.mark.parametrize(("more", "is_remembered"), [(0, True), (1, False)])
async def test_a_row_is_remembered_up_to_a_length(live_services: Services, more: int, is_remembered: bool) -> None:
    worker = SessionWorker(live_services)
    short = KeptRow.of(cast(SessionRow, session_rows.fold(None, part(11_000, opens=True))))
    visit = (1, 2, "session", 10_000)
    await worker._remember([(visit, short)])
    room = REMEMBERED_BYTES_MAX - len(bytes(short.head)) - len(bytes(short.rest))
    opened = session_rows.fold(None, part(12_000, opens=True, pathname="/" + "a" * (room + more)))
    await worker._remember([(visit, KeptRow.of(cast(SessionRow, opened)))])
    assert (visit in worker._remembered) == is_remembered
