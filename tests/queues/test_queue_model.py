"""Random sequences of calls against a model that is a list: order keys, `after`, delays, leases, retries, restarts."""

import asyncio
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from vemetric import errors
from vemetric.clock import FrozenClock
from vemetric.queues.job import Job, NewJob, Write

LINES = ("one", "two")
KEYS = st.none() | st.sampled_from("abcd")
LANES = st.none() | st.sampled_from("xyz")


@dataclass
class ModelJob:
    """A job as the model sees it. number: its payload; place: where it stands in the order of puts and revivals."""

    number: int
    place: int
    line: str
    key: str | None
    lane: str | None
    after: str | None
    run_at_ms: int
    deliveries: int = 0
    failures: int = 0
    claimed: Job | None = None


@dataclass
class Model:
    now_ms: int
    live: dict[int, ModelJob] = field(default_factory=dict)
    dead: dict[int, ModelJob] = field(default_factory=dict)
    places: int = 0

    def put(self, line: str, key: str | None, lane: str | None, after: str | None, run_at_ms: int) -> NewJob:
        self.places += 1
        job = ModelJob(self.places, self.places, line, key, lane, after, run_at_ms)
        if not self.is_live(line, key):
            self.live[job.number] = job
        return NewJob(line, b"%d" % job.number, key, lane, after, run_at_ms)

    def is_live(self, line: str, key: str | None) -> bool:
        return key is not None and any(job.key == key and job.line == line for job in self.live.values())

    def end_leases(self) -> None:
        for job in self.live.values():
            if job.claimed and job.claimed.lease_until_ms <= self.now_ms:
                job.claimed = None
                job.run_at_ms = 0

    def waits(self, job: ModelJob) -> bool:
        """Whether the job waits for something of its own: time or the job it comes after."""
        blocked = job.after and any(other.key == job.after and other.place < job.place for other in self.live.values())
        return bool(blocked) or job.run_at_ms > self.now_ms

    def lane_of(self, job: ModelJob) -> list[ModelJob]:
        if job.lane is None:
            return [job]
        lane = [other for other in self.live.values() if (other.line, other.lane) == (job.line, job.lane)]
        return sorted(lane, key=lambda other: other.place)

    def runnable_heads(self, line: str) -> set[int]:
        """Jobs that can run whatever else is claimed with them: first of their lane, and nobody in it claimed."""
        return {
            job.number
            for job in self.live.values()
            if job.line == line
            and not self.waits(job)
            and self.lane_of(job)[0] is job
            and not any(other.claimed for other in self.lane_of(job))
        }

    def claim(self, line: str, limit: int, claimed: list[Job]) -> None:
        """Check a claim against the rules and note it."""
        self.end_leases()
        numbers = [int(job.payload) for job in claimed]
        places = [self.live[number].place for number in numbers]
        assert places == sorted(set(places))
        assert len(numbers) <= limit
        heads = self.runnable_heads(line)
        for number in numbers:
            job = self.live[number]
            assert not self.waits(job)
            before = [other for other in self.lane_of(job) if other.place < job.place]
            assert {other.number for other in before} <= set(numbers), "overtook an earlier job of its lane"
            assert not any(other.claimed for other in self.lane_of(job)), "two claimers in a lane"
        assert numbers or not heads or not limit, "left a runnable job behind"
        passed = {head for head in heads if places and self.live[head].place < places[-1]}
        assert passed <= set(numbers), "passed over an older job"
        for job in claimed:
            mine = self.live[int(job.payload)]
            mine.deliveries += 1
            mine.claimed = job
            assert (job.deliveries, job.failures) == (mine.deliveries, mine.failures)

    def held(self) -> list[Job]:
        return [job.claimed for job in self.live.values() if job.claimed and job.claimed.lease_until_ms > self.now_ms]


class QueueMachine(RuleBasedStateMachine):
    """Runs the same calls on the queue and on the model."""

    def __init__(self, opener) -> None:
        super().__init__()
        self.opener = opener
        self.runner = asyncio.Runner()
        self.directory = tempfile.TemporaryDirectory()
        self.clock = FrozenClock(1_000_000)
        self.model = Model(self.clock.now_ms())
        self.lost: list[Job] = []
        self.open()

    def open(self) -> None:
        self.opened = self.opener(Path(self.directory.name), self.clock)
        self.queue = self.run(self.opened.__aenter__())

    def run(self, awaitable):
        async def awaited():
            return await awaitable

        return self.runner.run(awaited())

    def some_held(self, data) -> list[Job]:
        held = self.model.held()
        return data.draw(st.lists(st.sampled_from(held), unique_by=lambda job: job.id)) if held else []

    def gone(self, jobs: list[Job]) -> list[ModelJob]:
        self.lost += jobs
        return [self.model.live.pop(int(job.payload)) for job in jobs]

    def back(self, jobs: list[Job], delay_seconds: int, failures: int) -> None:
        self.lost += jobs
        for job in jobs:
            mine = self.model.live[int(job.payload)]
            mine.claimed = None
            mine.failures += failures
            mine.run_at_ms = self.model.now_ms + delay_seconds * 1000 if delay_seconds else 0

    @rule(line=st.sampled_from(LINES), key=KEYS, lane=LANES, after=KEYS, delay_ms=st.sampled_from((0, 0, 0, 700, 1500)))
    def put(self, line, key, lane, after, delay_ms) -> None:
        self.model.end_leases()
        run_at_ms = self.model.now_ms + delay_ms if delay_ms else 0
        self.run(self.queue.put(Write(jobs=[self.model.put(line, key, lane, after, run_at_ms)])))

    @rule(line=st.sampled_from(LINES), lane=LANES, count=st.integers(2, 6))
    def put_several(self, line, lane, count) -> None:
        self.run(self.queue.put(Write(jobs=[self.model.put(line, None, lane, None, 0) for _ in range(count)])))

    @rule(line=st.sampled_from(LINES), limit=st.integers(1, 8), lease_seconds=st.sampled_from((1, 5)))
    def claim(self, line, limit, lease_seconds) -> None:
        self.model.claim(line, limit, self.run(self.queue.claim(line, limit, lease_seconds)))

    @rule(data=st.data())
    def ack(self, data) -> None:
        jobs = self.some_held(data)
        self.run(self.queue.ack(jobs))
        self.gone(jobs)

    @rule(data=st.data(), line=st.sampled_from(LINES), lane=LANES, key=KEYS)
    def ack_and_put(self, data, line, lane, key) -> None:
        jobs = self.some_held(data)
        self.gone(jobs)
        self.run(self.queue.ack(jobs, Write(jobs=[self.model.put(line, key, lane, None, 0)])))

    @rule(data=st.data(), delay_seconds=st.integers(0, 3))
    def retry(self, data, delay_seconds) -> None:
        jobs = self.some_held(data)
        self.run(self.queue.retry(jobs, delay_seconds, "no"))
        self.back(jobs, delay_seconds, failures=1)

    @rule(data=st.data(), delay_seconds=st.integers(0, 3))
    def release(self, data, delay_seconds) -> None:
        jobs = self.some_held(data)
        self.run(self.queue.release(jobs, delay_seconds))
        self.back(jobs, delay_seconds, failures=0)

    @rule(data=st.data())
    def extend(self, data) -> None:
        jobs = self.some_held(data)
        self.run(self.queue.extend(jobs, 7))
        assert all(job.lease_until_ms == self.model.now_ms + 7_000 for job in jobs)

    @rule(data=st.data())
    def bury(self, data) -> None:
        jobs = self.some_held(data)
        self.run(self.queue.bury(jobs, "no"))
        for job in self.gone(jobs):
            job.failures += 1
            self.model.dead[job.number] = job

    @rule()
    def revive(self) -> None:
        self.model.end_leases()
        dead = self.run(self.queue.dead(None, 100))
        expected = 0
        for letter in dead:
            job = self.model.dead[int(letter.payload)]
            assert (letter.deliveries, letter.failures) == (job.deliveries, job.failures)
            if self.model.is_live(job.line, job.key):
                continue
            del self.model.dead[job.number]
            self.model.places += 1
            place, deliveries = self.model.places, job.deliveries
            self.model.live[job.number] = ModelJob(
                job.number, place, job.line, job.key, job.lane, job.after, 0, deliveries
            )
            expected += 1
        assert self.run(self.queue.revive([letter.id for letter in dead])) == expected

    @rule(milliseconds=st.sampled_from((100, 700, 1_000, 5_000)))
    def pass_time(self, milliseconds) -> None:
        held = self.model.held()
        self.clock.advance(milliseconds)
        self.model.now_ms = self.clock.now_ms()
        self.lost += [job for job in held if job.lease_until_ms <= self.model.now_ms]

    @rule(data=st.data())
    def a_lost_lease_does_nothing(self, data) -> None:
        if not self.lost:
            return
        job = data.draw(st.sampled_from(self.lost))
        for attempt in (self.queue.ack([job], Write(counters={"lost": 1})), self.queue.extend([job], 60)):
            with pytest.raises(errors.LeaseLost):
                self.run(attempt)
        self.run(self.queue.retry([job], 0, "no"))
        self.run(self.queue.release([job]))
        self.run(self.queue.bury([job], "no"))

    @rule()
    def restart(self) -> None:
        self.run(self.opened.__aexit__(None, None, None))
        self.open()

    @invariant()
    def counts_agree(self) -> None:
        stats = {one.queue: one for one in self.run(self.queue.stats())}
        for line in LINES:
            live = sum(job.line == line for job in self.model.live.values())
            found = stats.get(line)
            assert (found.ready + found.delayed + found.claimed if found else 0) == live
            assert (found.dead if found else 0) == sum(job.line == line for job in self.model.dead.values())

    def teardown(self) -> None:
        self.run(self.opened.__aexit__(None, None, None))
        self.runner.close()
        self.directory.cleanup()


@pytest.mark.parametrize(
    ("examples", "steps"), [(60, 40), pytest.param(300, 60, marks=[pytest.mark.long, pytest.mark.timeout(1_800)])]
)
def test_agrees_with_a_list(opener, examples, steps):
    run_state_machine_as_test(
        lambda: QueueMachine(opener),
        settings=settings(max_examples=examples, stateful_step_count=steps, deadline=None, database=None),
    )
