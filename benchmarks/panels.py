"""Time whole dashboards over stores of 1 and 10 million events: `python3 build.py bench panels`.

`--directory D` times a store that benchmarks/data.py has made. The figures are those of stats.dashboard.load, which
is what a page waits for: chart, tiles, all cards and online users of the largest project, previous window included;
once over everything for every timespan, and for 24 hours and 30 days under filters of each kind. The card of funnels,
which a page counts only where a project has some, is timed beside it.
"""

import argparse
import asyncio
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.data import PROJECT_IDS  # noqa: E402
from vemetric.clickhouse import migrate  # noqa: E402
from vemetric.clickhouse.embedded import EmbeddedEngine  # noqa: E402
from vemetric.clickhouse.engine import Engine  # noqa: E402
from vemetric.model import filter_text, timespan  # noqa: E402
from vemetric.model.calendar import local, zone  # noqa: E402
from vemetric.model.dashboard import Range  # noqa: E402
from vemetric.model.filters import EventFilter, PageFilter, Text, TextOperator  # noqa: E402
from vemetric.model.funnel import Funnel, Step  # noqa: E402
from vemetric.model.project import Project  # noqa: E402
from vemetric.model.timespan import CUSTOM, Timespan  # noqa: E402
from vemetric.stats import dashboard, filters, funnels  # noqa: E402
from vemetric.stats.filters import Conditions  # noqa: E402

SIZES = (1_000_000, 10_000_000)
# What the default dashboard may take, by the number of stored events.
DEFAULT_MS_MAX = {1_000_000: 150, 10_000_000: 1_000}
# What it may take under filters and over 30 days, with as many events.
UNDER_FILTERS_MS_MAX = {"24hrs": 300, "30days": 1_000}
ROUNDS = 7
TIME_ZONE = "Europe/Vienna"
# A custom range that ends in the past, so that visits go on beyond it.
CUSTOM_DAYS = timedelta(days=89)
CUSTOM_ENDED = timedelta(days=40)

# One of each kind that compiles differently, written as a URL has them.
FILTERS = {
    "a page": "page(path:is:/)",
    "a part of a path": "page(path:contains:docs)",
    "countries": "location(country:oneOf:DE:AT)",
    "a browser or a kind of source": "or(browser(browser:oneOf:Chrome);referrerType(kind:oneOf:search))",
    "a property of an event": "event(name:is:signup,property:seats:gte:5)",
    "never a page": "page(path:isNot:/);user(anonymous)",
    "a funnel": "funnel(f0:1:completed)",
}
FUNNELS = tuple(
    Funnel(
        f"f{number}",
        "",
        (
            Step("1", "", PageFilter(Text(TextOperator.STARTS_WITH, "/"))),
            Step("2", "", PageFilter(Text(TextOperator.CONTAINS, path))),
            Step("3", "", EventFilter()),
        ),
    )
    for number, path in enumerate(("docs", "blog"))
)

LATEST = "SELECT toUnixTimestamp64Milli(max(createdAt)) FROM event WHERE projectId = {project:UInt64}"
SIZE = """
SELECT count(), countIf(projectId = {project:UInt64}), (
    SELECT count() FROM system.parts WHERE active AND table = 'event' AND database = currentDatabase()
) FROM event
"""


def timespans(now_ms: int) -> dict[str, Timespan]:
    today = local(now_ms, zone(TIME_ZONE)).date()
    last: date = today - CUSTOM_ENDED
    custom = Timespan(CUSTOM, last - CUSTOM_DAYS, last)
    return {key: Timespan(key) for key in timespan.PRESETS} | {"custom, 90 days": custom}


async def time_load(
    engine: Engine, project: Project, range_: Range, conditions: Conditions = filters.NONE
) -> tuple[float, list[float]]:
    """The first load and the ones after it, in milliseconds."""
    taken = []
    for _ in range(ROUNDS + 1):
        began = time.perf_counter()
        await dashboard.load(engine, project, range_, conditions=conditions)
        taken.append((time.perf_counter() - began) * 1000)
    return taken[0], taken[1:]


async def measure(directory: Path) -> bool:
    """Print the table of one store. Returns whether the default dashboard was quick enough."""
    engine = await EmbeddedEngine.open(directory)
    await migrate.migrate(engine)
    project = Project(id=PROJECT_IDS[0], organization_id="", name="", domain="", token="")
    try:
        [[events, own, parts]] = await engine.query(SIZE, {"project": project.id})
        [[now_ms]] = await engine.query(LATEST, {"project": project.id})
        print(f"{events:,} events in {parts} parts, {own:,} of the project; median of {ROUNDS}")
        print("| timespan | first | median | slowest |\n|---|---|---|---|")
        medians = {}
        for label, chosen in timespans(now_ms).items():
            range_ = timespan.resolve(chosen, now_ms, TIME_ZONE)
            first, taken = await time_load(engine, project, range_)
            medians[label] = statistics.median(taken)
            print(f"| {label} | {first:.0f} ms | {medians[label]:.0f} ms | {max(taken):.0f} ms |")
        slowest = await measure_filters(engine, project, now_ms)
        await measure_funnels(engine, project, now_ms)
    finally:
        await engine.close()
    print(f"peak memory of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB\n")
    allowed_ms = max((limit for size, limit in DEFAULT_MS_MAX.items() if size <= events * 1.1), default=150)
    filtered = all(slowest[key] <= limit for key, limit in UNDER_FILTERS_MS_MAX.items())
    return medians[timespan.DEFAULT] <= allowed_ms and filtered


async def measure_filters(engine: Engine, project: Project, now_ms: int) -> dict[str, float]:
    """Print the table under filters. Returns the slowest median by timespan, in milliseconds."""
    spans = tuple(UNDER_FILTERS_MS_MAX)
    print(f"\n| filter | {' | '.join(spans)} |\n|---|{'---|' * len(spans)}")
    slowest = dict.fromkeys(spans, 0.0)
    for label, text in FILTERS.items():
        group = filter_text.read(text)
        if group is None:
            raise SystemExit(f"not a filter: {text}")
        conditions, medians = filters.compile_filters(group, FUNNELS), []
        for key in spans:
            _, taken = await time_load(engine, project, timespan.resolve(Timespan(key), now_ms, TIME_ZONE), conditions)
            medians.append(statistics.median(taken))
            slowest[key] = max(slowest[key], medians[-1])
        print(f"| {label} | {' | '.join(f'{median:.0f} ms' for median in medians)} |")
    return slowest


async def measure_funnels(engine: Engine, project: Project, now_ms: int) -> None:
    """Print how long the card of funnels takes, by timespan."""
    print("\n| funnels | median | slowest |\n|---|---|---|")
    for key in UNDER_FILTERS_MS_MAX:
        range_, taken = timespan.resolve(Timespan(key), now_ms, TIME_ZONE), []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            await funnels.count(engine, project, range_, FUNNELS)
            taken.append((time.perf_counter() - began) * 1000)
        print(f"| {len(FUNNELS)} over {key} | {statistics.median(taken):.0f} ms | {max(taken):.0f} ms |")


def measure_fresh(events: int) -> bool:
    """Fill a store and measure it, each in a process of its own: a process holds one engine."""
    with tempfile.TemporaryDirectory() as folder:
        filling = [sys.executable, "benchmarks/data.py", "--events", str(events), "--directory", folder]
        subprocess.run(filling, cwd=ROOT, check=True)
        measuring = [sys.executable, __file__, "--directory", folder]
        return subprocess.run(measuring, cwd=ROOT, check=False).returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", type=Path, help="a store made by benchmarks/data.py")
    parser.add_argument("--events", type=int, nargs="*", default=SIZES, help="sizes of the stores to make")
    options = parser.parse_args()
    if options.directory:
        return 0 if asyncio.run(measure(options.directory)) else 1
    quick = [measure_fresh(events) for events in options.events]
    return 0 if all(quick) else 1


if __name__ == "__main__":
    sys.exit(main())
