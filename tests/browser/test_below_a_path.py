"""The product below a base path in Chromium: no page, swap, stream or script of it asks for anything outside."""

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import Stage, sign_in_by_form

pytestmark = pytest.mark.browser

BELOW = "/stats"


@pytest.fixture
def environ(environ: dict[str, str]) -> dict[str, str]:
    return environ | {"VEMETRIC_BASE_PATH": BELOW}


async def test_pages_swaps_and_streams_stay_below_it(stage: Stage, page: Page) -> None:
    """The page fails its test when it asks for anything else (conftest.py)."""
    assert stage.url.endswith(BELOW)
    await sign_in_by_form(page, stage.url)
    await page.goto(f"{stage.dashboard}?t=7days")
    await expect(page.get_by_text("Still counting")).to_have_count(0)
    # A card swaps itself, and the address of the page follows.
    async with page.expect_response(lambda answer: "/panels/pages" in answer.url):
        await page.locator("#pages-exit").first.click()
    await expect(page).to_have_url(f"{stage.dashboard}?t=7days&p=exit")
    # A filter's form knows the way back as the page is now.
    await page.get_by_text("Filter", exact=True).click()
    await page.get_by_role("link", name="Device", exact=True).click()
    await page.get_by_label("Desktop").or_(page.get_by_label("desktop")).check()
    await page.get_by_role("button", name="Add filter").click()
    await expect(page).to_have_url(f"{stage.dashboard}?t=7days&p=exit&f=device(device:oneOf:desktop)")
    async with page.expect_response(lambda answer: "/waiting" in answer.url or "/panels/seen" in answer.url) as seen:
        await page.goto(f"{stage.url}/p/{stage.waiting.id}")
    assert (await seen.value).status == 200
    async with page.expect_response(lambda answer: "/live" in answer.url):
        await page.goto(f"{stage.dashboard}?t=live")
    await page.goto(f"{stage.dashboard}/events?t=7days")
    await page.locator("summary.feed__row, summary.ev").first.click()
    await page.goto(f"{stage.url}/docs")
    await page.get_by_role("link", name="Configuration").first.click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Configuration")
    await page.goto(f"{stage.url}/account")
    await page.locator("form[action='/stats/logout']").first.evaluate("form => form.requestSubmit()")
    await expect(page).to_have_url(f"{stage.url}/login")
