"""GET /docs/: the documentation of this very version, rendered by the build (building/documentation.py)."""

import re
from functools import cache
from pathlib import Path

import msgspec
from aiohttp import web

from vemetric import errors
from vemetric.web import assets, render

FOLDER = assets.DIRECTORY / "dist" / "docs"
# No dots, so that no path leads out of the folder.
NAME = re.compile(r"[a-z0-9-]+(?:/[a-z0-9-]+)?")
NAME_CHARACTERS_MAX = 100
FIRST = "index"


class Link(msgspec.Struct, frozen=True):
    """A page of the documentation, by the way from the one that is shown."""

    title: str
    href: str
    is_here: bool = False


class Section(msgspec.Struct, frozen=True):
    """Pages that stand together."""

    title: str
    pages: tuple[Link, ...]


class Document(msgspec.Struct, frozen=True):
    """A page. content: HTML made of our own Markdown; headings: of its second level."""

    title: str
    content: str
    headings: tuple[Link, ...]
    sections: tuple[Section, ...]
    previous: Link | None
    next: Link | None


async def show(request: web.Request) -> web.Response:
    """A page, also for those without an account."""
    name = request.match_info.get("name", "").removesuffix("/")
    found = load(FOLDER, name or FIRST)
    if found is None:
        raise errors.NotFound
    path = "/docs/" if name in ("", FIRST) else f"/docs/{name}/"
    if request.path != path:
        # Links between pages are relative, so each has one address.
        return render.redirect(path)
    return render.page(request, "pages/docs.html", document=found)


def load(folder: Path, name: str) -> Document | None:
    """A page by its name, None if there is none of that name."""
    if len(name) > NAME_CHARACTERS_MAX or not NAME.fullmatch(name):
        return None
    path = folder / f"{name}.json"
    return _read(path) if path.is_file() else None


@cache
def _read(path: Path) -> Document:
    """A page that there is. What anybody may ask for and is not there is not remembered: it has no end."""
    return msgspec.json.decode(path.read_bytes(), type=Document)
