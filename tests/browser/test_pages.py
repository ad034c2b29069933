"""The pages in a real Chromium: at three widths, light and dark, by keyboard, without scripts, and as they change."""

import json

import aiohttp
import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect

from tests.browser.conftest import Stage, query_of, sign_in
from tests.kit import visits
from vemetric.clock import FrozenClock
from vemetric.web import seen

pytestmark = pytest.mark.browser


async def test_failures_look_like_pages(stage: Stage, context: BrowserContext) -> None:
    page = await context.new_page()
    await sign_in(page, stage.url)
    await page.goto(f"{stage.url}/p/1")
    await expect(page.locator("h1")).to_have_text("There is nothing here")


async def test_install_page_tells_what_it_sees_and_becomes_the_dashboard(stage: Stage, page: Page) -> None:
    services, waiting = stage.services, stage.waiting
    await sign_in(page, stage.url)
    await page.goto(f"{stage.url}/p/{waiting.id}")
    await expect(page.locator("[data-seen]")).to_contain_text("Nothing yet")
    await post_event(stage, "no-such-token")
    await post_event(stage, waiting.token, user_agent="Googlebot/2.1")
    await services.tap.flush()
    for label in ("Wrong token", "Bot"):
        await expect(page.locator(".tap")).to_contain_text(label)
    await expect(page.locator(".tap")).to_contain_text(waiting.token)
    await post_event(stage, waiting.token)
    await services.tap.flush()
    await visits.settle(services)
    await expect(page.locator("#panel-pages")).to_contain_text("/pricing")


async def test_tabs_and_copy_buttons_of_the_snippets(stage: Stage, page: Page, context: BrowserContext) -> None:
    await context.grant_permissions(["clipboard-read", "clipboard-write"])
    await sign_in(page, stage.url)
    await page.goto(f"{stage.url}/p/{stage.waiting.id}")
    await page.focus("#way-html")
    for tab in ("npm", "react", "node", "python"):
        await page.keyboard.press("ArrowRight")
        snippet = page.locator(f"#snippet-{tab}")
        await expect(snippet).to_be_visible()
        await expect(snippet).to_contain_text(stage.waiting.token)
        await expect(snippet).to_contain_text(stage.url)
    await page.click("[data-copy=snippet-python]")
    await expect(page.locator("[data-copy=snippet-python]")).to_have_attribute("aria-label", "Copied")
    copied: str = await page.evaluate("navigator.clipboard.readText()")
    compile(copied, "snippet", "exec")
    assert copied.startswith("from vemetric import VemetricClient")


async def test_cards_swap_alone_and_the_url_is_the_state(stage: Stage, page: Page) -> None:
    await sign_in(page, stage.url)
    await page.goto(f"{stage.dashboard}?t=30days")
    await page.evaluate("document.querySelector('#panel-pages').dataset.untouched = 'yes'")
    await page.click("#clients-os")
    await expect(page.locator("#panel-clients")).to_contain_text("Operating system")
    await page.click("#panel-locations >> text=Cities")
    await expect(page.locator("#panel-locations")).to_contain_text("Berlin (Germany)")
    assert query_of(page) == {"t": "30days", "u": "os", "cl": "cities"}
    assert await page.locator("#panel-pages[data-untouched]").count() == 1
    await page.reload()
    await expect(page.locator("#panel-clients")).to_contain_text("Operating system")
    await page.click("#pages-next")
    await expect(page.locator("#pages-page-2[aria-current]")).to_be_visible()
    await page.go_back()
    await expect(page.locator("#pages-page-1[aria-current]")).to_be_visible()
    await expect(page.locator("#panel-clients")).to_contain_text("Operating system")


async def test_series_are_switched_and_the_last_one_stays(stage: Stage, page: Page) -> None:
    await sign_in(page, stage.url)
    await page.goto(stage.dashboard)
    await expect(page.get_by_text("Still counting")).to_have_count(0)
    listeners = await listeners_of(page)
    await page.click("#in-chart")
    await expect(page.locator("#panel-chart .bar-s").first).to_be_attached()
    await expect(page.locator("#in-chart")).to_have_class("btn btn--s btn--on")
    await page.click("#in-chart")
    await expect(page.locator("#in-chart")).to_have_class("btn btn--s")
    await page.click("#tile-pageViews")
    await expect(page.locator("#tile-pageViews.on")).to_have_count(0)
    await page.click("#tile-users")
    await expect(page.locator("#tile-users.on")).to_be_visible()
    assert query_of(page) == {"ch": "users"}
    # Charts that were swapped out are let go, however often Live does so.
    assert await listeners_of(page) == listeners


async def test_chart_answers_mouse_and_keys_with_the_numbers_of_its_table(stage: Stage, page: Page) -> None:
    await sign_in(page, stage.url)
    await page.goto(stage.dashboard)
    plot, tip = page.locator("[data-chart]"), page.locator("[data-tip-box]")
    await expect(tip).to_be_hidden()
    await plot.focus()
    await page.keyboard.press("End")
    last = page.locator("#chart-data tbody tr").last
    await expect(tip).to_contain_text((await last.locator("th").text_content()) or "?")
    users = await last.locator("td").first.text_content()
    await expect(tip.locator(".tip__row").first).to_contain_text(f"Users{users}")
    await page.keyboard.press("Escape")
    await expect(tip).to_be_hidden()
    box = await plot.bounding_box()
    assert box is not None
    await page.mouse.move(box["x"] + 3, box["y"] + 40)
    await expect(tip).to_contain_text((await page.locator("#chart-data tbody th").first.text_content()) or "?")
    await page.mouse.move(box["x"] + 3, box["y"] - 60)
    await expect(tip).to_be_hidden()
    await page.click("text=Table")
    await expect(page.locator("#chart-data table")).to_be_visible()


async def test_timespan_by_menu_and_by_the_month_grid(stage: Stage, page: Page) -> None:
    await sign_in(page, stage.url)
    await page.goto(stage.dashboard)
    await page.click("summary:has-text('Last 24 hours')")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("ArrowDown")
    await expect(page.locator(".tools .pop__item:has-text('Last hour')")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.locator("summary:has-text('Last 24 hours')")).to_be_focused()
    await page.click("summary:has-text('Last 24 hours')")
    await page.click("text=Last 7 days")
    await page.wait_for_url("**?t=7days")
    await page.click("[data-picker] summary")
    await page.click("[data-day='2026-03-05']")
    await page.keyboard.press("ArrowRight")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("ArrowLeft")
    await page.keyboard.press("ArrowUp")
    await page.keyboard.press("ArrowRight")
    await page.keyboard.press("ArrowRight")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**sd=2026-03-05**")
    assert query_of(page) == {"t": "custom", "sd": "2026-03-05", "ed": "2026-03-07"}
    await expect(page.locator(".tools")).to_contain_text("Mar 5 - 7")


async def test_live_shows_who_comes(stage: Stage, page: Page, clock: FrozenClock) -> None:
    await sign_in(page, stage.url)
    await page.goto(stage.dashboard)
    await page.click("#online")
    await page.wait_for_url("**?t=live")
    await expect(page.locator("#online")).to_have_text("1 online")
    clock.advance(1000)
    await visits.event(stage.services, stage.project, who=visits.sender(stage.project, "198.51.100.1"))
    await visits.settle(stage.services)
    await expect(page.locator("#online")).to_have_text("2 online", timeout=15_000)
    await expect(page.locator("#tile-users .metric__value")).to_have_text("2")


async def test_the_timespan_goes_along(stage: Stage, page: Page) -> None:
    await sign_in(page, stage.url)
    await page.goto(f"{stage.dashboard}?t=7days&u=os")
    await page.click(".rail .navlink >> text=Settings")
    await page.click(".rail .navlink >> text=Dashboard")
    await page.wait_for_url("**?t=7days")
    await page.click("summary:has-text('Last 7 days')")
    await page.click("text=Last 24 hours")
    await page.click(".rail .navlink >> text=Settings")
    await page.click(".rail .navlink >> text=Dashboard")
    await expect(page.locator("summary:has-text('Last 24 hours')")).to_be_visible()
    assert query_of(page) == {}


async def test_theme_changes_at_once_and_is_remembered(stage: Stage, page: Page) -> None:
    await sign_in(page, stage.url)
    await page.goto(stage.dashboard)
    async with page.expect_response("**/theme") as told:
        await page.click(".rail [data-theme-form] button[value=dark]")
    assert (await told.value).status == 303
    root = page.locator("html")
    await expect(root).to_have_attribute("data-theme", "dark")
    await page.goto(f"{stage.url}/p/{stage.project.id}/settings")
    await expect(root).to_have_attribute("data-theme", "dark")
    colour = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert colour == "rgb(13, 17, 19)"


async def test_everything_can_be_reached_by_keyboard(stage: Stage, page: Page) -> None:
    await sign_in(page, stage.url)
    await page.goto(stage.dashboard)
    await page.keyboard.press("Tab")
    await expect(page.locator(".skip")).to_be_focused()
    reached: list[str] = []
    for _ in range(160):
        await page.keyboard.press("Tab")
        where: str = await page.evaluate("document.activeElement.id || document.activeElement.className || ''")
        outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        if where:
            assert outline != "none", f"{where} has the focus and does not show it"
        reached.append(where)
    for wanted in ("online", "tile-users", "tile-visitDuration", "pages-entry", "in-chart", "clients-devices"):
        assert wanted in reached, wanted
    assert any("chart__plot" in where for where in reached)
    assert reached.index("tile-users") < reached.index("pages-entry") < reached.index("clients-devices")


async def test_without_scripts_everything_works_by_links_and_forms(stage: Stage, chromium: Browser) -> None:
    context = await chromium.new_context(java_script_enabled=False, viewport={"width": 1440, "height": 900})
    page = await context.new_page()
    await sign_in(page, stage.url)
    await page.goto(stage.dashboard)
    await expect(page.locator("#tile-users .metric__value")).to_have_text("30")
    await page.click("summary:has-text('Last 24 hours')")
    await page.click("text=Last 30 days")
    await page.click("#clients-devices")
    assert query_of(page) == {"t": "30days", "u": "devices"}
    await page.click("#tile-bounceRate")
    await expect(page.locator("#tile-bounceRate.on")).to_be_visible()
    await page.click("text=Table")
    await expect(page.locator("#chart-data table")).to_be_visible()
    await page.click("[data-picker] summary")
    await page.fill("[name=sd]", "2026-03-09")
    await page.fill("[name=ed]", "2026-03-10")
    await page.click("text=Apply")
    assert query_of(page, ["t", "sd", "ed", "u"]) == {
        "t": "custom",
        "sd": "2026-03-09",
        "ed": "2026-03-10",
        "u": "devices",
    }
    await page.click(".rail [data-theme-form] button[value=dark]")
    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    await page.goto(f"{stage.url}/p/{stage.waiting.id}")
    await page.click("label[for=way-npm]")
    await expect(page.locator("#snippet-npm")).to_be_visible()
    await expect(page.locator("[data-copy=snippet-npm]")).to_be_hidden()
    await page.click(".navlink--user")
    await page.click("text=Sign out")
    await expect(page.locator("h1")).to_have_text("Sign in")
    await context.close()


async def test_reduced_motion_is_respected(stage: Stage, chromium: Browser) -> None:
    context = await chromium.new_context(reduced_motion="reduce")
    page = await context.new_page()
    await sign_in(page, stage.url)
    await page.goto(stage.dashboard)
    # What fades while a panel is loaded does so within a millisecond.
    moving = "document.getAnimations().filter((one) => one.effect.getTiming().duration > 1).length"
    assert await page.evaluate(moving) == 0
    await context.close()


def test_every_refusal_has_words() -> None:
    assert {str(refusal) for refusal in seen.Refusal} <= set(seen.VERDICTS)


async def listeners_of(page: Page) -> int:
    """How many listeners the document itself has."""
    session = await page.context.new_cdp_session(page)
    found = await session.send("Runtime.evaluate", {"expression": "document"})
    listed = await session.send("DOMDebugger.getEventListeners", {"objectId": found["result"]["objectId"]})
    await session.detach()
    return len(listed["listeners"])


async def post_event(stage: Stage, token: str, user_agent: str = visits.CHROME) -> None:
    """A page view, as a site sends it."""
    body = json.dumps({"name": "$$pageView", "url": "https://shop.example.com/pricing"})
    headers = {"Content-Type": "application/json", "Token": token, "User-Agent": user_agent}
    async with aiohttp.ClientSession() as session, session.post(f"{stage.url}/e", data=body, headers=headers):
        pass
