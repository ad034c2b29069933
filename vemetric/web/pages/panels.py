"""GET /p/<project>/panels/<panel>: one panel by the template its page uses, for a script to swap in."""

from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl, urlsplit

from aiohttp import web

from vemetric import errors
from vemetric.web import cards, context, render, view
from vemetric.web.pages import dashboard, install
from vemetric.web.pages.dashboard import Asked

# All panels at once, for what refreshes itself, and the list of what was seen on the install page.
ALL, SEEN = "all", "seen"
CURRENT_URL_HEADER = "HX-Current-URL"
PUSH_URL_HEADER = "HX-Push-Url"


async def show(request: web.Request) -> web.Response:
    """The panel. Its answer names the address that the page has from now on."""
    project, page = await context.project_of(request), context.of(request)
    if request.match_info["panel"] == SEEN:
        return render.page(request, "panels/seen.html", seen=await install.seen(page, project))

    async def ask(query: dict[str, str]) -> Asked:
        state = view.parse(query, page.services.clock.now_ms(), project.time_zone)
        return await dashboard.ask(request, project, state)

    return await part_of(request, ask)


async def part_of(request: web.Request, ask: Callable[[dict[str, str]], Awaitable[Asked]]) -> web.Response:
    """The panel of the path. ask: what a query of the page is about."""
    panel, query = request.match_info["panel"], dict(request.query)
    if panel not in (ALL, view.CHART, view.FUNNELS, *cards.KINDS):
        raise errors.NotFound
    page_query = _page_query(request)
    if panel != ALL and page_query is not None:
        query = view.merged(panel, page_query, query)
    asked = await ask(query)
    if panel == ALL:
        return render.page(request, "panels/all.html", **await dashboard.panels(asked))
    if panel == view.CHART:
        values = dashboard.chart_values(asked, await dashboard.load_chart(asked))
        response = render.page(request, "panels/chart_alone.html", **values)
    elif panel == view.FUNNELS:
        values = dashboard.funnel_values(asked, await dashboard.load_funnels(asked))
        response = render.page(request, "panels/funnels_alone.html", funnels_card=values)
    else:
        kind = cards.KINDS[panel]
        values = dashboard.card_values(asked, kind, await dashboard.load_card(asked, kind))
        response = render.page(request, "panels/card_alone.html", card=values)
    address = view.url(asked.path, asked.state)
    here = urlsplit(request.headers.get(CURRENT_URL_HEADER, ""))
    # What only loads late or again is no step of the history.
    if parse_qsl(urlsplit(address).query) != parse_qsl(here.query) or not here.path:
        response.headers[PUSH_URL_HEADER] = address
    return response


def _page_query(request: web.Request) -> dict[str, str] | None:
    """The query of the page that the panel stands in; None where no script says which one that is."""
    address = request.headers.get(CURRENT_URL_HEADER, "")
    return dict(parse_qsl(urlsplit(address).query)) if address else None
