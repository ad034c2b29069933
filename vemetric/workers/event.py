"""The `event` queue: enrich each hit once, store the batch, and pass on what it says of sessions and devices."""

from collections import Counter, OrderedDict, defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from typing import Any

from vemetric.clickhouse.sink import KnownUser
from vemetric.ingest import accounted, expired, jobs
from vemetric.ingest.hit import PAGE_VIEW
from vemetric.ingest.jobs import EventJob, LeaveJob, SeenDevice, SessionPart
from vemetric.queues.job import Job, NewJob, Write
from vemetric.queues.lease import Lease
from vemetric.services import Services
from vemetric.workers import event_rows, holding, slices
from vemetric.workers.device import key_of
from vemetric.workers.holding import Question

SEEN_DEVICES_MAX = 50_000
PARTS_PER_JOB_MAX = 500
# So many parts are spread over their lines at a time.
SPREAD_ITEMS = 500
PART_BYTES_PER_JOB_MAX = 1_048_576

# A counter's name, of a project in an hour.
CounterOf = Callable[[int, int], str]

# (project id, user id)
User = tuple[int, int]


class EventWorker:
    """Handles batches of event jobs and page leaves."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._seen_devices: OrderedDict[tuple[int, int, int], None] = OrderedDict()
        services.merged.on_moved(self._forget_devices)

    async def handle(self, claimed: Sequence[Job], lease: Lease) -> Write:
        """Store the events once each; the returned write is put with the acknowledgement of their jobs."""
        payloads: list[EventJob | LeaveJob] = []
        times: list[tuple[int, int, int]] = []
        async for some in slices.of(claimed):
            read = [jobs.decode_event(job.payload) for job in some]
            payloads += read
            times += [(payload.project_id, payload.user_id, jobs.accepted_ms(payload)) for payload in read]

        async def ask() -> Mapping[int, CounterOf]:
            return await self._gone(times)

        async with self._services.erased.turn:
            gone = await ask()
            kept = [one for at, one in enumerate(zip(claimed, payloads, strict=True)) if at not in gone]
            write = await self._store(kept, holding.may_insert(self._services, lease, ask, gone))
        write.counters = await self._count_dropped(
            [(claimed[at], payload, gone[at]) for at in gone if isinstance(payload := payloads[at], EventJob)]
        )
        await slices.drop(kept, times, payloads)
        return write

    async def _gone(self, times: Sequence[tuple[int, int, int]]) -> Mapping[int, CounterOf]:
        """What is not to be stored any more, by position, and which counter says so. times: (project, user, ms)."""
        services = self._services
        erased = await services.erased.ask(times)
        old = await expired.among(services.keys, services.clock, ((one[0], one[2]) for one in times))
        return dict.fromkeys(old, jobs.expired_counter) | dict.fromkeys(erased, jobs.erased_counter)

    async def _count_dropped(self, dropped: Sequence[tuple[Job, EventJob, CounterOf]]) -> dict[str, int]:
        """By the counters of each. One that an earlier delivery stored is counted with its row."""
        services, now_ms = self._services, self._services.clock.now_ms()
        again = [event for job, event, _ in dropped if job.deliveries > 1]
        known = await accounted.among(services.engine, services.keys, again)
        return dict(
            Counter(
                counter(event.project_id, now_ms)
                for _, event, counter in dropped
                if (event.project_id, event.event_id) not in known
            )
        )

    async def _store(self, kept: Sequence[tuple[Job, EventJob | LeaveJob]], holds: Question) -> Write:
        """Enrich and insert the events; the returned write holds what follows from them."""
        events = [payload for _, payload in kept if isinstance(payload, EventJob)]
        users = await self._users({(event.project_id, event.user_id) for event in events})
        batch = Stored()
        async for some in slices.of(kept):
            for job, payload in some:
                if isinstance(payload, LeaveJob):
                    batch.add_leave(payload)
                else:
                    batch.add(job, payload, users.get((payload.project_id, payload.user_id)))
        await self._services.sink.insert_events(batch.rows, redelivered=batch.redelivered, may_insert=holds)
        sourceless = await self._sourceless(batch.viewers, users)
        merges = await self._services.merged.again(
            (event.project_id, event.user_id, event.created_ms) for event in events
        )
        new_devices = [job async for job in packed_jobs(jobs.DEVICE_QUEUE, await self._new_devices(batch))]
        sources = [jobs.enrich_job(*key) for key in sourceless]
        write = Write(jobs=[*await session_jobs(batch.sessions.values()), *new_devices, *sources, *merges])
        await slices.drop(batch.rows, batch.devices, events)
        return write

    async def _users(self, keys: Collection[User]) -> dict[User, KnownUser]:
        """What is known of the users; of those identified a moment ago, whose rows are still to be made, the name."""
        stored = await self._services.sink.users(keys)
        users: dict[User, KnownUser] = {key: stored[key] for key in stored}
        claimed = await self._services.identities.claimed(key for key in keys if key not in users)
        return users | {key: KnownUser(identifier) for key, identifier in claimed.items()}

    async def _sourceless(self, viewers: Collection[User], users: dict[User, KnownUser]) -> set[User]:
        """Known users who have now seen a page, and of whom it is not known where they came from.

        Who was identified only after `users` was read may have been given a row before these events could be seen.
        """
        unknown = [key for key in viewers if key not in users]
        known = {key for key in viewers if key in users and not users[key].has_source}
        return known | (await self._services.identities.claimed(unknown)).keys()

    def _forget_devices(self, users: Container[tuple[int, int]]) -> None:
        for key in [key for key in self._seen_devices if key[:2] in users]:
            del self._seen_devices[key]

    async def _new_devices(self, batch: "Stored") -> list[SeenDevice]:
        """Devices this process has not passed on, and those of jobs it may have failed to pass on the last time.

        The device worker knows what is stored.
        """
        new: dict[tuple[int, int, int], SeenDevice] = {key_of(device): device for device in batch.devices_again}
        async for some in slices.of(batch.devices):
            for device in some:
                key = (device.project_id, device.user_id, device.device_id)
                if key not in self._seen_devices:
                    self._seen_devices[key] = None
                    new[key] = device
        while len(self._seen_devices) > SEEN_DEVICES_MAX:
            self._seen_devices.popitem(last=False)
        return list(new.values())


class Stored:
    """What a batch of events comes to, gathered one by one. sessions: what it says of each, folded.

    redelivered: the ids of events whose job was delivered before; devices_again: their devices.
    viewers: the users who have seen a page.
    """

    def __init__(self) -> None:
        self.rows: list[tuple[Any, ...]] = []
        self.sessions: dict[tuple[int, int, str], SessionPart] = {}
        self.devices: list[SeenDevice] = []
        self.devices_again: list[SeenDevice] = []
        self.redelivered: set[str] = set()
        self.viewers: set[User] = set()

    def add(self, job: Job, event: EventJob, user: KnownUser | None) -> None:
        """An event. user: what is known of its user."""
        # The job that opens a session has a key, no other has.
        enriched = event_rows.enrich(event, user, opens=job.key is not None)
        self.rows.append(enriched.row)
        self.devices.append(enriched.device)
        self._fold(enriched.session)
        if event.name == PAGE_VIEW:
            self.viewers.add((event.project_id, event.user_id))
        if job.deliveries > 1:
            self.redelivered.add(event.event_id)
            self.devices_again.append(enriched.device)

    def add_leave(self, leave: LeaveJob) -> None:
        """A page leave."""
        self._fold(event_rows.session_of_leave(leave))

    def _fold(self, part: SessionPart) -> None:
        key = (part.project_id, part.user_id, part.session_id)
        earlier = self.sessions.get(key)
        self.sessions[key] = part if earlier is None else event_rows.combine(earlier, part)


async def session_jobs(parts: Iterable[SessionPart]) -> list[NewJob]:
    """One job per line, or few; the jobs of a line are handled in order, by one worker at a time."""
    lines: defaultdict[int, list[SessionPart]] = defaultdict(list)
    async for some in slices.of(list(parts), SPREAD_ITEMS):
        for part in some:
            lines[jobs.session_line(part.session_id)].append(part)
    return [
        job
        for line, members in lines.items()
        async for job in packed_jobs(jobs.SESSION_QUEUE, members, order_key=str(line))
    ]


async def packed_jobs(
    queue: str, items: list[SessionPart] | list[SeenDevice], order_key: str | None = None
) -> AsyncIterator[NewJob]:
    """The items as few jobs, letting the loop do other things after each."""
    for payload in packed(items):
        yield NewJob(queue, payload, order_key=order_key)
        await slices.pause()


def packed(items: list[SessionPart] | list[SeenDevice]) -> Iterator[bytes]:
    """The payloads of as few jobs as the bounds allow: addresses can be long."""
    if not items:
        return
    payload = jobs.encode(items) if len(items) <= PARTS_PER_JOB_MAX else b""
    if payload and (len(payload) <= PART_BYTES_PER_JOB_MAX or len(items) == 1):
        yield payload
        return
    middle = len(items) // 2
    yield from packed(items[:middle])
    yield from packed(items[middle:])
