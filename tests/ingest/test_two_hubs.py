"""Two hubs over the same stores: what one changes the other knows within a second; a batch sent to both counts once."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.kit import stores, visits
from vemetric.accounts import project_settings
from vemetric.clickhouse.engine import Engine
from vemetric.clock import FrozenClock
from vemetric.ingest import jobs
from vemetric.ingest.batch import Dated, OfSender
from vemetric.ingest.hit import PAGE_VIEW, BatchHit, IdentifyHit
from vemetric.ingest.jobs import MERGE_DELAY_MS
from vemetric.ingest.salts import DAY_MS
from vemetric.model import geo
from vemetric.services import Services

SECOND_MS = 1_000

Two = tuple[Services, Services]


@pytest.fixture
async def two(environ: dict[str, str], engine: Engine, clock: FrozenClock, tmp_path: Path) -> AsyncIterator[Two]:
    async with stores.sharing(environ, engine, clock, tmp_path) as opened:
        yield opened


async def test_a_project_changed_elsewhere_is_known_within_a_second(two: Two, clock: FrozenClock) -> None:
    one, other = two
    project = await visits.a_project(one)
    assert await other.projects.by_token(project.token) == project
    changed = await project_settings.rotate_token(one.database, clock, project.id)
    one.projects.forget()
    assert await one.projects.by_token(project.token) is None
    clock.advance(SECOND_MS)
    assert await other.projects.by_token(project.token) is None
    assert await other.projects.by_token(changed.token) == changed


async def test_who_was_identified_elsewhere_is_known_at_once(two: Two) -> None:
    one, other = two
    project = await visits.a_project(one)
    ann, phone = visits.sender(project), visits.sender(project, ip="203.0.113.99")
    first = await visits.event(one, project, who=ann)
    assert await other.identities.by_identifier(project.id, "ann") is None
    identified = await one.users.identify(IdentifyHit("ann"), project, ann, geo.UNKNOWN)
    assert await other.identities.by_identifier(project.id, "ann") == identified.user_id
    # The other hub gives the phone's visit to the same user, before and after the row is made.
    assert (await other.users.identify(IdentifyHit("ann"), project, phone, geo.UNKNOWN)).user_id == identified.user_id
    await visits.settle(one)
    assert await other.identities.by_identifier(project.id, "ann") == identified.user_id
    assert first.event_id


async def test_the_salts_of_a_new_day_are_the_same(two: Two, clock: FrozenClock) -> None:
    one, other = two
    clock.advance(DAY_MS)
    await one.salts.rotate()
    # serve.py does so four times a second.
    await other.salts.refresh()
    assert other.salts.pair == one.salts.pair


async def test_a_batch_sent_to_both_at_once_counts_once(two: Two, clock: FrozenClock) -> None:
    one, other = two
    project = await visits.a_project(one)
    of = OfSender(project, visits.sender(project), jobs.pack_headers({"user-agent": visits.CHROME}), geo.UNKNOWN)

    def batch(first: int) -> list[Dated]:
        return [Dated(BatchHit(name=PAGE_VIEW), clock.now_ms(), f"id-{number}") for number in range(first, first + 10)]

    # Each overlaps with the one before, and goes to both.
    sent = [(hub, batch(5 * number)) for number in range(6) for hub in two]
    taken = await asyncio.gather(*(hub.batches.take(each, of) for hub, each in sent))
    ids = {each.client_id for _, dated in sent for each in dated}
    assert sum(each.accepted for each in taken) == len(ids)
    assert sum(each.accepted + each.repeated for each in taken) == sum(len(dated) for _, dated in sent)
    await visits.settle(other)
    ask = "SELECT count(), uniqExact(sessionId) FROM event FINAL WHERE projectId = {project:UInt64}"
    assert await one.engine.query(ask, {"project": project.id}) == [[len(ids), 1]]


async def test_who_was_given_away_elsewhere_gets_no_name_here(two: Two, clock: FrozenClock) -> None:
    one, other = two
    project = await visits.a_project(one)
    phone = visits.sender(project, ip="203.0.113.99")
    ann = await one.users.identify(IdentifyHit("ann"), project, visits.sender(project), geo.UNKNOWN)
    await visits.event(one, project, who=phone, path="/before")
    assert (await one.users.identify(IdentifyHit("ann"), project, phone, geo.UNKNOWN)).user_id == ann.user_id
    clock.advance(SECOND_MS)
    bob = await other.users.identify(IdentifyHit("bob"), project, phone, geo.UNKNOWN)
    await visits.event(other, project, who=visits.sender(project, user_identifier="bob"), path="/of-bob")
    for hub in (*two, other):
        await visits.settle(hub)
        clock.advance(MERGE_DELAY_MS)
    ask = "SELECT pathname, userId FROM event FINAL WHERE projectId = {project:UInt64} ORDER BY pathname"
    found = await one.engine.query(ask, {"project": project.id})
    assert found == [["/before", ann.user_id], ["/of-bob", bob.user_id]]
