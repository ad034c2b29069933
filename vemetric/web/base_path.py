"""The product below a sub-path of a host: taken off every request, put before every address of an answer.

Between these two edges all is written as if the whole host were ours: routes, links in templates, redirects, what a
form comes back to. So nobody has to think of it who writes a page.
"""

import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from aiohttp import web
from jinja2.ext import Extension

from vemetric import errors
from vemetric.web import headers

# What a template calls the function that puts the base path before a path.
FUNCTION = "below_base"
# Attributes whose value is an address. One of a script's own goes by a name that is listed here.
ATTRIBUTES = (
    *("href", "src", "action", "formaction"),
    *(f"hx-{what}" for what in ("get", "post", "put", "patch", "delete", "push-url", "replace-url")),
    *(f"data-{what}" for what in ("waiting", "seen-url", "refresh", "live", "events", "events-live")),
)
WRITTEN = re.compile(rf'(?<![\w-])({"|".join(ATTRIBUTES)})="/(?!/)')
FILLED_IN = re.compile(rf'(?<![\w-])({"|".join(ATTRIBUTES)})="\{{\{{(.+?)\}}\}}')
# Headers that lead a browser on.
LEADING = ("Location", "HX-Redirect", "HX-Push-Url", "HX-Replace-Url")
POLICY = "Content-Security-Policy"

RequestFactory = Callable[..., web.BaseRequest]


def check(base_path: str, paths: Iterable[str]) -> None:
    """Raise Misconfigured where one of our own paths begins like the base path: a proxy that takes it off and one that
    does not could not be told apart.
    """
    if base_path and base_path.split("/")[1] in {path.split("/")[1] for path in paths}:
        raise errors.Misconfigured(
            f"VEMETRIC_BASE_PATH is '{base_path}': Vemetric has pages of that name itself; use another, such as /stats."
        )


def before(base_path: str, address: Any) -> Any:
    """A path of ours as browsers are to ask for it; whatever else it is comes back as it is: a query, another site."""
    if not isinstance(address, str) or not address.startswith("/") or address.startswith("//"):
        return address
    # What a browser told of its own address has it already.
    is_below = address == base_path or address.startswith((f"{base_path}/", f"{base_path}?"))
    # Markup stays markup: the base path has no character that would need escaping.
    return address if is_below else type(address)(base_path) + address


def of(base_path: str, path: str) -> str:
    """The path of a request without the base path, which a proxy may have taken off already."""
    rest = path.removeprefix(base_path)
    return rest or "/" if not rest or rest[0] == "/" else path


def receive(server: web.Server, base_path: str) -> None:
    """Let every request of a server be read as if it had no base path."""
    if base_path:
        server.request_factory = partial(_received, server.request_factory, base_path)


def _received(make: RequestFactory, base_path: str, message: Any, *rest: Any) -> web.BaseRequest:
    asked = message.url.raw_path
    path = of(base_path, asked)
    if path != asked:
        message = message._replace(url=message.url.with_path(path, encoded=True, keep_query=True))
    return make(message, *rest)


def send(app: web.Application, base_path: str) -> None:
    """Let every answer of the application name addresses below the base path."""
    if not base_path:
        return

    async def complete(_: web.Request, response: web.StreamResponse) -> None:
        for name in LEADING:
            if name in response.headers:
                response.headers[name] = before(base_path, response.headers[name])
        if POLICY in response.headers:
            here = f"report-uri {headers.REPORT_PATH}"
            response.headers[POLICY] = response.headers[POLICY].replace(here, here.replace(" ", f" {base_path}"))

    app.on_response_prepare.append(complete)


class Links(Extension):
    """Puts the base path before the addresses of a template when it is compiled: before what is written there, and
    before what is filled in if that is a path. Text that somebody typed is never looked at.
    """

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        """The template's source, with its addresses completed."""
        source = FILLED_IN.sub(rf'\1="{{{{ {FUNCTION}(\2) }}}}', source)
        return WRITTEN.sub(rf'\1="{{{{ {FUNCTION}("/") }}}}', source)
