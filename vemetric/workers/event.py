"""The `event` queue: enrich each hit once, store the batch, and pass on what it says of sessions and devices."""

from collections import Counter, OrderedDict, defaultdict
from collections.abc import AsyncIterator, Callable, Container, Iterable, Iterator, Mapping, Sequence, Set
from typing import Any

from msgspec import Raw

from vemetric.clickhouse.encoding import lines
from vemetric.clickhouse.sink import KnownUser
from vemetric.ingest import accounted, expired, jobs
from vemetric.ingest.hit import PAGE_VIEW
from vemetric.ingest.jobs import EventJob, LeaveJob, SeenDevice, SessionPart
from vemetric.model.device import Device
from vemetric.queues.job import Job, NewJob, Write
from vemetric.queues.lease import Lease
from vemetric.services import Services
from vemetric.workers import event_rows, holding, slices
from vemetric.workers.holding import Question

SEEN_DEVICES_MAX = 50_000
PARTS_PER_JOB_MAX = 500
# What is done at a time where an item costs half a microsecond: reading jobs, spreading parts over their lines.
DECODED_ITEMS = 200
SPREAD_ITEMS = 500
PART_BYTES_PER_JOB_MAX = 1_048_576

# A counter's name, of a project in an hour.
CounterOf = Callable[[int, int], str]

# (project id, user id)
User = tuple[int, int]
# A device of a user.
OfUser = tuple[int, int, Device]


class EventWorker:
    """Handles batches of event jobs and page leaves."""

    def __init__(self, services: Services) -> None:
        self._services = services
        # The ids of devices that were passed on.
        self._devices: OrderedDict[OfUser, int] = OrderedDict()
        # Whose rows moved while the events of a batch were stored.
        self._moved: list[Container[User]] = []
        self._is_storing = False
        services.merged.on_moved(self._forget_devices)

    async def handle(self, claimed: Sequence[Job], lease: Lease) -> Write:
        """Store the events once each; the returned write is put with the acknowledgement of their jobs."""
        payloads: list[EventJob | LeaveJob] = []
        async for some in slices.of(claimed, DECODED_ITEMS):
            payloads += [jobs.decode_event(job.payload) for job in some]

        async def ask() -> Mapping[int, CounterOf]:
            return await self._gone(payloads)

        async with self._services.erased.turn:
            gone = await ask()
            kept = list(zip(claimed, payloads, strict=True))
            if gone:
                kept = [one for at, one in enumerate(kept) if at not in gone]
            write = await self._store(kept, holding.may_insert(self._services, lease, ask, gone))
        write.counters = await self._count_dropped(
            [(claimed[at], payload, gone[at]) for at in gone if isinstance(payload := payloads[at], EventJob)]
        )
        await slices.drop(kept, payloads)
        return write

    async def _gone(self, payloads: Sequence[EventJob | LeaveJob]) -> Mapping[int, CounterOf]:
        """What is not to be stored any more, by position, and which counter says so."""
        services = self._services
        times = [jobs.accepted_ms(payload) for payload in payloads]
        earliest_ms = min(times, default=0)
        await slices.pause()
        erased = await services.erased.ask(
            ((payload.project_id, payload.user_id, at_ms) for payload, at_ms in zip(payloads, times, strict=True)),
            earliest_ms,
        )
        old: set[int] = set()
        if expired.may_be_late(services.clock, earliest_ms):
            of_projects = zip((payload.project_id for payload in payloads), times, strict=True)
            old = await expired.among(services.keys, services.clock, of_projects)
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
        self._moved, self._is_storing = [], True
        try:
            batch = Stored([one for _, one in kept if isinstance(one, EventJob)], self._devices)
            await slices.pause()
            users = await self._users({(event.project_id, event.user_id) for event in batch.events})
            async for some in slices.of(kept):
                batch.add_all(some, users)
                batch.lay_out()
            await self._services.sink.insert_new_events(batch.laid_out, slices.items_each(len(kept)), may_insert=holds)
            await self._services.sink.insert_events(batch.rows, redelivered=batch.redelivered, may_insert=holds)
            new_devices = self._new_devices(batch)
        finally:
            self._is_storing = False
        sourceless = await self._sourceless(batch.viewers, users)
        merges = await self._services.merged.again(batch.late(self._services.merged.settled_from_ms))
        devices = [job async for job in packed_jobs(jobs.DEVICE_QUEUE, new_devices)]
        sources = [jobs.enrich_job(*key) for key in sourceless]
        write = Write(jobs=[*await session_jobs(batch.sessions.values()), *devices, *sources, *merges])
        await slices.drop(batch.rows, batch.events)
        return write

    async def _users(self, keys: Set[User]) -> dict[User, KnownUser]:
        """What is known of the users; of those identified a moment ago, whose rows are still to be made, the name."""
        await slices.pause()
        stored = await self._services.sink.users(keys)
        await slices.pause()
        users: dict[User, KnownUser] = {key: stored[key] for key in stored}
        claimed = await self._services.identities.claimed(keys - users.keys())
        return users | {key: KnownUser(identifier) for key, identifier in claimed.items()}

    async def _sourceless(self, viewers: Set[User], users: dict[User, KnownUser]) -> set[User]:
        """Known users who have now seen a page, and of whom it is not known where they came from.

        Who was identified only after `users` was read may have been given a row before these events could be seen.
        """
        known = {key for key, user in users.items() if not user.has_source and key in viewers}
        return known | (await self._services.identities.claimed(viewers - users.keys())).keys()

    def _forget_devices(self, users: Container[User]) -> None:
        for key in [key for key in self._devices if key[:2] in users]:
            del self._devices[key]
        if self._is_storing:
            self._moved.append(users)

    def _new_devices(self, batch: "Stored") -> list[SeenDevice]:
        """Devices this process has not passed on, those of jobs it may have failed to pass on the last time, and those
        of users whose rows moved meanwhile.

        The device worker knows what is stored.
        """
        for users in self._moved:
            batch.pass_on_devices_of(users)
        self._devices.update((key, device.device_id) for key, device in batch.devices.items())
        while len(self._devices) > SEEN_DEVICES_MAX:
            self._devices.popitem(last=False)
        return list(batch.devices.values())


class Stored:
    """What a batch of events comes to, gathered one by one. sessions: what it says of each, folded.

    rows: those that are not laid out. known: the ids of devices that were passed on before. devices: others, and those
    of jobs delivered before.
    redelivered: the ids of events whose job was delivered before. viewers: the users who have seen a page.
    """

    def __init__(self, events: list[EventJob], known: Mapping[OfUser, int]) -> None:
        self.events = events
        self._known = known
        self.rows: list[tuple[Any, ...]] = []
        self.laid_out: list[Raw] = []
        self.sessions: dict[tuple[int, int, str], SessionPart] = {}
        self.devices: dict[OfUser, SeenDevice] = {}
        self.redelivered: set[str] = set()
        self.viewers: set[User] = set()

    def add_all(self, some: Iterable[tuple[Job, EventJob | LeaveJob]], users: Mapping[User, KnownUser]) -> None:
        """Some events and page leaves, in order. users: what is known of their users."""
        for job, payload in some:
            if isinstance(payload, LeaveJob):
                self._fold(event_rows.session_of_leave(payload))
            else:
                self._add(job, payload, users)

    def lay_out(self) -> None:
        """Have the rows ready to be inserted, and no longer at hand: those that need not be looked for before."""
        if self.rows and not self.redelivered:
            self.laid_out.append(lines(self.rows))
            self.rows = []

    def _add(self, job: Job, event: EventJob, users: Mapping[User, KnownUser]) -> None:
        user = event.project_id, event.user_id
        client = event_rows.client_of(bytes(event.headers))
        of_user = *user, client.device
        device_id = self._known.get(of_user)
        if job.deliveries > 1:
            self.redelivered.add(event.event_id)
            device_id = None
        if device_id is None:
            device_id = self._pass_on(of_user, event)
        # The job that opens a session has a key, no other has.
        row, part = event_rows.enrich(event, client, device_id, users.get(user), opens=job.key is not None)
        self.rows.append(row)
        self._fold(part)
        if event.name == PAGE_VIEW:
            self.viewers.add(user)

    def late(self, settled_from_ms: float) -> list[tuple[int, int, int]]:
        """The (project, user, time in ms) of those events that lie before a time."""
        return [
            (event.project_id, event.user_id, event.created_ms)
            for event in self.events
            if event.created_ms < settled_from_ms
        ]

    def pass_on_devices_of(self, users: Container[User]) -> None:
        """Pass the devices of some users on, known or not."""
        for event in self.events:
            if (event.project_id, event.user_id) in users:
                device = event_rows.client_of(bytes(event.headers)).device
                self._pass_on((event.project_id, event.user_id, device), event)

    def _pass_on(self, of_user: OfUser, event: EventJob) -> int:
        seen = self.devices.get(of_user)
        if seen is None:
            seen = self.devices[of_user] = event_rows.seen_device(event, of_user[2])
        return seen.device_id

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
