"""GET /p/<project>/settings/people: what the law asks for, a tracked person's data handed over or erased."""

from collections.abc import Sequence

import msgspec
from aiohttp import web

from vemetric import errors
from vemetric.accounts import removal
from vemetric.clickhouse import person
from vemetric.database import identities, user_merges
from vemetric.model.project import Project
from vemetric.web import context, forms, headers, render
from vemetric.web.pages import confirm, shell
from vemetric.web.pages.confirm import Question

AREA = "people"
USER_IDS = 1 << 64
IDENTIFIER_LENGTH_MAX = 1000
EXPORT_TYPE = "application/x-ndjson"


class Typed(msgspec.Struct, frozen=True):
    """What was typed to confirm."""

    typed: str


class Person(msgspec.Struct, frozen=True):
    """A tracked user. ids: of the user, and of those that were merged into it."""

    user_id: int
    identifier: str
    ids: Sequence[int]


async def show(request: web.Request) -> web.Response:
    """The form that looks a user up by the identifier a site gave it, or by its number."""
    project = await context.project_to_change(request)
    asked = request.query.get("who", "").strip()[:IDENTIFIER_LENGTH_MAX]
    found = await _by_text(request, project, asked) if asked else None
    frame = await shell.project_settings(request, project, AREA)
    return render.page(
        request,
        "pages/project/people.html",
        form={"who": asked},
        problems={"who": "There is no user of this identifier or number."} if asked and found is None else {},
        found=found,
        is_saved="The user's data is erased within minutes." if "erased" in request.query else "",
        **frame,
    )


async def export(request: web.Request) -> web.StreamResponse:
    """GET /p/<project>/settings/people/<user>/export: every row, a JSON document per line."""
    project = await context.project_to_change(request)
    who, engine = await _of_path(request, project), context.of(request).services.engine
    response = web.StreamResponse(
        headers={
            **headers.SECURITY,
            **headers.NO_STORE,
            "Content-Type": EXPORT_TYPE,
            "Content-Disposition": f'attachment; filename="user-{who.user_id}.ndjson"',
        }
    )
    await response.prepare(request)
    if request.method != "HEAD":
        about = {"table": "identity", "row": {"userId": str(who.user_id), "identifier": who.identifier}}
        await response.write(msgspec.json.encode(about) + b"\n")
        async for table, row in person.rows(engine, project.id, who.ids):
            await response.write(msgspec.json.encode({"table": table, "row": row}) + b"\n")
    await response.write_eof()
    return response


async def ask_to_erase(request: web.Request) -> web.Response:
    """GET /p/<project>/settings/people/<user>/erase"""
    project = await context.project_to_change(request)
    question = _erasure(project, await _of_path(request, project))
    return confirm.ask(request, await shell.project_settings(request, project, AREA), question)


async def erase(request: web.Request) -> web.Response:
    """Erase everything that is known of the user, once the number was typed."""
    project, form = await context.project_to_change(request), await forms.read(request, Typed)
    who, services = await _of_path(request, project), context.of(request).services
    question = _erasure(project, who)
    if not confirm.is_typed(question, form.typed):
        frame = await shell.project_settings(request, project, AREA)
        return confirm.ask(request, frame, question, "This is not the number of the user.")
    await removal.erase_users(services.queue, services.clock, project.id, who.ids)
    return render.redirect(f"/p/{project.id}/settings/people?erased=1")


def _erasure(project: Project, who: Person) -> Question:
    return Question(
        f"Erase {who.identifier or f'user {who.user_id}'}",
        (
            "Every event, visit and device of this user is erased, and who it was. The figures of the past change.",
            "This cannot be undone.",
        ),
        "Erase the user's data",
        f"/p/{project.id}/settings/people",
        typed=str(who.user_id),
        label="Number of the user",
    )


async def _of_path(request: web.Request, project: Project) -> Person:
    text = request.match_info["user"]
    if not _is_user_id(text):
        raise errors.NotFound
    return await _person(request, project, int(text))


async def _by_text(request: web.Request, project: Project, text: str) -> Person | None:
    """The user of an identifier, or else of a number that the store knows."""
    services = context.of(request).services
    async with services.database.connect() as connection:
        user_id = await identities.by_identifier(connection, project.id, text)
    if user_id is not None:
        return await _person(request, project, user_id)
    if not _is_user_id(text):
        return None
    who = await _person(request, project, int(text))
    async for _ in person.rows(services.engine, project.id, who.ids):
        return who
    return who if who.identifier else None


async def _person(request: web.Request, project: Project, user_id: int) -> Person:
    async with context.of(request).services.database.connect() as connection:
        identifier = await identities.by_user(connection, project.id, user_id)
        merged = await user_merges.into_user(connection, project.id, user_id)
    return Person(user_id, identifier or "", (user_id, *merged))


def _is_user_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= len(str(USER_IDS)) and 0 < int(text) < USER_IDS
