"""GET /setup/<token> and its form: the first account with its organization and project."""

import msgspec
from aiohttp import web

from vemetric import errors
from vemetric.accounts import limits, setup
from vemetric.model import calendar
from vemetric.web import context, entrance, forms, render


async def show(request: web.Request) -> web.Response:
    """The form, as long as the link works; the login once set-up is done."""
    services = context.of(request).services
    if await setup.is_done(services.database):
        return render.redirect("/login")
    token = request.match_info.get("token", "") or request.query.get("token", "")
    if not token or not await setup.is_valid(services.database, services.clock, token):
        return render.page(request, "pages/setup_waiting.html", status=403 if token else 200, is_dead=bool(token))
    empty = setup.Form("", "", "", "", "", "", services.config.time_zone)
    return _form(request, token, empty, {})


async def complete(request: web.Request) -> web.Response:
    """Make account, organization and project, and sign the account in."""
    page, token = context.of(request), request.match_info["token"]
    services, form = page.services, await forms.read(request, setup.Form)
    await limits.take_for(services.keys, services.clock, limits.SET_UP, page.ip)
    try:
        made = await setup.complete(services.database, services.clock, token, form)
    except (errors.Invalid, errors.Conflict) as error:
        # The command line may have made a project of that domain before there was any account.
        return _form(request, token, form, render.problems_of(error, "domain"))
    except errors.Forbidden:
        return await show(request)
    services.projects.forget()
    return await entrance.enter(request, made.account, f"/p/{made.project.id}", "password")


def _form(request: web.Request, token: str, form: setup.Form, problems: dict[str, str]) -> web.Response:
    return render.page(
        request,
        "pages/setup.html",
        status=400 if problems else 200,
        token=token,
        form=msgspec.structs.replace(form, password=""),
        problems=problems,
        time_zones=sorted(calendar.zone_names()),
    )
