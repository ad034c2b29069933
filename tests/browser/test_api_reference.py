"""The API's reference in Chromium: at three widths, in both themes, for everybody, with nothing from anybody else."""

from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import Stage
from tests.kit.looks import look_at, picture
from vemetric.web.api.routes import ENDPOINTS

pytestmark = pytest.mark.browser


async def test_is_there_for_everybody(stage: Stage, page: Page, screenshots: Path) -> None:
    await page.goto(f"{stage.url}/docs/reference")
    await expect(page.locator("h1")).to_have_text("API reference")
    await expect(page.locator("h2")).to_have_count(len(ENDPOINTS))
    await page.locator("details summary").nth(1).click()
    await look_at(page, "api-reference", screenshots)
    await page.locator("#queryAnalytics").scroll_into_view_if_needed()
    await picture(page, screenshots / "api-reference-endpoint.png")
