"""Which devices the event worker passes on: each once, and again where nobody can be sure that it still is there."""

from collections.abc import Callable

import msgspec

from tests.kit import visits
from vemetric.ingest import jobs
from vemetric.ingest.jobs import EventJob
from vemetric.model.geo import UNKNOWN
from vemetric.queues.job import Job, NewJob, Write
from vemetric.queues.lease import Lease
from vemetric.services import Services
from vemetric.workers.event import EventWorker

USER = 5


class Watching(Lease):
    """A hold that tells when it is asked for, right before an insert."""

    def __init__(self, services: Services, asked: Callable[[], None]) -> None:
        super().__init__(services.clock, 2**50)
        self._asked = asked

    def still_held(self, seconds: float = 0.0) -> bool:
        self._asked()
        return super().still_held(seconds)


def event(project_id: int, number: int, now_ms: int) -> bytes:
    headers = jobs.pack_headers(
        {"user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}
    )
    return jobs.encode(
        EventJob(
            project_id, "example.com", USER, "session", now_ms, f"event-{number}", now_ms, "signup", None, "", "", "",
            "", headers, UNKNOWN,
        )
    )  # fmt: skip


async def claimed(services: Services, project_id: int, number: int) -> list[Job]:
    new = NewJob(jobs.EVENT_QUEUE, event(project_id, number, services.clock.now_ms()))
    await services.queue.put(Write(jobs=[new]))
    return list(await services.queue.claim(jobs.EVENT_QUEUE, 10, 600))


def devices(write: Write) -> int:
    """How many devices are passed on."""
    return sum(len(jobs.decode_devices(job.payload)) for job in write.jobs if job.queue == jobs.DEVICE_QUEUE)


async def test_a_device_is_passed_on_once_and_again_after_a_redelivery_or_a_move(services_at_noon: Services) -> None:
    services = services_at_noon
    project_id = (await visits.a_project(services)).id
    worker, passed_on = EventWorker(services), []

    def move() -> None:
        services.merged.moved({(project_id, USER)})

    async def handle(number: int, lease: Lease, deliveries: int = 1) -> None:
        batch = await claimed(services, project_id, number)
        again = [msgspec.structs.replace(job, deliveries=deliveries) for job in batch]
        write = await worker.handle(again, lease)
        await services.queue.ack(batch, write)
        passed_on.append(devices(write))

    calm = Lease(services.clock, 2**50)
    await handle(0, calm)
    await handle(1, calm)
    await handle(2, calm, deliveries=2)
    # The rows of the user move while an event of it is being stored, or between two batches.
    await handle(3, Watching(services, move))
    await handle(4, calm)
    move()
    await handle(5, calm)
    assert passed_on == [1, 0, 1, 1, 0, 1]
