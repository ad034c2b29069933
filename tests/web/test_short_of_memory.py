"""Pages say when memory is short."""

import time

from tests.web.conftest import Cast, Site


async def test_a_badge_says_so(site: Site, cast: Cast) -> None:
    alice = await site.browser_of(cast.alice)
    page = f"/p/{cast.shop.id}/settings"
    assert "Short of memory" not in (await alice.get(page)).text
    site.services.admission._short_at = time.monotonic()
    assert "Short of memory" in (await alice.get(page)).text
