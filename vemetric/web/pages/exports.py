"""GET /p/<project>/export/<panel>.<csv|json>: every row of a card, or the buckets of the chart, as a file.

The numbers are those of the page: the same query in the same state, without its pages.
"""

import csv
import io
from collections.abc import Sequence
from typing import Any

import msgspec
from aiohttp import web

from vemetric import errors
from vemetric.model import calendar
from vemetric.model.dashboard import Dashboard, Row
from vemetric.stats import dashboard as stats
from vemetric.web import chart, chart_axes, context, view
from vemetric.web.cards import KINDS, Choice
from vemetric.web.pages import dashboard
from vemetric.web.pages.dashboard import Asked

TYPES = {"csv": "text/csv", "json": "application/json"}
# Tables take a cell that begins with one of these for a formula and would run it: also behind white space, and wide.
FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


async def send(request: web.Request) -> web.Response:
    """The file."""
    project = await context.project_of(request)
    panel, format_ = request.match_info["panel"], request.match_info["format"]
    if format_ not in TYPES or panel not in (view.CHART, *KINDS):
        raise errors.NotFound
    now_ms = context.of(request).services.clock.now_ms()
    asked = await dashboard.ask(request, project, view.parse(request.query, now_ms, project.time_zone))
    heads, lines = await (_buckets(asked) if panel == view.CHART else _rows(asked, panel))
    name = f"{project.domain}-{panel}-{asked.range.timespan}.{format_}"
    return file(format_, name, heads, lines)


def file(format_: str, name: str, heads: Sequence[str], lines: Sequence[Sequence[Any]]) -> web.Response:
    """Lines as a file for download; heads are the columns. format_: a key of TYPES."""
    body = _json(heads, lines) if format_ == "json" else _csv(heads, lines)
    disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
    return web.Response(body=body, content_type=TYPES[format_], charset="utf-8", headers=disposition)


async def _rows(asked: Asked, panel: str) -> tuple[list[str], list[list[Any]]]:
    kind = KINDS[panel]
    choice = asked.state.choice(kind)
    rows = await stats.load_rows(
        asked.page.services.engine, asked.project, asked.range, panel, asked.state.wanted(kind), asked.conditions
    )
    has_detail = any(row.detail for row in rows)
    heads = [choice.heading] + ["Detail"] * has_detail + ["Users"] + [choice.count_heading] * bool(choice.count_heading)
    return heads, [_line(choice, row, has_detail) for row in rows]


def _line(choice: Choice, row: Row, has_detail: bool) -> list[Any]:
    return [row.key] + [row.detail] * has_detail + [row.users] + [row.count] * bool(choice.count_heading)


async def _buckets(asked: Asked) -> tuple[list[str], list[list[Any]]]:
    loaded: Dashboard = await stats.load_chart(asked.page.services.engine, asked.project, asked.range, asked.conditions)
    tz = calendar.zone(asked.range.time_zone)
    heads = ["From", *chart.LABELS.values(), "Users before"]
    lines = [
        [
            calendar.local(bucket.start_ms, tz).isoformat(timespec="seconds"),
            *(chart_axes.value_of(bucket, key) for key in chart.LABELS),
            bucket.previous_users,
        ]
        for bucket in loaded.buckets
    ]
    return heads, lines


def _json(heads: Sequence[str], lines: Sequence[Sequence[Any]]) -> bytes:
    return msgspec.json.encode([dict(zip(heads, line, strict=True)) for line in lines])


def _csv(heads: Sequence[str], lines: Sequence[Sequence[Any]]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(heads)
    writer.writerows([_harmless(cell) for cell in line] for line in lines)
    return out.getvalue().encode("utf-8", "replace")


def _harmless(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULAS) else cell
