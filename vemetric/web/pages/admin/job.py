"""/admin/queues/<queue>/jobs/<job> and .../dead/<job>: one job with all that is known of it, and what can be done."""

import msgspec
from aiohttp import web

from vemetric import errors
from vemetric.queues import history
from vemetric.queues.history import History
from vemetric.queues.job import DeadJob, ListedJob
from vemetric.services import Services
from vemetric.web import context, forms, render
from vemetric.web.pages.admin import frame, payloads, queues
from vemetric.web.pages.admin.queues import Change

DIGITS_MAX = 18
DEAD_SHOWN_MAX = 50


class Shown(msgspec.Struct, frozen=True):
    """A dead letter on the list of all, with the queue it is of."""

    letter: DeadJob
    headline: str


async def show(request: web.Request) -> web.Response:
    """A live job: data, attempts, why it failed."""
    job = await _job(request)
    return await _page(request, job, is_dead=False)


async def change(request: web.Request) -> web.Response:
    """POST: let it run now, or remove it. Who works on it keeps it."""
    services, job = context.of(request).services, await _job(request)
    match (await forms.read(request, Change)).action:
        case "promote":
            is_done, said = await services.queue.promote([job.id]) > 0, "promoted"
            await _note(services, job, history.PROMOTED if is_done else "")
        case "remove":
            counters = await payloads.counters_of(services, [job])
            is_done, said = bool(await services.queue.discard([job], counters)), "removed"
        case _:
            raise errors.Invalid("There is nothing like that to do.")
    return render.redirect(f"/admin/queues/{job.queue}?state={job.state}&said={said if is_done else 'unmoved'}")


async def show_dead(request: web.Request) -> web.Response:
    """A dead letter: data, attempts, the error that led here."""
    return await _page(request, await _letter(request), is_dead=True)


async def show_history(request: web.Request) -> web.Response:
    """What happened to a live job, as a text."""
    return await _history(request, await _job(request))


async def show_dead_history(request: web.Request) -> web.Response:
    """What happened to a dead letter, as a text."""
    return await _history(request, await _letter(request))


async def change_dead(request: web.Request) -> web.Response:
    """POST: put it back in line, or remove it."""
    services, letter = context.of(request).services, await _letter(request)
    match (await forms.read(request, Change)).action:
        case "retry":
            is_done, said = await services.queue.revive([letter.id]) > 0, "retried"
            await _note(services, letter, history.REVIVED if is_done else "")
        case "remove":
            counters = await payloads.counters_of(services, [letter])
            is_done, said = bool(await services.queue.discard_dead([letter.id], counters)), "removed"
        case _:
            raise errors.Invalid("There is nothing like that to do.")
    return render.redirect(f"/admin/queues/{letter.queue}?state=dead&said={said if is_done else 'unmoved'}")


async def all_dead(request: web.Request) -> web.Response:
    """GET /admin/dead: the newest dead letters of all queues."""
    queue = context.of(request).services.queue
    total = sum(stats.dead for stats in await queue.stats())
    letters = [Shown(letter, headline(letter.error)) for letter in await queue.dead(None, DEAD_SHOWN_MAX)]
    return frame.page(request, "dead", "dead", letters=letters, total=total)


async def retry_all_dead(request: web.Request) -> web.Response:
    """POST /admin/dead: put all of them back in line."""
    await queues.retry_all(request, None)
    return render.redirect("/admin/dead?said=retried")


def headline(error: str) -> str:
    """The last line of a stack: what went wrong."""
    lines = error.strip().splitlines()
    return lines[-1][:200] if lines else ""


async def _page(request: web.Request, job: ListedJob | DeadJob, *, is_dead: bool) -> web.Response:
    services = context.of(request).services
    happened = await History(services.keys, services.clock).of(job)
    data = payloads.shown(job.queue, job.payload)
    return frame.page(request, "job", "queues", job=job, data=data, is_dead=is_dead, happened=happened)


async def _history(request: web.Request, job: ListedJob | DeadJob) -> web.Response:
    services = context.of(request).services
    happened = await History(services.keys, services.clock).of(job)
    lines = [f"{frame.time_of(job.put_at_ms)}  put into {job.queue}"]
    for one in happened:
        lines.append(f"{frame.time_of(one.at_ms)}  {one.what}, by {one.by}")
        lines += [f"    {line}" for line in one.error.splitlines()]
    name = f"{job.queue}-{job.id}.txt"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return web.Response(text="\n".join(lines) + "\n", headers=headers)


async def _note(services: Services, job: ListedJob | DeadJob, what: str) -> None:
    if what:
        await History(services.keys, services.clock).note([job], what, history.OPERATOR)


async def _job(request: web.Request) -> ListedJob:
    job = await context.of(request).services.queue.look(_id(request))
    if job is None or job.queue != request.match_info["queue"]:
        raise errors.NotFound("This job is done, or dead.")
    return job


async def _letter(request: web.Request) -> DeadJob:
    id_ = _id(request)
    for letter in await context.of(request).services.queue.dead(request.match_info["queue"], 1, id_ + 1):
        if letter.id == id_:
            return letter
    raise errors.NotFound("This dead letter is gone.")


def _id(request: web.Request) -> int:
    text = request.match_info["job"]
    if not text.isascii() or not text.isdigit() or len(text) > DIGITS_MAX:
        raise errors.NotFound
    return int(text)
