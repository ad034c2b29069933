"""GET /p/<project>/export/<panel>.<csv|json>: every row of a card, or the buckets of the chart, as a file.

The numbers are those of the page: the same query in the same state. Files are sent as they are read, however long.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
from aiohttp import web

from vemetric import errors
from vemetric.model import calendar
from vemetric.model.dashboard import Dashboard, Row
from vemetric.stats import dashboard as stats
from vemetric.stats import dimensions
from vemetric.web import chart, chart_axes, context, csv_table, headers, view
from vemetric.web.cards import KINDS, Choice
from vemetric.web.pages import dashboard
from vemetric.web.pages.dashboard import Asked

TYPES = {"csv": "text/csv", "json": "application/json"}
# After so many lines others have a turn.
LINES_AT_ONCE = 1000

Lines = Sequence[Sequence[Any]]


async def send(request: web.Request) -> web.StreamResponse:
    """The file."""
    project = await context.project_of(request)
    panel, format_ = request.match_info["panel"], request.match_info["format"]
    if format_ not in TYPES or panel not in (view.CHART, *KINDS):
        raise errors.NotFound
    now_ms = context.of(request).services.clock.now_ms()
    asked = await dashboard.ask(request, project, view.parse(request.query, now_ms, project.time_zone))
    heads, pages = _buckets(asked) if panel == view.CHART else _rows(asked, panel)
    return await send_file(request, format_, f"{project.domain}-{panel}-{asked.range.timespan}", heads, pages)


async def send_file(
    request: web.Request, format_: str, name: str, heads: Sequence[str], pages: AsyncIterator[Lines]
) -> web.StreamResponse:
    """Lines as a file for download, page by page. heads: the columns; format_: a key of TYPES; name: without its end.

    What fails before the first page is raised; later the connection is broken off, so that nobody has half a file.
    """
    first = await anext(pages, ())
    response = web.StreamResponse(
        headers={
            **headers.SECURITY,
            **headers.NO_STORE,
            "Content-Type": f"{TYPES[format_]}; charset=utf-8",
            "Content-Disposition": f'attachment; filename="{name}.{format_}"',
        }
    )
    await response.prepare(request)
    if request.method != "HEAD":
        form = Json(heads) if format_ == "json" else Csv(heads)
        await response.write(form.head())
        await _write(response, form, first)
        async for page in pages:
            await _write(response, form, page)
        await response.write(form.foot())
    await response.write_eof()
    return response


async def _write(response: web.StreamResponse, form: "Csv | Json", lines: Lines) -> None:
    for begin in range(0, len(lines), LINES_AT_ONCE):
        await response.write(form.body(lines[begin : begin + LINES_AT_ONCE]))
        await asyncio.sleep(0)


def _rows(asked: Asked, panel: str) -> tuple[list[str], AsyncIterator[Lines]]:
    kind = KINDS[panel]
    choice = asked.state.choice(kind)
    has_detail = dimensions.find(panel, choice.dimension)[1].has_detail
    heads = [choice.heading] + ["Detail"] * has_detail + ["Users"] + [choice.count_heading] * bool(choice.count_heading)

    async def pages() -> AsyncIterator[Lines]:
        engine, wanted = asked.page.services.engine, asked.state.wanted(kind)
        async for rows in stats.pages(engine, asked.project, asked.range, panel, wanted, asked.conditions):
            yield [_line(choice, row, has_detail) for row in rows]

    return heads, pages()


def _line(choice: Choice, row: Row, has_detail: bool) -> list[Any]:
    return [row.key] + [row.detail] * has_detail + [row.users] + [row.count] * bool(choice.count_heading)


def _buckets(asked: Asked) -> tuple[list[str], AsyncIterator[Lines]]:
    async def pages() -> AsyncIterator[Lines]:
        engine = asked.page.services.engine
        loaded: Dashboard = await stats.load_chart(engine, asked.project, asked.range, asked.conditions)
        tz = calendar.zone(asked.range.time_zone)
        yield [
            [
                calendar.local(bucket.start_ms, tz).isoformat(timespec="seconds"),
                *(chart_axes.value_of(bucket, key) for key in chart.LABELS),
                bucket.previous_users,
            ]
            for bucket in loaded.buckets
        ]

    return ["From", *chart.LABELS.values(), "Users before"], pages()


class Json:
    """A list of objects, in pieces."""

    def __init__(self, heads: Sequence[str]) -> None:
        self._heads = heads
        self._between = b""

    def head(self) -> bytes:
        return b"["

    def body(self, lines: Lines) -> bytes:
        """More objects; at least one line."""
        written = msgspec.json.encode([dict(zip(self._heads, line, strict=True)) for line in lines])
        between, self._between = self._between, b","
        return between + written[1:-1]

    def foot(self) -> bytes:
        return b"]"


class Csv:
    """A table with its heads, in pieces."""

    def __init__(self, heads: Sequence[str]) -> None:
        self._heads = heads

    def head(self) -> bytes:
        return csv_table.written([self._heads])

    def body(self, lines: Lines) -> bytes:
        """More lines."""
        return csv_table.written(lines)

    def foot(self) -> bytes:
        return b""
