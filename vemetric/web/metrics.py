"""GET /metrics in Prometheus' format, of this process and of the stores that it sees. No project is named, nor anybody.

Everything is read when it is asked for; what the stores have to be asked is believed for a few seconds.
"""

import asyncio
import hmac
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from aiohttp import web
from prometheus_client import exposition
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import CollectorRegistry

from vemetric import __version__, errors
from vemetric.ingest import jobs
from vemetric.model import canary
from vemetric.model.canary import Flight
from vemetric.model.meters import Histogram
from vemetric.model.process import memory_bytes
from vemetric.model.store_facts import StoreFacts
from vemetric.queues.job import QueueStats
from vemetric.services import Services

PATH = "/metrics"
ASKED_SECONDS_MAX = 5.0
BELIEVED_MS = 5_000


class Asked:
    """What the stores said. None: that one did not answer."""

    def __init__(self) -> None:
        self.queues: Sequence[QueueStats] = ()
        self.accepted = 0
        self.refused: Counter[str] = Counter()
        self.stores: dict[str, StoreFacts | None] = {}
        self.flight: Flight | None = None


class Metrics:
    """Answers /metrics."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._turn = asyncio.Lock()
        self._asked = Asked()
        self._asked_at_ms = -BELIEVED_MS

    async def handle(self, request: web.BaseRequest, *, is_private: bool) -> web.StreamResponse:
        """The figures; 404 where there is no /metrics, 401 without the token. is_private: on the operator's port."""
        token = self._services.config.metrics_token
        if not token and not is_private:
            return web.Response(status=404)
        sent = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token and not hmac.compare_digest(sent.encode("utf-8", "surrogatepass"), token.encode()):
            return web.Response(status=401, headers={"WWW-Authenticate": "Bearer"})
        text = exposition.generate_latest(self._registry(await self._ask()))
        headers = {"Content-Type": exposition.CONTENT_TYPE_LATEST, "Cache-Control": "no-store"}
        return web.Response(body=text, headers=headers)

    def _registry(self, asked: Asked) -> CollectorRegistry:
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Collected([*self._of_process(), *_of_stores(asked, self._services.clock.now_ms())]))
        return registry

    async def _ask(self) -> Asked:
        async with self._turn:
            if not 0 <= self._services.clock.now_ms() - self._asked_at_ms < BELIEVED_MS:
                asked = Asked()
                await asyncio.gather(*(_within(part) for part in self._parts(asked)))
                self._asked, self._asked_at_ms = asked, self._services.clock.now_ms()
            return self._asked

    def _parts(self, asked: Asked) -> list[Any]:
        services = self._services

        async def queues() -> None:
            asked.queues = await services.queue.stats()

        async def counts() -> None:
            asked.accepted = sum((await services.keys.counters(jobs.ACCEPTED_PREFIX)).values())
            for name, count in (await services.keys.counters(jobs.REFUSED_PREFIX)).items():
                asked.refused[name.split(":")[2]] += count

        async def flight() -> None:
            stored = await services.keys.get(canary.KEY)
            asked.flight = None if stored is None else canary.decode(stored)

        async def of_queue() -> None:
            asked.stores["queue"] = await services.queue.facts()

        async def of_database() -> None:
            asked.stores["accounts"] = await services.database.facts()

        async def of_analytics() -> None:
            [[version, size]] = await services.engine.lookup(ANALYTICS)
            asked.stores["analytics"] = StoreFacts("ClickHouse", version, int(size))

        return [queues(), counts(), flight(), of_queue(), of_database(), of_analytics()]

    def _of_process(self) -> Iterator[Metric]:
        meters = self._services.meters
        yield _gauge("vemetric_info", "The version that runs.", [((__version__,), 1)], ("version",))
        yield _gauge("vemetric_start_time_seconds", "When the process began.", [((), meters.started_ms / 1000)])
        yield _gauge("vemetric_memory_bytes", "Memory the process holds.", [((), memory_bytes())])
        in_use, there_are = self._services.database.connections
        pool = [(("used",), in_use), (("limit",), there_are)]
        yield _gauge("vemetric_database_connections", "Connections to the accounts database.", pool, ("state",))
        done = CounterMetricFamily("vemetric_jobs_done", "Jobs this process handled.", labels=("queue",))
        failed = CounterMetricFamily("vemetric_jobs_failures", "Batches whose handler failed.", labels=("queue",))
        batches = HistogramMetricFamily("vemetric_batch_jobs", "Jobs of a batch.", labels=("queue",))
        for name, of in sorted(meters.queues.items()):
            done.add_metric((name,), of.done)
            failed.add_metric((name,), of.failed)
            batches.add_metric((name,), *_buckets(of.batches))
        yield from (done, failed, batches)
        took = HistogramMetricFamily(
            "vemetric_analytics_seconds", "How long statements of the analytics store took.", labels=("kind",)
        )
        broken = CounterMetricFamily("vemetric_analytics_failures", "Statements that failed.", labels=("kind",))
        for kind, histogram in meters.queries.items():
            took.add_metric((kind,), *_buckets(histogram))
            broken.add_metric((kind,), meters.query_failures[kind])
        yield from (took, broken)
        lag = HistogramMetricFamily("vemetric_loop_lag_seconds", "How late the process comes to what is due.")
        lag.add_metric((), *_buckets(meters.lag))
        yield lag


ANALYTICS = """
SELECT version(), (SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = currentDatabase())
"""


class _Collected:
    """What a registry asks for its metrics."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = list(metrics)

    def collect(self) -> Iterable[Metric]:
        return self._metrics


async def _within(part: Any) -> None:
    """Ask a store; one that does not answer in time is left out."""
    try:
        async with asyncio.timeout(ASKED_SECONDS_MAX):
            await part
    except (TimeoutError, errors.StoreError, errors.Unavailable):
        return


def _of_stores(asked: Asked, now_ms: int) -> Iterator[Metric]:
    yield CounterMetricFamily("vemetric_events_accepted", "Events accepted since ever.", value=asked.accepted)
    refused = CounterMetricFamily("vemetric_hits_refused", "Requests refused since ever.", labels=("reason",))
    for reason, count in sorted(asked.refused.items()):
        refused.add_metric((reason,), count)
    yield refused
    states = [
        ((line.queue, state), getattr(line, state))
        for line in asked.queues
        for state in ("ready", "delayed", "claimed", "dead")
    ]
    yield _gauge("vemetric_queue_jobs", "Jobs by state.", states, ("queue", "state"))
    ages = [
        ((line.queue,), 0 if line.oldest_ready_ms is None else max(0, now_ms - line.oldest_ready_ms) / 1000)
        for line in asked.queues
    ]
    yield _gauge("vemetric_queue_age_seconds", "How long the oldest job has waited that could run.", ages, ("queue",))
    sizes = [((name, one.kind), one.size) for name, one in sorted(asked.stores.items()) if one is not None]
    about = "What a store takes: bytes on disk, of Redis its memory."
    yield _gauge("vemetric_store_bytes", about, sizes, ("store", "kind"))
    if asked.flight is not None:
        latency, arrived = asked.flight.latency_ms / 1000, asked.flight.arrived_ms / 1000
        yield _gauge("vemetric_canary_latency_seconds", "From the queue to a read, last measured.", [((), latency)])
        yield _gauge("vemetric_canary_arrived_seconds", "When the last one arrived.", [((), arrived)])


def _gauge(
    name: str, about: str, values: Iterable[tuple[tuple[str, ...], float]], labels: Sequence[str] = ()
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, about, labels=labels)
    for of, value in values:
        family.add_metric(of, value)
    return family


def _buckets(histogram: Histogram) -> tuple[list[tuple[str, float]], float]:
    """Buckets as Prometheus counts them: each holds those below it too."""
    counted, buckets = 0, []
    for bound, count in zip((*histogram.bounds, float("inf")), histogram.counts, strict=True):
        counted += count
        buckets.append(("+Inf" if bound == float("inf") else str(bound), float(counted)))
    return buckets, histogram.sum
