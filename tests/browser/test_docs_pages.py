"""The documentation inside the product: every page of it open to all, and within the width of a phone."""

import pytest
from playwright.async_api import Page

from tests.browser.conftest import Stage
from tests.kit import axe
from tests.kit.looks import SIZES, fits, resize

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

PAGES_MIN = 20


async def test_every_page_of_the_documentation(stage: Stage, page: Page) -> None:
    await page.goto(f"{stage.url}/docs/")
    links = await page.evaluate("() => [...document.links].map((one) => one.href.split('#')[0])")
    pages = sorted({link for link in links if link.startswith(f"{stage.url}/docs/") and "/reference" not in link})
    assert len(pages) >= PAGES_MIN
    for address in pages:
        await page.goto(address)
        for size in SIZES:
            await resize(page, size)
            await fits(page, f"{address} at {size}")
        assert await axe.serious_issues(page) == [], address
