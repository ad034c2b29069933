"""Everything of the dashboard in Chromium, at three widths and in both themes: quiet, within its width, open to all.

One window and the data of one project for all: a page is loaded once and looked at in each width and theme.
"""

from pathlib import Path

import pytest
from playwright.async_api import BrowserContext, FloatRect, Page, expect

from tests.browser.conftest import Stage, Watcher, sign_in, sign_in_by_form
from tests.browser.test_users_pages import pages as pages  # noqa: PLC0414 - a fixture
from tests.kit import axe
from tests.kit.looks import SIZES, fits, look_at, picture, resize
from vemetric.accounts import public_access
from vemetric.web.pages.shell import PROJECT_LINKS

pytestmark = pytest.mark.browser

PASSWORD = "open sesame"
UNNAMED = """() => [...document.querySelectorAll("a, button, summary, input:not([type=hidden]), select")]
    .filter((one) => one.checkVisibility())
    .filter((one) => !(one.ariaLabel || one.textContent.trim() || one.labels?.length))
    .map((one) => one.outerHTML.slice(0, 120))"""


# Titles in two lines, and what filters are set but out of sight where there is room for them.
CUT = """() => [...document.querySelectorAll(".card__head:has(> .card__tools) > h2")]
    .filter((one) => one.offsetHeight > 1.9 * parseFloat(getComputedStyle(one).lineHeight))
    .concat([...document.querySelectorAll(".tools__chips")].filter((one) => one.scrollWidth > one.clientWidth))
    .map((one) => one.outerHTML.slice(0, 120))"""


# How far a menu is from the sides of the window.
SIDES = """(one) => [one.getBoundingClientRect().left, innerWidth - one.getBoundingClientRect().right]"""


def the_pages(stage: Stage, of_users: dict[str, str]) -> dict[str, str]:
    """A name and a path of every page, and of the states that look different."""
    project, organization = f"/p/{stage.project.id}", stage.project.organization_id
    sections = {link.section: project + link.path for link in PROJECT_LINKS}
    return {
        "overview": f"/o/{organization}",
        "new-project": f"/o/{organization}/projects/new",
        **sections,
        "dashboard-all-series": f"{project}?ch=users,pageViews,bounceRate,visitDuration,visits,viewsPerVisit,events",
        "dashboard-rates": f"{project}?t=30days&ch=bounceRate,visitDuration&s=utmSource&cl=cities&u=os",
        "dashboard-lists": f"{project}?t=7days&p=exit&s=referrerType&cl=countries&u=bv&ev=SnippetCopied",
        "dashboard-empty": f"{project}?t=custom&sd=2020-02-03",
        "dashboard-filtered": f"{project}?f=or(page(path:contains:docs);and(user(anonymous);os(os:oneOf:macOS)))",
        "filter": f"{project}/filter?type=event&back={project}",
        "live": f"{project}?t=live",
        "events-found": f"{project}/events?t=7days&q=plan&f=or(event(name:is:PlanSelected);user(anonymous))",
        "events-nothing": f"{project}/events?q=nothing+like+this",
        "install": f"/p/{stage.waiting.id}",
        **of_users,
    }


async def test_every_page(
    stage: Stage, pages: dict[str, str], context: BrowserContext, watcher: Watcher, screenshots: Path
) -> None:
    page = await context.new_page()
    watcher.watch(page)
    await page.goto(f"{stage.url}/login")
    assert await axe.serious_issues(page) == []
    await sign_in_by_form(page, stage.url)
    for name, path in the_pages(stage, pages).items():
        await open_page(page, stage.url + path)
        if await page.locator("summary.feed__row, summary.ev").count():
            await page.locator("summary.feed__row, summary.ev").first.click()
        assert await page.locator("h1").count() == 1, name
        assert await page.evaluate(UNNAMED) == [], f"{name}: controls without a name"
        await resize(page, "wide")
        assert await page.evaluate(CUT) == [], name
        await look_at(page, name, screenshots)
    access = await public_access.change(
        stage.services.database, stage.project.id, needs_link=True, needs_password=True, password=PASSWORD
    )
    await page.goto(stage.url + public_access.path_of(stage.services.secret, stage.project, access))
    assert await axe.serious_issues(page) == []
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Look at it").click()
    await expect(page.locator("#panel-chart")).to_be_visible()
    assert watcher.problems == []


async def test_every_control(stage: Stage, page: Page, screenshots: Path) -> None:
    """Every menu opens by its key and closes by Escape at each width; every link that swaps a part does so."""
    await sign_in(page, stage.url)
    for path in ("?t=7days", "/events?t=7days", "/users"):
        await page.goto(stage.dashboard + path)
        for size in SIZES:
            await resize(page, size)
            await open_menus(page, f"{path} at {size}")
    await resize(page, "wide")
    await page.goto(f"{stage.dashboard}?t=7days")
    for panel in ("chart", "pages", "sources", "events", "locations", "clients"):
        await swap(page, panel)
    await zoom(page, stage)
    await picture(page, screenshots / "map-near.png")
    assert await axe.serious_issues(page) == []


async def open_page(page: Page, url: str) -> None:
    """Go to a page and wait until it is all there: Live asks for everything anew as soon as its stream is open."""
    if "t=live" in url:
        async with page.expect_response(lambda answer: "/panels/all" in answer.url):
            await page.goto(url)
    else:
        await page.goto(url)
    await expect(page.get_by_text("Still counting")).to_have_count(0)
    await expect(page.locator(".htmx-request, .htmx-swapping, .htmx-settling")).to_have_count(0)


async def open_menus(page: Page, place: str) -> None:
    for summary in await page.locator("main details.menu > summary, .tabbar details.menu > summary").all():
        if not await summary.is_visible():
            continue
        await summary.press("Enter")
        menu = summary.locator("xpath=..")
        await expect(menu).to_have_attribute("open", "")
        where = f"{await summary.inner_text()} on {place}"
        await fits(page, where)
        sides = await menu.locator(".pop").first.evaluate(SIDES)
        assert sides[0] >= 0, f"{where}: out of sight at the left"
        assert sides[1] >= 0, f"{where}: out of sight at the right"
        await page.keyboard.press("Escape")
        await expect(menu).not_to_have_attribute("open", "")
        assert await summary.evaluate("one => one === document.activeElement"), place


async def swap(page: Page, panel: str) -> None:
    """Follow every link with a name of its own that swaps the panel; each leaves it whole."""
    ids = await page.locator(f"#panel-{panel} a[hx-get][id]").evaluate_all("all => all.map((one) => one.id)")
    for id_ in ids:
        link = page.locator(f"[id='{id_}']")
        if not await link.count() or not await link.is_visible():
            continue
        async with page.expect_response(lambda answer: f"/panels/{panel}" in answer.url or "/panels/" in answer.url):
            await link.click()
        await expect(page.locator(f"#panel-{panel}")).not_to_have_class("htmx-request")


async def zoom(page: Page, stage: Stage) -> None:
    """The map by buttons, keys, wheel, dragging and two fingers."""
    await page.goto(f"{stage.dashboard}?t=7days")
    world = page.locator("svg.map")
    whole = await world.get_attribute("viewBox")
    await page.get_by_role("button", name="Zoom in").click()
    near = await world.get_attribute("viewBox")
    await page.get_by_role("button", name="Zoom in").press("ArrowLeft")
    moved = await world.get_attribute("viewBox")
    await page.get_by_role("button", name="Zoom in").press("-")
    assert len({whole, near, moved}) == 3
    assert await world.get_attribute("viewBox") == whole
    await world.scroll_into_view_if_needed()
    box = await world.bounding_box()
    assert box is not None
    await page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    await page.keyboard.down("Control")
    await page.mouse.wheel(0, -100)
    await page.keyboard.up("Control")
    await expect(world).not_to_have_attribute("viewBox", whole or "")
    wheeled = await world.get_attribute("viewBox")
    await page.mouse.down()
    await page.mouse.move(box["x"] + box["width"] / 2 + 60, box["y"] + box["height"] / 2 + 20, steps=4)
    await page.mouse.up()
    await expect(world).not_to_have_attribute("viewBox", wheeled or "")
    # What was dragged was not clicked.
    assert "f=" not in page.url
    await page.get_by_role("button", name="The whole world").click()
    assert await world.get_attribute("viewBox") == whole
    await pinch(page, box)
    await expect(world).not_to_have_attribute("viewBox", whole or "")
    pinched = await world.get_attribute("viewBox")
    assert width_of(whole) / width_of(pinched) == pytest.approx(3, rel=0.05)
    # Two fingers are no click on the country under them.
    assert "f=" not in page.url
    await pinch(page, box, closes=True)
    await expect(world).to_have_attribute("viewBox", whole or "")
    await page.get_by_role("button", name="Zoom in").click()


def width_of(view_box: str | None) -> float:
    return float((view_box or "").split()[2])


async def pinch(page: Page, box: FloatRect, *, closes: bool = False) -> None:
    """Two fingers in the middle of a box, which end three times as far apart, or the other way round."""
    middle_x, middle_y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    apart = [20 + 10 * step for step in range(5)]
    client = await page.context.new_cdp_session(page)
    await client.send("Emulation.setTouchEmulationEnabled", {"enabled": True, "maxTouchPoints": 2})
    for step, half in enumerate(reversed(apart) if closes else apart):
        points = [{"x": middle_x + side * half, "y": middle_y, "id": number} for number, side in enumerate((-1, 1))]
        kind = "touchMove" if step else "touchStart"
        await client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    await client.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    await client.send("Emulation.setTouchEmulationEnabled", {"enabled": False})
    await client.detach()
