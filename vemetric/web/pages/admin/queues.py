"""/admin and /admin/queues/<queue>: what is in line, at what rate it is done, and how a line is stopped or emptied."""

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
from aiohttp import web

from vemetric import errors
from vemetric.model import report
from vemetric.model.report import Rate, Report
from vemetric.queues import history
from vemetric.queues.history import History
from vemetric.queues.job import QueueStats, State
from vemetric.queues.queue import Queue
from vemetric.services import Services
from vemetric.web import context, forms, render
from vemetric.web.pages.admin import frame, payloads

PROCESSES_MAX = 200
PAGE_JOBS = (10, 25, 50)
# One step of what is done to a whole line; the jobs of a step are in memory at once.
STEP_JOBS_MAX = 200
DEAD = "dead"
# What can be listed of a line, with what it is called and which number of its statistics it is.
STATES = (
    (State.READY.value, "Waiting", "ready"),
    (State.DELAYED.value, "Delayed", "delayed"),
    (State.CLAIMED.value, "Active", "claimed"),
    (DEAD, "Dead", "dead"),
)
SORTS: dict[str, Callable[["Line"], Any]] = {
    "name": lambda line: line.stats.queue,
    "ready": lambda line: -line.stats.ready,
    "delayed": lambda line: -line.stats.delayed,
    "claimed": lambda line: -line.stats.claimed,
    "dead": lambda line: -line.stats.dead,
}
NO_RATE = Rate(0, 0, 0, 0)


class Line(NamedTuple):
    """A queue as it is listed. shares: of the bar, by state."""

    stats: QueueStats
    rate: Rate
    is_paused: bool
    shares: dict[str, float]


class Change(msgspec.Struct, frozen=True):
    """The form of a button: what to do."""

    action: str


async def overview(request: web.Request) -> web.Response:
    """Every queue, filtered by name and sorted as the address says."""
    lines = await _lines(request)
    wanted, sort = request.query.get("q", ""), request.query.get("sort", "name")
    shown = [line for line in lines if wanted.casefold() in line.stats.queue.casefold()]
    return frame.page(
        request,
        "queues",
        "queues",
        lines=sorted(shown, key=SORTS.get(sort, SORTS["name"])),
        states=STATES,
        sort=sort if sort in SORTS else "name",
        wanted=wanted,
        are_all_paused=bool(lines) and all(line.is_paused for line in lines),
    )


async def change_all(request: web.Request) -> web.Response:
    """POST /admin: pause or resume every queue."""
    queue, action = context.of(request).services.queue, (await forms.read(request, Change)).action
    if action not in ("pause", "resume"):
        raise errors.Invalid("There is nothing like that to do.")
    for stats in await queue.stats():
        await (queue.pause if action == "pause" else queue.resume)(stats.queue)
    return render.redirect(f"/admin?said={action}d")


async def show(request: web.Request) -> web.Response:
    """One queue: the jobs of a state, page by page, the newest first."""
    line = await _line(request)
    state = request.query.get("state", State.READY.value)
    if state not in [key for key, _, _ in STATES]:
        raise errors.NotFound
    size, before_id = _number(request, "size", PAGE_JOBS[0]), _number(request, "before", 0)
    size = size if size in PAGE_JOBS else PAGE_JOBS[0]
    found = await _listed(request, state, size + 1, before_id or None)
    return frame.page(
        request,
        "queue",
        "queues",
        line=line,
        states=STATES,
        state=state,
        size_now=size,
        sizes=PAGE_JOBS,
        before=before_id,
        jobs=found[:size],
        next_before=found[size - 1].id if len(found) > size else 0,
    )


async def change(request: web.Request) -> web.Response:
    """POST: pause, resume; retry all dead letters, let all delayed jobs run."""
    services, line = context.of(request).services, await _line(request)
    name, action = line.stats.queue, (await forms.read(request, Change)).action
    match action:
        case "pause":
            await services.queue.pause(name)
        case "resume":
            await services.queue.resume(name)
        case "retry-all":
            await retry_all(request, name)
        case "promote-all":
            await _promote_all(services.queue, name)
        case _:
            raise errors.Invalid("There is nothing like that to do.")
    said = {"pause": "paused", "resume": "resumed", "retry-all": "retried", "promote-all": "promoted"}[action]
    return render.redirect(f"/admin/queues/{name}?said={said}")


async def ask_to_empty(request: web.Request) -> web.Response:
    """GET /admin/queues/<queue>/empty?state=: whether all jobs of a state shall go."""
    line, state = await _line(request), _emptied(request.query.get("state", ""))
    return frame.page(request, "empty", "queues", line=line, state=state, label=_label(state))


async def empty(request: web.Request) -> web.Response:
    """POST: remove all jobs of a state that nobody works on, of those that stand there now."""
    services, line = context.of(request).services, await _line(request)
    name, state = line.stats.queue, _emptied((await forms.read(request, Change)).action)
    if state == DEAD:
        await _empty_dead(services, name)
    else:
        newest = await services.queue.listed(name, State(state), 1)
        # Again, because of very many not all are listed at once. What comes meanwhile is newer and stays.
        while newest and await _empty_once(services, name, State(state), newest[0].id + 1):
            pass
    return render.redirect(f"/admin/queues/{name}?state={state}&said=removed")


async def _empty_dead(services: Services, name: str) -> None:
    before_id = None
    while letters := await services.queue.dead(name, STEP_JOBS_MAX, before_id):
        before_id = letters[-1].id
        counters = await payloads.counters_of(services, letters)
        await services.queue.discard_dead([letter.id for letter in letters], counters)


async def _empty_once(services: Services, name: str, state: State, before_id: int) -> int:
    """Remove the jobs of a state before that one, the newest first; returns how many these were."""
    removed = 0
    while jobs := await services.queue.listed(name, state, STEP_JOBS_MAX, before_id, with_payloads=True):
        before_id = jobs[-1].id
        counters = await payloads.counters_of(services, jobs)
        removed += len(await services.queue.discard(jobs, counters))
    return removed


async def retry_all(request: web.Request, queue: str | None) -> None:
    """Put all dead letters back in line, of a queue or of all. Those stay whose work was put anew."""
    services, before_id = context.of(request).services, None
    while page := await services.queue.dead(queue, STEP_JOBS_MAX, before_id):
        await services.queue.revive([letter.id for letter in page])
        await History(services.keys, services.clock).note(page, history.REVIVED, history.OPERATOR)
        before_id = page[-1].id


async def _promote_all(queue: Queue, name: str) -> None:
    """Let all delayed jobs run now, each once: one that fails meanwhile waits for its next attempt."""
    before_id = None
    while page := await queue.listed(name, State.DELAYED, STEP_JOBS_MAX, before_id):
        await queue.promote([job.id for job in page])
        before_id = page[-1].id


async def _lines(request: web.Request) -> list[Line]:
    services = context.of(request).services
    reports = [
        msgspec.json.decode(told, type=Report) for _, told in await services.keys.scan(report.PREFIX, PROCESSES_MAX)
    ]
    rates, paused = report.total(reports), set(await services.queue.paused())
    return [
        Line(stats, rates.get(stats.queue, NO_RATE), stats.queue in paused, _shares(stats))
        for stats in await services.queue.stats()
    ]


async def _line(request: web.Request) -> Line:
    for line in await _lines(request):
        if line.stats.queue == request.match_info["queue"]:
            return line
    raise errors.NotFound


async def _listed(request: web.Request, state: str, limit: int, before_id: int | None) -> Any:
    queue, name = context.of(request).services.queue, request.match_info["queue"]
    if state == DEAD:
        return await queue.dead(name, limit, before_id)
    return await queue.listed(name, State(state), limit, before_id)


def _shares(stats: QueueStats) -> dict[str, float]:
    """Where each state's part of a bar of 100 begins, and how long it is."""
    counts = {key: getattr(stats, field) for key, _, field in STATES}
    total = sum(counts.values()) or 1
    return {key: round(100 * count / total, 2) for key, count in counts.items()}


def _emptied(state: str) -> str:
    if state not in (State.READY.value, State.DELAYED.value, DEAD):
        raise errors.NotFound
    return state


def _label(state: str) -> str:
    return next(label for key, label, _ in STATES if key == state)


def _number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else default
