"""GET /p/<project>/users/<user>: what is known of one user, what was done, visit by visit, and on which days."""

from typing import Any

from aiohttp import web

from vemetric import errors
from vemetric.accounts import event_icons
from vemetric.database import user_merges
from vemetric.model import calendar, filter_text
from vemetric.model import text as shown_text
from vemetric.model.project import Project
from vemetric.stats import funnels, journey, person, users
from vemetric.stats.journey import FOREVER_MS
from vemetric.stats.person import Facts, Known
from vemetric.web import cards, context, figures, filter_bar, funnel_values, render, user_values
from vemetric.web.filter_bar import Place
from vemetric.web.pages import filters as filter_pages
from vemetric.web.pages import shell

DISABLED = ("funnel", "referrer", "referrerUrl", "referrerType", "utmTags", "location", "user")


async def show(request: web.Request) -> web.Response:
    """The page. Who was merged into another user is found there."""
    project, services = await context.project_of(request), context.of(request).services
    user_id, now_ms = _user_id(request.match_info["user"]), services.clock.now_ms()
    facts = await person.load_facts(services.engine, project, user_id, now_ms)
    if facts is None:
        return await _elsewhere(request, project, user_id)
    tz, path = calendar.zone(project.time_zone), f"/p/{project.id}/users/{user_id}"
    group = filter_bar.read(request.query, DISABLED)
    window = user_values.day_of(request.query.get("date", ""), tz)
    chosen = request.query["date"] if window is not None else ""
    kept = {filter_bar.PARAMETER: filter_text.write(group)} if group.filters else {}
    dated = kept | ({"date": chosen} if chosen else {})
    done = await journey.load_journey(
        services.engine,
        project,
        user_id,
        window_ms=window or (0, FOREVER_MS),
        before=user_values.mark_of(request.query.get("before", "")),
        group=group,
    )
    edges_ms = user_values.heat_edges(now_ms, tz)
    counts = await person.count_days(services.engine, project, user_id, edges_ms)
    icons = await event_icons.of_project(services.database, project.id)
    saved = await filter_pages.saved_of(request, project)
    known = await filter_pages.funnels_of(request, project)
    reached = await funnels.progress(services.engine, project, user_id, known)
    return render.page(
        request,
        "pages/user.html",
        bar=filter_bar.bar(Place(f"/p/{project.id}", path, dated), group, (), saved, DISABLED),
        path=path,
        visits=user_values.visits(project, done, icons, now_ms),
        next_url=None
        if done.next is None
        else filter_bar.address(path, dated | {"before": "{}.{}".format(*done.next)}),
        first_url=filter_bar.address(path, dated) if "before" in request.query else "",
        all_url=path,
        is_narrowed=bool(chosen or group.filters),
        chosen=chosen,
        progress=funnel_values.progress(known, reached, f"/p/{project.id}/funnels"),
        undated_url=filter_bar.address(path, kept),
        heat=user_values.heat(
            edges_ms,
            counts,
            tz,
            chosen,
            lambda day: filter_bar.address(path, kept | ({"date": day} if day else {})),
        ),
        **_person(facts, tz, now_ms),
        **await shell.values(request, project, "users"),
    )


def _person(facts: Facts, tz: Any, now_ms: int) -> dict[str, Any]:
    """Who it is, in words."""
    known = facts.known
    device = cards.DEVICE_ICONS.get(facts.device, "devices")
    return {
        "who": facts,
        "name": user_values.name(facts),
        "also": shown_text.shown(facts.identifier) if facts.display_name else "",
        "place": user_values.place(facts.country, facts.city),
        "device_icon": device,
        "last_seen": f"{figures.relative_day(calendar.local(facts.last_ms, tz), calendar.local(now_ms, tz))}, "
        f"{figures.clock(calendar.local(facts.last_ms, tz))}",
        "first_seen": user_values.moment(min(facts.first_ms, known.first_seen_ms) if known else facts.first_ms, tz),
        "attributes": user_values.data(known.attributes) if known else [],
        "avatar": known.avatar_url if known and known.avatar_url.startswith(("https://", "http://")) else "",
        "first": [] if known is None else _first(known),
    }


def _first(known: Known) -> list[tuple[str, str]]:
    """What the first visit said."""
    found = [("Landed on", known.landing), ("Came from", known.referrer or cards.DIRECT)]
    found += [(f"UTM {key}", value) for key, value in known.utm.items()]
    return [(label, shown_text.shown(value)) for label, value in found if value]


async def _elsewhere(request: web.Request, project: Project, user_id: int) -> web.Response:
    async with context.of(request).services.database.connect() as connection:
        merges = await user_merges.of_users(connection, project.id, [user_id])
    if not merges:
        raise errors.NotFound
    return render.redirect(f"/p/{project.id}/users/{merges[-1].into_user_id}")


def _user_id(value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) <= len(str(users.USER_IDS))):
        raise errors.NotFound
    if int(value) >= users.USER_IDS:
        raise errors.NotFound
    return int(value)
