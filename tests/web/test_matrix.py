"""Every route and method, asked by everybody who may come along, against the answers of matrix.py.

Forms are sent with fields that nobody asked for, and without their token: neither may change anything.
"""

import re
from typing import Any, NamedTuple

import pytest
import sqlalchemy

from tests.web.conftest import Browser, Cast, Site
from tests.web.matrix import ASKERS, ROWS, Row, plain
from vemetric.accounts import api_keys, funnels, invitations, logins, projects, signup
from vemetric.database import accounts as stored_accounts
from vemetric.database import organizations as stored_organizations
from vemetric.database import tables
from vemetric.model.account import Account
from vemetric.model.filters import PageFilter, Text
from vemetric.model.funnel import Step
from vemetric.model.organization import Membership, Role
from vemetric.queues.job import NewJob, Write
from vemetric.web import cookies, forms, routes
from vemetric.web.routes import ROUTES

LOGIN = "login"
REFUSALS = (LOGIN, "401", "403", "404", "405", "409")
# Posted by browsers, mail programs and Paddle of their own accord; a token or a signature says that they may.
WITHOUT_FORM = ("POST /csp-report", "POST /unsubscribe/{token}", "POST /webhooks/paddle")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
# Fields that no form has, by the names that columns and other forms go by.
SURPLUS = {
    "id": "1",
    "is_operator": "on",
    "operator": "1",
    "organization_id": "other",
    "organization": "other",
    "account_id": "dora",
    "project_id": "1",
    "created_at_ms": "5",
    "first_event_at_ms": "5",
    "email_verified_at_ms": "5",
    "events_per_month_max": "5",
}


class Stage(NamedTuple):
    """The site, its people by what they are called in the matrix, and what the names in paths stand for.

    api_keys: one of the project in question, one of another.
    """

    site: Site
    people: dict[str, Account | None]
    places: dict[str, str]
    api_keys: tuple[str, ...]

    async def browser(self, asker: str) -> tuple[Browser, str]:
        """Somebody's browser with a token for any form."""
        services, account = self.site.services, self.people[asker]
        browser = self.site.browser()
        if account is None:
            browser.cookies[cookies.FORMS] = "nobodys-secret"
            return browser, forms.csrf_token(forms.csrf_key(services.secret, browser.cookies[cookies.FORMS]))
        token, login = await logins.open_login(services.database, services.clock, account, logins.Browser())
        browser.cookies[cookies.LOGIN] = token
        return browser, forms.csrf_token(forms.csrf_key(services.secret, login.id))

    def path(self, path: str, row: Row) -> str:
        """The address of a route."""
        places = self.places | {name: value.format(**self.places) for name, value in row.places.items()}
        return plain(path).format(**places)

    async def operators(self) -> set[str]:
        """The ids of the operators."""
        async with self.site.services.database.connect() as connection:
            return {account.id for account in await stored_accounts.operators(connection)}

    async def state(self) -> dict[str, list[Any]]:
        """Everything in the relational store but logins."""
        found = {}
        async with self.site.services.database.connect() as connection:
            for table in tables.metadata.sorted_tables:
                if table.name not in ("login", "salt"):
                    rows = await connection.rows(sqlalchemy.select(table))
                    found[table.name] = sorted(repr(tuple(row)) for row in rows)
        return found


@pytest.fixture
async def stage(site: Site, cast: Cast) -> Stage:
    services = site.services
    database, clock = services.database, services.clock
    dora = signup.new_account("dora@example.com", "Dora", False, 1)
    blog = await projects.create(database, clock, "acme", "Journal", "journal.example.com")
    elsewhere = await projects.create(database, clock, "other", "Elsewhere", "elsewhere.example.com")
    async with database.begin() as connection:
        await stored_accounts.create(connection, dora, "no hash")
        await stored_organizations.add_member(connection, Membership(dora.id, "acme", Role.MEMBER), 1)
        await stored_organizations.set_access(connection, "acme", dora.id, (blog.id,))
    await services.queue.put(Write([NewJob("line", b"")]))
    invited = await invitations.create(database, clock, "acme", cast.alice, Role.MEMBER)
    opened = [await api_keys.create(database, clock, one.id, cast.olga, "Reports") for one in (cast.shop, elsewhere)]
    drawn = funnels.Drawn("Trial", "", 60, (Step("s", "", PageFilter(Text(value="/"))),))
    funnel = await funnels.make(database, clock, cast.shop.id, drawn)
    people = (None, cast.charlie, cast.bob, dora, cast.alice, cast.olga)
    places = {
        "organization": "acme",
        "project": str(cast.shop.id),
        "elsewhere": str(elsewhere.id),
        "account": cast.bob.id,
        "invitation": invited.token,
        "key": opened[0][1].id,
        "funnel": funnel.id,
        "user": "7",
        "token": "t",
        "panel": "pages",
        "identifier": "ann@example.com",
        "domain": "shop.example.com",
        "provider": "google",
        "price": "pri_a",
        "login": "l",
        "letter": "l",
        "queue": "line",
        "job": "1",
        "entry": "tips",
        "version": "x",
        "name": "css/base.css",
    }
    return Stage(site, dict(zip(ASKERS, people, strict=True)), places, tuple(text for text, _ in opened))


def answers(row: Row) -> dict[str, str]:
    """The answer by asker."""
    return dict(zip(ASKERS, row.answers.split(), strict=True))


def is_calm(name: str, asker: str) -> bool:
    """Whether what is asked changes nothing."""
    return name.startswith("GET ") or answers(ROWS[name])[asker] in REFUSALS


CHANGES = [
    pytest.param(name, asker, id=f"{name} - {asker}") for name in ROWS for asker in ASKERS if not is_calm(name, asker)
]


async def ask(stage: Stage, name: str, asker: str, *, headers: dict[str, str] | None = None, token: bool = True) -> str:
    """What a route answers: a status, or that one is sent to the login."""
    method, _, path = name.partition(" ")
    row = ROWS[name]
    browser, csrf = await stage.browser(asker)
    rest = {}
    if method == "POST":
        rest["data"] = SURPLUS | dict(row.form) | ({"csrf": csrf} if token else {})
    method = "HEAD" if row.is_stream else method
    page = await browser.ask(method, stage.path(path, row), headers, **rest)
    is_login = page.status == 303 and page.location.partition("?")[0] == "/login"
    return LOGIN if is_login else str(page.status)


def test_every_route_has_a_row() -> None:
    there_are = {f"{route.method} {route.path}" for route in ROUTES}
    assert there_are - set(ROWS) == set(), "add them to tests/web/matrix.py"
    assert set(ROWS) - there_are == set(), "these are gone: take them out of tests/web/matrix.py"


def test_a_handler_is_for_the_same_askers_on_all_its_routes() -> None:
    """Who may ask is looked up by the handler."""
    assert [route for route in ROUTES if routes.BY_HANDLER[route.handler] is not route.access] == []


@pytest.mark.parametrize("asker", ASKERS)
async def test_pages_and_refusals(stage: Stage, asker: str) -> None:
    before = await stage.state()
    calm = [name for name in ROWS if is_calm(name, asker)]
    assert {name: await ask(stage, name, asker) for name in calm} == {name: answers(ROWS[name])[asker] for name in calm}
    assert await stage.state() == before


@pytest.mark.parametrize(("name", "asker"), CHANGES)
async def test_changes(stage: Stage, name: str, asker: str) -> None:
    before, operators = await stage.state(), await stage.operators()
    assert await ask(stage, name, asker) == answers(ROWS[name])[asker]
    after = await stage.state()
    # Whatever was posted besides: nobody is more than before, and nothing of others has moved.
    assert await stage.operators() <= operators
    for table in ("project", "membership"):
        assert of_other(after[table]) == of_other(before[table])


def of_other(rows: list[Any]) -> list[Any]:
    return [row for row in rows if "'other'" in row]


async def test_no_form_is_taken_without_its_token(stage: Stage) -> None:
    before = await stage.state()
    for name in ROWS:
        if name.startswith("GET ") or name in WITHOUT_FORM:
            continue
        for asker in ASKERS:
            assert await ask(stage, name, asker, token=False) in ("403", LOGIN), (name, asker)
    assert await stage.state() == before


async def test_an_api_key_opens_no_page(stage: Stage) -> None:
    for name, row in ROWS.items():
        if not is_calm(name, "nobody"):
            continue
        for key, said in zip(stage.api_keys, (row.key, row.other_key), strict=True):
            headers = {"Authorization": f"Bearer {key}"}
            assert await ask(stage, name, "nobody", headers=headers) == (said or answers(row)["nobody"]), name


def covers(path: str, address: str) -> bool:
    """Whether an address is one of a route's."""
    return re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", plain(path)), address) is not None


async def test_no_other_method_is_answered(stage: Stage) -> None:
    browser, csrf = await stage.browser("operator")
    for path in sorted({route.path for route in ROUTES}):
        row = next(row for name, row in ROWS.items() if name.partition(" ")[2] == path)
        address = stage.path(path, row)
        # A name in braces may stand for a word that is a path of its own.
        known = {route.method for route in ROUTES if route.path == path or covers(route.path, address)}
        known |= {"HEAD"} if "GET" in known else set()
        for method in set(METHODS) - known:
            page = await browser.ask(method, address, data={"csrf": csrf})
            assert (page.status, set(page.headers["Allow"].split(","))) == (405, known), (method, path)


async def test_a_head_says_what_its_page_would(stage: Stage) -> None:
    for name, row in ROWS.items():
        method, _, path = name.partition(" ")
        if method != "GET":
            continue
        for asker in ("nobody", "admin"):
            browser, _ = await stage.browser(asker)
            page = await browser.ask("HEAD", stage.path(path, row))
            status = 303 if answers(row)[asker] == LOGIN else int(answers(row)[asker])
            assert (page.status, page.text) == (status, ""), (name, asker)
