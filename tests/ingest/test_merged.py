"""Which merges have to run once more for what is stored late."""

import pytest

from tests.kit import visits
from vemetric.clock import FrozenClock
from vemetric.database.user_merges import UserMerge
from vemetric.errors import Conflict
from vemetric.ingest import jobs
from vemetric.ingest.merged import REMEMBERED_MS, Merged
from vemetric.queues.job import NewJob
from vemetric.services import Services

A, B, C = 1, 2, 2**64 - 3


def said(found: list[NewJob]) -> list[tuple[int, int, int]]:
    decoded = [jobs.decode_merge(job.payload) for job in found]
    return [(job.from_user_id, job.into_user_id, job.until_ms) for job in decoded]


@pytest.mark.parametrize("exclusive", [True, False])
async def test_what_was_accepted_before_a_merge_is_merged_again(
    services_at_noon: Services, clock: FrozenClock, exclusive: bool
) -> None:
    services = services_at_noon
    project = await visits.a_project(services)
    merged = Merged(services.database, clock, services.keys, exclusive=exclusive)
    await merged.load()
    now_ms = clock.now_ms()
    first, second = UserMerge(now_ms - 500, A, B, project.id), UserMerge(now_ms, A, C, project.id)
    for _ in range(2):
        await merged.record([second, first])
    late = (project.id, A, now_ms - 501)
    assert said(await merged.again([late, late])) == [(A, B, now_ms - 500)]
    assert said(await merged.again([(project.id, A, now_ms - 500)])) == [(A, C, now_ms)]
    assert await merged.again([(project.id, A, now_ms), (project.id, B, 0), (project.id + 1, A, 0)]) == []
    # What no memory holds any more is in the store, for another process too.
    clock.advance(3 * REMEMBERED_MS)
    await merged.record([UserMerge(clock.now_ms(), B, C, project.id)])
    for asked in (merged, services.merged):
        await asked.load()
        assert said(await asked.again([late])) == [(A, B, now_ms - 500)]


async def test_a_merge_older_than_the_memory_is_found_after_a_restart(
    services_at_noon: Services, clock: FrozenClock
) -> None:
    """A dead letter that is revived the next day: by then no merge is in memory at all."""
    services = services_at_noon
    project = await visits.a_project(services)
    now_ms = clock.now_ms()
    await services.merged.record([UserMerge(now_ms, A, B, project.id)])
    clock.advance(2 * REMEMBERED_MS)
    restarted = Merged(services.database, clock, services.keys, exclusive=True)
    await restarted.load()
    assert said(await restarted.again([(project.id, A, now_ms - 1)])) == [(A, B, now_ms)]


async def test_a_merge_goes_on_where_its_target_was_merged_later(
    services_at_noon: Services, clock: FrozenClock
) -> None:
    project = await visits.a_project(services_at_noon)
    merged = services_at_noon.merged
    now_ms = clock.now_ms()
    done = UserMerge(now_ms - 100, A, B, project.id)
    await merged.record([done, UserMerge(now_ms - 200, B, C, project.id), UserMerge(now_ms, B, A, project.id)])
    assert said(await merged.next_after([done])) == [(B, A, now_ms)]
    assert await merged.next_after([UserMerge(now_ms, B, A, project.id)]) == []


async def test_a_deleted_project_has_no_merges(services_at_noon: Services, clock: FrozenClock) -> None:
    with pytest.raises(Conflict):
        await services_at_noon.merged.record([UserMerge(clock.now_ms(), A, B, 1)])
