"""The `event` queue: enrich each hit once, store the batch, and pass on what it says of sessions and devices."""

from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence

from vemetric.clickhouse.rows import EVENT_ID
from vemetric.clickhouse.sink import DeviceKey, KnownUser, UserKey
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
PART_BYTES_PER_JOB_MAX = 1_048_576

# A counter's name, of a project in an hour.
CounterOf = Callable[[int, int], str]


class EventWorker:
    """Handles batches of event jobs and page leaves."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._seen_devices: OrderedDict[DeviceKey, None] = OrderedDict()
        services.merged.on_moved(self._forget_devices)

    async def handle(self, claimed: Sequence[Job], lease: Lease) -> Write:
        """Store the events once each; the returned write is put with the acknowledgement of their jobs."""
        payloads = [jobs.decode_event(job.payload) async for job in slices.each(claimed)]
        times = [(payload.project_id, payload.user_id, jobs.accepted_ms(payload)) for payload in payloads]

        async def ask() -> Mapping[int, CounterOf]:
            return await self._gone(times)

        async with self._services.erased.turn:
            gone = await ask()
            kept = [position for position in range(len(payloads)) if position not in gone]
            holds = holding.may_insert(self._services, lease, ask, gone)
            write = await self._store([claimed[at] for at in kept], [payloads[at] for at in kept], holds)
        write.counters = await self._count_dropped(
            [(claimed[at], payload, gone[at]) for at in gone if isinstance(payload := payloads[at], EventJob)]
        )
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

    async def _store(self, claimed: Sequence[Job], payloads: Sequence[EventJob | LeaveJob], holds: Question) -> Write:
        of_events = [
            (job, payload) for job, payload in zip(claimed, payloads, strict=True) if isinstance(payload, EventJob)
        ]
        events = [event for _, event in of_events]
        users = await self._users(events)
        enriched = [
            # The job that opens a session has a key, no other has.
            event_rows.enrich(event, users.get(UserKey(event.project_id, event.user_id)), opens=job.key is not None)
            async for job, event in slices.each(of_events)
        ]
        redelivered = {event.event_id for job, event in of_events if job.deliveries > 1}
        await self._services.sink.insert_events(
            [each.row for each in enriched],
            redelivered=redelivered,
            may_insert=holds,
        )
        sourceless = await self._sourceless(events, users)
        await slices.pause()
        by_event = iter(enriched)
        devices = [each.device for each in enriched]
        again = [each.device for each in enriched if each.row[EVENT_ID] in redelivered]
        sessions = fold_sessions(
            next(by_event).session if isinstance(payload, EventJob) else event_rows.session_of_leave(payload)
            for payload in payloads
        )
        await slices.pause()
        merges = await self._services.merged.again(
            (event.project_id, event.user_id, event.created_ms) for event in events
        )
        new_devices = device_jobs(self._new_devices(devices, again))
        await slices.pause()
        sources = [jobs.enrich_job(*key) for key in sourceless]
        return Write(jobs=[*session_jobs(sessions), *new_devices, *sources, *merges])

    async def _users(self, events: Iterable[EventJob]) -> dict[UserKey, KnownUser]:
        """What is known of the users; of those identified a moment ago, whose rows are still to be made, the name."""
        keys = {UserKey(event.project_id, event.user_id) for event in events}
        users = await self._services.sink.users(keys)
        claimed = await self._services.identities.claimed(key for key in keys if key not in users)
        return users | {UserKey(*key): KnownUser(identifier) for key, identifier in claimed.items()}

    async def _sourceless(self, events: Iterable[EventJob], users: dict[UserKey, KnownUser]) -> set[UserKey]:
        """Known users who have now seen a page, and of whom it is not known where they came from.

        Who was identified only after `users` was read may have been given a row before these events could be seen.
        """
        viewers = {UserKey(event.project_id, event.user_id) for event in events if event.name == PAGE_VIEW}
        unknown = {key for key in viewers if key not in users}
        known = {key for key in viewers - unknown if not users[key].has_source}
        return known | {UserKey(*key) for key in await self._services.identities.claimed(unknown)}

    def _forget_devices(self, users: Container[tuple[int, int]]) -> None:
        for key in [key for key in self._seen_devices if key[:2] in users]:
            del self._seen_devices[key]

    def _new_devices(self, devices: Iterable[SeenDevice], again: Iterable[SeenDevice]) -> Iterable[SeenDevice]:
        """Devices this process has not passed on, and those of jobs it may have failed to pass on the last time.

        The device worker knows what is stored.
        """
        new = {key_of(device): device for device in again}
        for device in devices:
            key = key_of(device)
            if key not in self._seen_devices:
                self._seen_devices[key] = None
                new[key] = device
        while len(self._seen_devices) > SEEN_DEVICES_MAX:
            self._seen_devices.popitem(last=False)
        return new.values()


def fold_sessions(parts: Iterable[SessionPart]) -> Iterable[SessionPart]:
    """One job per session of a batch."""
    folded: dict[tuple[int, int, str], SessionPart] = {}
    for part in parts:
        key = (part.project_id, part.user_id, part.session_id)
        earlier = folded.get(key)
        folded[key] = part if earlier is None else event_rows.combine(earlier, part)
    return folded.values()


def session_jobs(parts: Iterable[SessionPart]) -> list[NewJob]:
    """One job per line, or few; the jobs of a line are handled in order, by one worker at a time."""
    lines: defaultdict[int, list[SessionPart]] = defaultdict(list)
    for part in parts:
        lines[jobs.session_line(part.session_id)].append(part)
    return [
        NewJob(jobs.SESSION_QUEUE, payload, order_key=str(line))
        for line, members in lines.items()
        for payload in packed(members)
    ]


def device_jobs(devices: Iterable[SeenDevice]) -> list[NewJob]:
    return [NewJob(jobs.DEVICE_QUEUE, payload) for payload in packed(list(devices))]


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
