"""An event's row and what it says of its session are put together of ready pieces: every value in its place."""

from typing import Any

import msgspec
import pytest

from vemetric.clickhouse import encoding
from vemetric.clickhouse.rows import EVENT_COLUMNS
from vemetric.clickhouse.sink import KnownUser
from vemetric.ingest import jobs
from vemetric.ingest.jobs import NO_ATTRIBUTES, EventJob, LeaveJob, SessionAttributes
from vemetric.model.geo import UNKNOWN, Geo
from vemetric.workers import event_rows
from vemetric.workers.event_rows import REMEMBERED_CHARACTERS_MAX

AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
JOB = EventJob(
    project_id=1,
    domain="example.com",
    user_id=2**64 - 1,
    session_id="session",
    session_started_ms=10_000,
    event_id="event",
    created_ms=12_345,
    name="$$pageView",
    url="https://www.example.com/a%22b/?utm_source=s&utm_medium=m&utm_campaign=c&utm_content=n&utm_term=t&q=\u00fc#part",
    context_id="context",
    identifier="claimed",
    display_name="",
    custom_data='{"n":"\\n"}',
    headers=jobs.pack_headers({"user-agent": AGENT, "v-referrer": "https://www.google.com/"}),
    geo=Geo("AT", "Wien", 48.25, 16.5),
)
COMMON = {
    "countryCode": "AT", "city": "Wien", "latitude": 48.25, "longitude": 16.5, "userAgent": AGENT, "referrer": "s",
    "referrerUrl": "https://www.google.com/", "referrerType": "unknown", "origin": "https://example.com",
    "pathname": "/a%22b", "queryParams": (
        '{"utm_source":"s","utm_medium":"m","utm_campaign":"c","utm_content":"n","utm_term":"t","q":"\u00fc"}'
    ), "urlHash": "#part", "utmSource": "s", "utmMedium": "m", "utmCampaign": "c", "utmContent": "n", "utmTerm": "t",
}  # fmt: skip


def enriched(job: EventJob, user: KnownUser | None) -> tuple[dict[str, Any], jobs.SessionPart]:
    """The row as it travels, by the names of its columns, and the part."""
    row, part = event_rows.enrich(job, event_rows.client_of(bytes(job.headers)), 7, user, opens=True)
    values = msgspec.json.decode(encoding.encode_rows(msgspec.json.Encoder(), [row]))
    return dict(zip(EVENT_COLUMNS, values, strict=True)), part


def test_every_value_stands_in_its_column() -> None:
    row, part = enriched(JOB, KnownUser("ann", "Ann"))
    assert row == COMMON | {
        "sign": 1, "projectId": 1, "userId": 2**64 - 1, "sessionId": "session", "contextId": "context", "deviceId": 7,
        "id": "event", "name": "$$pageView", "createdAt": "1970-01-01 00:00:12.345", "isPageView": 1,
        "userIdentifier": "ann", "userDisplayName": "Ann", "customData": '{"n":"\\n"}', "importSource": "",
        "osName": "Linux", "osVersion": "Unknown", "clientName": "Firefox", "clientVersion": "140.0",
        "clientType": "browser", "deviceType": "desktop",
        "requestHeaders": msgspec.json.encode({"user-agent": AGENT, "v-referrer": "https://www.google.com/"}).decode(),
    }  # fmt: skip
    attributes = jobs.attributes_of(part)
    assert attributes is not None
    named = {field.encode_name: field.name for field in msgspec.structs.fields(SessionAttributes)}
    assert {column: getattr(attributes, name) for column, name in named.items()} == COMMON | {
        "userIdentifier": "ann",
        "userDisplayName": "Ann",
    }
    # Packed in pieces as in one.
    assert part.attributes == jobs.pack_attributes(attributes)
    assert not part.is_placeless


def test_an_event_without_a_place_says_so() -> None:
    _, part = enriched(msgspec.structs.replace(JOB, geo=UNKNOWN), None)
    assert part.is_placeless
    _, part = enriched(msgspec.structs.replace(JOB, geo=Geo("", "", None, 0.0)), None)
    assert not part.is_placeless


def test_a_leave_takes_no_attributes_away_and_brings_none() -> None:
    leave = event_rows.session_of_leave(LeaveJob(1, 2**64 - 1, "session", 10_000, 20_000))
    assert leave.attributes == NO_ATTRIBUTES
    _, part = enriched(JOB, None)
    for both in (event_rows.combine(part, leave), event_rows.combine(leave, part)):
        assert (both.attributes, both.ended_ms, both.is_placeless) == (part.attributes, 20_000, False)


PAGE = "https://example.com/?q="


@pytest.mark.parametrize(
    ("url", "is_remembered"),
    [
        (PAGE.ljust(REMEMBERED_CHARACTERS_MAX, "b"), True),
        (PAGE.ljust(REMEMBERED_CHARACTERS_MAX + 1, "b"), False),
        (PAGE + "\u00fc", False),
    ],
    ids=["short", "long", "not ascii"],
)
def test_pages_are_remembered_up_to_a_length(url: str, is_remembered: bool) -> None:
    before = event_rows._visited_remembered.cache_info()
    event_rows.visited("example.com", None, url)
    after = event_rows._visited_remembered.cache_info()
    assert (after.misses + after.hits > before.misses + before.hits) == is_remembered
