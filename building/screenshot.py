"""The picture in README: the dashboard of the demo, as the executable shows it in Chromium, light and 1440 wide.

`python3 build.py screenshot` runs it, in the environment of the tests.
"""

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import ViewportSize, expect, sync_playwright

from building import chromium
from building.paths import ROOT, say
from tests.kit import dashboard
from tests.kit.process import Server, wait_for

PICTURE = ROOT / "docs" / "dashboard.png"
WIDTH, HEIGHT = 1440, 1060
BYTES_MAX = 300_000


def main() -> int:
    """Write the picture; 1 when it is larger than a page should have to load."""
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder) / "data").start()
        try:
            server.run("account", "create", "--email", dashboard.EMAIL, "--password", dashboard.PASSWORD)
            path = server.run("demo")["url"].removeprefix(server.url)
            wait_for(lambda: not server.run("verify", check=False)["inQueue"], "the demo's events", 120)
            take(server, path)
        finally:
            server.end()
    size = PICTURE.stat().st_size
    say(f"{PICTURE.relative_to(ROOT)}: {size:,} bytes")
    return int(size > BYTES_MAX)


def take(server: Server, path: str) -> None:
    """Sign in, open the last 30 days and photograph them once all is counted."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(chromium.find()))
        size = ViewportSize(width=WIDTH, height=HEIGHT)
        page = browser.new_page(viewport=size, color_scheme="light", reduced_motion="reduce")
        dashboard.log_in(page, server, dashboard.PASSWORD)
        page.goto(f"{server.url}{path}?t=30days")
        expect(page.get_by_text("Still counting")).to_have_count(0)
        page.screenshot(path=PICTURE)
        browser.close()


if __name__ == "__main__":
    sys.exit(main())
