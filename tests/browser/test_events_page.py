"""The page of events in Chromium: new ones slide in while it is looked at, older ones come by scrolling or by links."""

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser.conftest import Stage, sign_in
from tests.kit import visits
from vemetric.clock import FrozenClock
from vemetric.stats import events
from vemetric.web import live

pytestmark = pytest.mark.browser


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of ten events, and looks at the store that do not wait."""
    monkeypatch.setattr(events.load_page, "__defaults__", (10,))
    monkeypatch.setattr(live.Live.__init__, "__defaults__", (0.05,))


async def test_new_events_slide_in_and_older_ones_come_along(
    few: None, stage: Stage, clock: FrozenClock, page: Page
) -> None:
    await sign_in(page, stage.url)
    await page.goto(f"{stage.dashboard}/events?t=7days")
    # The window is higher than one page of events, so more came at once; scrolling brings the others.
    items = page.locator(".feed__li")
    await expect(items).not_to_have_count(10)
    for _ in range(4):
        await page.mouse.wheel(0, 5000)
    await expect(page.get_by_text("No earlier event in this timespan.")).to_be_visible()
    await expect(items).to_have_count(30)
    await items.nth(1).locator("summary").press("Enter")
    await expect(items.nth(1).get_by_role("link", name="Anonymous", exact=True)).to_be_visible()
    clock.advance(live.SHARED_MS)
    await visits.event(stage.services, stage.project, "Brand new")
    await visits.settle(stage.services)
    clock.advance(live.SHARED_MS)
    await expect(items.first).to_contain_text("Brand new")
    await expect(items).to_have_count(31)
    # What was open stays open.
    await expect(items.nth(2).get_by_role("link", name="Anonymous", exact=True)).to_be_visible()
    await page.get_by_role("button", name="Live").click()
    await expect(page.get_by_role("button", name="Live")).to_have_attribute("aria-pressed", "false")


async def test_events_are_read_without_scripts(few: None, stage: Stage, chromium: Browser) -> None:
    context = await chromium.new_context(java_script_enabled=False)
    page = await context.new_page()
    await sign_in(page, stage.url)
    await page.goto(f"{stage.dashboard}/events?t=7days")
    await expect(page.locator(".feed__li")).to_have_count(10)
    first = await page.locator(".feed__li").first.inner_text()
    await page.get_by_role("link", name="Earlier events").click()
    await expect(page.locator(".feed__li")).to_have_count(10)
    assert await page.locator(".feed__li").first.inner_text() != first
    await page.locator(".feed__li summary").first.click()
    await page.locator(".feed__li").first.get_by_role("link", name="Anonymous", exact=True).click()
    await expect(page.locator("h1")).to_have_text("Anonymous")
    await context.close()


# Whether each stream that the page has opened is closed.
NOTED = """window.streams = []; const Real = EventSource;
window.EventSource = class extends Real { constructor(url) { super(url); window.streams.push(this); } };"""
LOOKED_AT = """(is) => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => !is });
    document.dispatchEvent(new Event("visibilitychange"));
}"""
CLOSED = "window.streams.map((one) => one.readyState === EventSource.CLOSED)"


@pytest.mark.parametrize("path", ["/events", "?t=live"])
async def test_a_hidden_tab_gives_its_stream_back(stage: Stage, page: Page, path: str) -> None:
    await page.add_init_script(NOTED)
    await sign_in(page, stage.url)
    async with page.expect_request(lambda request: request.url.endswith("/live")):
        await page.goto(stage.dashboard + path)
    assert await page.evaluate(CLOSED) == [False]
    await page.evaluate(LOOKED_AT, False)
    assert await page.evaluate(CLOSED) == [True]
    async with page.expect_request(lambda request: request.url.endswith("/live")):
        await page.evaluate(LOOKED_AT, True)
    assert await page.evaluate(CLOSED) == [True, False]
