"""The dashboard as a person reads it: signing in, the tiles' figures, the rows of the cards."""

from playwright.sync_api import Page, expect

from tests.kit.process import Server

EMAIL, PASSWORD = "ann@example.com", "correct horse battery"
TILES = ("users", "pageViews", "bounceRate", "visitDuration")


def sign_in(page: Page, server: Server) -> None:
    """Make the account and sign it in."""
    server.run("account", "create", "--email", EMAIL, "--password", PASSWORD)
    log_in(page, server, PASSWORD)


def log_in(page: Page, server: Server, password: str) -> None:
    """Sign the account in through the form."""
    page.goto(f"{server.url}/login")
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("button", name="Sign in")).to_have_count(0)


def tiles(page: Page) -> dict[str, str]:
    """The figures of the tiles, as they are written."""
    expect(page.get_by_text("Still counting")).to_have_count(0)
    return {key: page.locator(f"#tile-{key} .metric__value").inner_text() for key in TILES}


def rows(page: Page, card: str) -> list[list[str]]:
    """The rows of a card, each its cells' texts."""
    expect(page.get_by_text("Still counting")).to_have_count(0)
    lines = page.locator(f"#panel-{card} tbody tr").all()
    return [[cell.inner_text().strip() for cell in line.locator("th .list__in > .clip, td").all()] for line in lines]
