"""Jobs of many rows: one that is refused costs only itself; a project begins with its earliest visit."""

from collections.abc import Sequence

import msgspec
import pytest

from tests.kit import visits
from vemetric import errors, workers
from vemetric.database import projects
from vemetric.ingest import jobs
from vemetric.ingest.jobs import SeenDevice, SessionAttributes, SessionPart
from vemetric.queues.job import Job, NewJob, Write
from vemetric.queues.lease import Lease
from vemetric.services import Services
from vemetric.workers import apart

ATTRIBUTES = SessionAttributes("", "", "AT", "", None, None, *[""] * 13)
# Three letters where the store has room for two.
REFUSED = msgspec.structs.replace(ATTRIBUTES, country_code="AUT")


def session(project_id: int, number: int, attributes: SessionAttributes = ATTRIBUTES) -> SessionPart:
    packed = jobs.pack_attributes(attributes)
    return SessionPart(project_id, 2, f"session-{number}", 10_000, 12_000, opens=True, attributes=packed)


def device(project_id: int, number: int) -> SeenDevice:
    return SeenDevice(project_id, 2, number, 10_000, "Linux", "", "Chrome", "", "browser", "desktop")


async def handled(services: Services, *new: NewJob) -> Write:
    """Put jobs and have them handled once, as one batch."""
    await services.queue.put(Write(jobs=list(new)))
    claimed: Sequence[Job] = await services.queue.claim(new[0].queue, 10, 600)
    lease = Lease(services.clock, claimed[0].lease_until_ms)
    write = await workers.handlers(services)[new[0].queue](claimed, lease)
    await services.queue.ack(claimed, write)
    return write


async def ids(services: Services, table: str, project_id: int) -> list[str]:
    sql = f"SELECT toString(id) FROM {table} FINAL WHERE projectId = {{project:UInt64}} ORDER BY id"
    return [name for (name,) in await services.engine.query(sql, {"project": project_id})]


@pytest.mark.parametrize("wrong", [[0], [4], [1, 2], [0, 1, 2, 3, 4]])
async def test_a_refused_session_comes_again_alone_and_its_neighbours_are_stored(
    services_at_noon: Services, wrong: list[int]
) -> None:
    project_id = (await visits.a_project(services_at_noon)).id
    parts = [session(project_id, number, REFUSED if number in wrong else ATTRIBUTES) for number in range(5)]
    write = await handled(services_at_noon, NewJob(jobs.SESSION_QUEUE, jobs.encode(parts), order_key="1"))
    assert [jobs.decode_sessions(job.payload) for job in write.jobs] == [[parts[number]] for number in wrong]
    assert [job.order_key for job in write.jobs] == [
        str(jobs.session_line(parts[number].session_id)) for number in wrong
    ]
    assert await ids(services_at_noon, "session", project_id) == [
        f"session-{number}" for number in range(5) if number not in wrong
    ]


async def test_a_refused_session_is_not_remembered_as_stored(services_at_noon: Services) -> None:
    project_id = (await visits.a_project(services_at_noon)).id
    parts = [session(project_id, 0), session(project_id, 1, REFUSED)]
    handler = workers.handlers(services_at_noon)[jobs.SESSION_QUEUE]
    await services_at_noon.queue.put(Write(jobs=[NewJob(jobs.SESSION_QUEUE, jobs.encode(parts))]))
    claimed = await services_at_noon.queue.claim(jobs.SESSION_QUEUE, 10, 600)
    lease = Lease(services_at_noon.clock, claimed[0].lease_until_ms)
    await handler(claimed, lease)
    mended = msgspec.structs.replace(claimed[0], payload=jobs.encode([session(project_id, 1)]))
    await handler([mended], lease)
    assert await ids(services_at_noon, "session", project_id) == ["session-0", "session-1"]


@pytest.mark.parametrize("starts", [(10_000, 9_000), (9_000, 10_000)])
async def test_a_project_began_with_its_earliest_visit_whichever_is_handled_first(
    services_at_noon: Services, starts: tuple[int, int]
) -> None:
    project_id = (await visits.a_project(services_at_noon)).id
    handler = workers.handlers(services_at_noon)[jobs.SESSION_QUEUE]
    for number, started_ms in enumerate(starts):
        part = msgspec.structs.replace(session(project_id, number), started_ms=started_ms)
        await services_at_noon.queue.put(Write(jobs=[NewJob(jobs.SESSION_QUEUE, jobs.encode([part]))]))
        claimed = await services_at_noon.queue.claim(jobs.SESSION_QUEUE, 10, 600)
        await services_at_noon.queue.ack(claimed, await handler(claimed, Lease(services_at_noon.clock, 2**50)))
    async with services_at_noon.database.connect() as connection:
        project = await projects.by_id(connection, project_id)
    assert project is not None
    assert project.first_event_at_ms == 9_000


async def test_a_session_refused_alone_is_the_pools(services_at_noon: Services) -> None:
    project_id = (await visits.a_project(services_at_noon)).id
    with pytest.raises(errors.RowRejected):
        await handled(services_at_noon, NewJob(jobs.SESSION_QUEUE, jobs.encode([session(project_id, 0, REFUSED)])))


async def test_a_batch_of_jobs_is_left_to_the_pool_to_part(services_at_noon: Services) -> None:
    project_id = (await visits.a_project(services_at_noon)).id
    payloads = [jobs.encode([session(project_id, number, REFUSED)]) for number in range(2)]
    with pytest.raises(errors.RowRejected):
        await handled(services_at_noon, *[NewJob(jobs.SESSION_QUEUE, payload) for payload in payloads])


async def test_a_refused_device_comes_again_alone_and_its_neighbours_are_stored(services_at_noon: Services) -> None:
    project_id = (await visits.a_project(services_at_noon)).id
    devices = [device(project_id, number) for number in range(3)]
    # The store's ids have no sign.
    devices[1] = msgspec.structs.replace(devices[1], device_id=-1)
    write = await handled(services_at_noon, NewJob(jobs.DEVICE_QUEUE, jobs.encode(devices)))
    assert [jobs.decode_devices(job.payload) for job in write.jobs] == [[devices[1]]]
    assert await ids(services_at_noon, "device", project_id) == ["0", "2"]


async def test_finds_refused_rows_in_few_writes() -> None:
    written: list[int] = []
    tries = 0

    async def write(rows: Sequence[int]) -> None:
        nonlocal tries
        tries += 1
        if 77 in rows:
            raise errors.RowRejected
        written.extend(rows)

    assert await apart.insert(write, range(500), may_part=True) == [77]
    assert sorted(written) == [number for number in range(500) if number != 77]
    assert tries <= 2 * (500).bit_length() + 1
