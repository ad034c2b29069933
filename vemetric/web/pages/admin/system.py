"""/admin/system: version, stores and how large they are, when the disk is full, memory, refusals, slow statements."""

import platform
import shutil
from collections import Counter
from typing import Any, NamedTuple

import msgspec
from aiohttp import web

from vemetric import __version__, errors
from vemetric.accounts import projects
from vemetric.clickhouse.sizes import Measure, Sizes
from vemetric.ingest import jobs
from vemetric.model import canary, report
from vemetric.model.meters import Histogram
from vemetric.model.process import memory_bytes
from vemetric.model.project import Project
from vemetric.model.report import Report
from vemetric.model.store_facts import StoreFacts
from vemetric.services import Services
from vemetric.web import context
from vemetric.web.pages.admin import frame

PROJECTS_SHOWN_MAX = 100
PROCESSES_MAX = 200
HOURS_OF_REFUSALS = 24
LONGEST_FORECAST_DAYS = 3_650

MEASURE = web.AppKey("measure", Measure)


class Disk(NamedTuple):
    """The disk of the data directory. days: until it is full at the pace of the last week, None if that is far off."""

    free: int
    total: int
    per_day: float
    days: float | None


class Part(NamedTuple):
    """A project's part of the store."""

    project: Project
    events: int
    lately: int
    size: float


async def show(request: web.Request) -> web.Response:
    """Everything on one page; what a store does not answer is left out."""
    services = context.of(request).services
    sizes, trouble = await _sizes(request)
    stores, away = await _stores(services)
    return frame.page(
        request,
        "system",
        "system",
        version=__version__,
        python=platform.python_version(),
        machine=f"{platform.system()} {platform.machine()}",
        config=services.config,
        meters=services.meters,
        memory=memory_bytes(),
        processes=await _processes(services),
        stores=stores,
        away=away,
        sizes=sizes,
        trouble=trouble,
        disk=_disk(services, sizes),
        parts=await _parts(services, sizes),
        refusals=(await _refusals(services)).most_common(),
        flight=await _flight(services),
        lag=_largest(services.meters.lag),
        oldest=await _oldest(services),
        database=services.database.connections,
        slow=sorted(services.meters.slow, key=lambda one: -one.seconds),
    )


async def _sizes(request: web.Request) -> tuple[Sizes | None, str]:
    try:
        return await request.app[MEASURE].sizes(), ""
    except (errors.StoreError, errors.Unavailable) as error:
        return None, error.message


async def _stores(services: Services) -> tuple[list[tuple[str, StoreFacts]], list[str]]:
    found, away = [], []
    for name, facts in (("Accounts", services.database.facts), ("Queue and keys", services.queue.facts)):
        try:
            found.append((name, await facts()))
        except errors.Unavailable as error:
            away.append(error.message)
    return found, away


def _disk(services: Services, sizes: Sizes | None) -> Disk:
    usage = shutil.disk_usage(services.config.data_dir)
    # What is on a server fills another disk.
    per_day = sizes.bytes_per_day if sizes is not None and services.config.clickhouse is None else 0.0
    days = usage.free / per_day if per_day > 0 else None
    return Disk(usage.free, usage.total, per_day, days if days is not None and days < LONGEST_FORECAST_DAYS else None)


async def _parts(services: Services, sizes: Sizes | None) -> list[Part]:
    if sizes is None:
        return []
    found = [
        Part(project, *sizes.events.get(project.id, (0, 0)), sizes.of_project(project.id))
        for project in await projects.everything(services.database)
    ]
    return sorted(found, key=lambda part: -part.size)[:PROJECTS_SHOWN_MAX]


async def _refusals(services: Services) -> Counter[str]:
    """Of the last day, by reason."""
    since, found = services.clock.now_ms() // jobs.HOUR_MS - HOURS_OF_REFUSALS, Counter[str]()
    for name, count in (await services.keys.counters(jobs.REFUSED_PREFIX)).items():
        _, _, reason, hour = name.split(":")
        if int(hour) > since:
            found[reason] += count
    return found


async def _processes(services: Services) -> list[Report]:
    told = await services.keys.scan(report.PREFIX, PROCESSES_MAX)
    return [msgspec.json.decode(one, type=Report) for _, one in told]


async def _flight(services: Services) -> canary.Flight | None:
    stored = await services.keys.get(canary.KEY)
    return None if stored is None else canary.decode(stored)


async def _oldest(services: Services) -> tuple[str, int] | None:
    """The queue whose oldest job has waited longest, and since when."""
    waiting = [(one.oldest_ready_ms, one.queue) for one in await services.queue.stats() if one.oldest_ready_ms]
    return (min(waiting)[1], min(waiting)[0]) if waiting else None


def _largest(histogram: Histogram) -> Any:
    """The bound that no value was above; None where nothing was measured or one was above all of them."""
    for bound, count in reversed(list(zip((*histogram.bounds, None), histogram.counts, strict=True))):
        if count:
            return bound
    return None
