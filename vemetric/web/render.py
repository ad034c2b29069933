"""Templates: the environment they share, and answers made of them. A page and its fragment use the same file."""

from functools import partial
from http import HTTPStatus
from pathlib import Path
from types import CodeType
from typing import Any
from urllib.parse import parse_qsl, urlencode

import aiohttp_jinja2
import jinja2
from aiohttp import web
from jinja2.bccache import Bucket

from vemetric import errors
from vemetric.model import calendar
from vemetric.web import base_path, figures
from vemetric.web.assets import ASSETS, Assets
from vemetric.web.context import CONTEXT, SERVICES, of

TEMPLATES = Path(__file__).parent / "templates"
UNKNOWN_FLAG = "flags/xx.svg"
TITLES = {
    403: "You may not do this",
    404: "There is nothing here",
    405: "That cannot be done here",
    408: "That took too long",
    413: "That is too much",
    429: "Too many attempts",
    503: "Not available right now",
}
# What is said where nothing better is known.
SENTENCES = {
    404: "The address is not quite right, or what was here is gone, or it is not for this account.",
    405: "The address exists, but not for this kind of request.",
    408: "The form did not arrive. Please send it again.",
    413: "What was sent is larger than any form here.",
}
COLOURS_OF_AVATARS = 6
COLOURS_OF_PROJECTS = 5


class CompiledTemplates(jinja2.BytecodeCache):
    """The templates this process has compiled. Every application of it is set up alike, so they share them."""

    def __init__(self) -> None:
        self._code: dict[str, CodeType | None] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Fill the bucket of a template, if it was compiled before."""
        bucket.code = self._code.get(bucket.key)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep what was compiled."""
        self._code[bucket.key] = bucket.code


COMPILED = CompiledTemplates()


def set_up(app: web.Application) -> None:
    """Give the application its templates."""
    environment = aiohttp_jinja2.setup(
        app,
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        bytecode_cache=COMPILED,
        extensions=[base_path.Links],
    )
    assets = app[ASSETS]
    environment.globals[base_path.FUNCTION] = partial(base_path.before, app[SERVICES].config.base_path)
    environment.globals.update(asset=assets.url, flag=lambda code: flag_url(assets, code), has_asset=assets.has)
    environment.filters.update(number=figures.number, figure_of=figure_of, initials=initials, colour=colour, day=day)
    environment.filters.update(renewed=renewed, brief_of=brief_of)


def text(request: web.Request, template: str, **values: Any) -> str:
    """A filled template."""
    context = {"request": request, "page": of(request), **values}
    return aiohttp_jinja2.render_string(template, request, context)


def page(request: web.Request, template: str, *, status: int = 200, **values: Any) -> web.Response:
    """A filled template as an answer, compressed for those who can read that."""
    response = web.Response(text=text(request, template, **values), status=status, content_type="text/html")
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        # The one secret of a page is its form token, and that is masked anew each time.
        response.enable_compression(web.ContentCoding.gzip)
    response.headers["Vary"] = "Accept-Encoding, HX-Request"
    return response


def redirect(location: str) -> web.Response:
    """See another page, after a form was taken."""
    return web.Response(status=303, headers={"Location": location})


def failure(request: web.Request, status: int, message: str) -> web.Response:
    """What went wrong, as a page; as a sentence where nobody would see one (files, parts, other methods' clients)."""
    if CONTEXT not in request or of(request).is_fragment:
        return web.Response(text=message, status=status)
    title = TITLES.get(status) or HTTPStatus(status).phrase
    message = SENTENCES.get(status) or message
    template = "pages/failure.html"
    return page(request, template, status=status, title=title, message=message, code=status)


def problems_of(error: errors.VemetricError, field: str = "") -> dict[str, str]:
    """What is wrong by field; an error that names none belongs to `field`."""
    if isinstance(error, errors.Invalid) and error.fields:
        return error.fields
    return {field: error.message}


def brief_of(value: float | None, key: str) -> str:
    """A figure for a narrow place."""
    return figures.brief(key, value)


def figure_of(value: float | None, key: str) -> str:
    """A metric's value as people read it."""
    return figures.figure(key, value)


def day(at_ms: int) -> str:
    """The UTC day of an instant: `9 Mar 2026`."""
    shown = calendar.local(at_ms, calendar.zone("UTC"))
    return f"{shown.day} {shown:%b %Y}"


def renewed(query: str, every_seconds: int) -> str:
    """A query that also says how often its page shall come anew."""
    kept = [(name, value) for name, value in parse_qsl(query) if name not in ("every", "said")]
    return urlencode([*kept, ("every", every_seconds)])


def flag_url(assets: Assets, country_code: str) -> str:
    """The address of a country's flag; '' in a checkout without a build, which has no flags."""
    name = f"flags/{country_code.lower()}.svg"
    if not (country_code and assets.has(name)):
        name = UNKNOWN_FLAG
    return assets.url(name) if assets.has(name) else ""


def initials(name: str) -> str:
    """The first letters of the first two words: `Mara Lindqvist` as ML."""
    return "".join(word[0] for word in name.split()[:2]).upper() or "?"


def colour(name: str, kind: str) -> str:
    """The class that gives a name its colour, always the same one. kind: `av` of people, `fv` of projects."""
    count = COLOURS_OF_AVATARS if kind == "av" else COLOURS_OF_PROJECTS
    return f"{kind}-{sum(name.encode('utf-8', 'replace')) % count + 1}"
