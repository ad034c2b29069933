"""The API's reference in Chromium: at three widths, in both themes, for everybody, with nothing from anybody else."""

from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from tests.browser.conftest import Stage, Watcher
from tests.kit import axe

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

SIZES = {"wide": (1440, 1000), "tablet": (820, 1100), "phone": (390, 844)}


async def test_is_there_for_everybody(stage: Stage, chromium: Browser, screenshots: Path) -> None:
    watcher = Watcher(stage.url)
    for theme in ("light", "dark"):
        for size, (width, height) in SIZES.items():
            context = await chromium.new_context(
                viewport={"width": width, "height": height}, color_scheme="light" if theme == "light" else "dark"
            )
            page = await context.new_page()
            watcher.watch(page)
            await page.goto(f"{stage.url}/docs/reference")
            await expect(page.locator("h1")).to_have_text("API reference")
            await expect(page.locator("h2")).to_have_count(10)
            await page.locator("details summary").nth(1).click()
            assert await axe.serious_issues(page) == [], (size, theme)
            wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wide <= 0, (size, theme)
            await page.screenshot(path=screenshots / f"api-reference-{size}-{theme}.png")
            await page.locator("#queryAnalytics").scroll_into_view_if_needed()
            await page.screenshot(path=screenshots / f"api-reference-{size}-{theme}-endpoint.png")
            await context.close()
    assert watcher.problems == []
