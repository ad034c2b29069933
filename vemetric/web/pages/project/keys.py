"""GET and POST /p/<project>/settings/keys: the keys to the project's API. A new one is shown once."""

import msgspec
from aiohttp import web

from vemetric import errors
from vemetric.accounts import api_keys
from vemetric.model.api_key import ApiKey, Scope
from vemetric.model.project import Project
from vemetric.web import context, forms, render
from vemetric.web.pages import confirm, shell
from vemetric.web.pages.confirm import Question

AREA = "keys"
WHAT = {Scope.READ: "read the project's figures", Scope.WRITE: "send events to the project"}


class Form(msgspec.Struct, frozen=True):
    """The form of a new key."""

    name: str
    scope: str = Scope.READ.value


async def show(request: web.Request) -> web.Response:
    """The keys; with `?revoked=1` those that were revoked too."""
    return await _page(request, await context.project_to_change(request), Form(""), {})


async def create(request: web.Request) -> web.Response:
    """Make a key and show it. Not by a redirect: what it opens with is nowhere but in this answer."""
    project, form = await context.project_to_change(request), await forms.read(request, Form)
    page = context.of(request)
    services = page.services
    scope = Scope.WRITE if form.scope == Scope.WRITE else Scope.READ
    try:
        text, _ = await api_keys.create(services.database, services.clock, project.id, page.signed_in, form.name, scope)
    except (errors.Invalid, errors.Conflict) as error:
        return await _page(request, project, form, render.problems_of(error, "name"))
    return await _page(request, project, Form(""), {}, text)


async def ask_to_revoke(request: web.Request) -> web.Response:
    """GET /p/<project>/settings/keys/<key>/revoke"""
    project = await context.project_to_change(request)
    key = await _key(request, project)
    question = Question(
        f"Revoke {key.name}",
        (f"Whatever uses the key {key.prefix} cannot {WHAT[key.scope]} any more, at once and for ever.",),
        "Revoke the key",
        f"/p/{project.id}/settings/keys",
    )
    return confirm.ask(request, await shell.project_settings(request, project, AREA), question)


async def revoke(request: web.Request) -> web.Response:
    """End it."""
    project, page = await context.project_to_change(request), context.of(request)
    services, key_id = page.services, request.match_info["key"]
    await api_keys.revoke(services.database, services.clock, project.id, key_id, page.signed_in)
    return render.redirect(f"/p/{project.id}/settings/keys?saved=1")


async def _key(request: web.Request, project: Project) -> ApiKey:
    for key in await api_keys.of_project(context.of(request).services.database, project.id):
        if key.id == request.match_info["key"] and key.revoked_at_ms is None:
            return key
    raise errors.NotFound


async def _page(
    request: web.Request, project: Project, form: Form, problems: dict[str, str], new_key: str = ""
) -> web.Response:
    frame = await shell.project_settings(request, project, AREA)
    known = await api_keys.of_project(context.of(request).services.database, project.id)
    with_revoked = "revoked" in request.query
    return render.page(
        request,
        "pages/project/keys.html",
        status=400 if problems else 200,
        keys=[key for key in known if with_revoked or key.revoked_at_ms is None],
        revoked=sum(key.revoked_at_ms is not None for key in known),
        with_revoked=with_revoked,
        new_key=new_key,
        form=form,
        problems=problems,
        is_saved="The key is revoked." if "saved" in request.query else "",
        **frame,
    )
