"""The API over the fixture's project, asked as programs ask it."""

import itertools
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple
from weakref import WeakSet

import pytest

from tests.web.api import fixture
from tests.web.conftest import Site
from vemetric.accounts import signup, tokens
from vemetric.clickhouse.engine import Engine
from vemetric.clock import FrozenClock
from vemetric.database import accounts as stored_accounts
from vemetric.database import api_keys
from vemetric.database import organizations as stored_organizations
from vemetric.database import projects as stored_projects
from vemetric.model.api_key import ApiKey, Scope
from vemetric.model.organization import Organization
from vemetric.model.project import Project

KEY = "vem_" + "seed".rjust(32, "0")
WRITE_KEY = "vem_" + "write".rjust(32, "0")
OTHER_KEY = "vem_" + "other".rjust(32, "0")
OTHER_WRITE_KEY = "vem_" + "otherwrite".rjust(32, "0")
PROJECT_ID = 9_100_000_000_000_000_001
END_OF_FEBRUARY = "2026-02-17 23:59:59"
# The engine that has the fixture's rows, once the first test of a process has written them.
_WRITTEN: "WeakSet[Engine]" = WeakSet()
_OTHER_IDS = itertools.count(PROJECT_ID + 1)


class Answer(NamedTuple):
    """An answer, decoded."""

    status: int
    headers: Any
    body: Any

    @property
    def code(self) -> str:
        code: str = self.body["error"]["code"]
        return code

    @property
    def fields(self) -> list[str]:
        """The places of what is not valid."""
        return [detail["field"] for detail in self.body["error"]["details"]]


Ask = Callable[..., Awaitable[Answer]]


@pytest.fixture
def environ(environ: dict[str, str]) -> dict[str, str]:
    """More requests than any test makes, unless it is about them."""
    return environ | {"VEMETRIC_API_REQUESTS_PER_MINUTE": "1000000"}


@pytest.fixture
async def project(site: Site, engine: Engine, clock: FrozenClock) -> Project:
    """The fixture's project with a key to read and one to write."""
    database = site.services.database
    clock.set(fixture.at(END_OF_FEBRUARY))
    made = Project(PROJECT_ID, "acme", "Example", "example.com", "public-token", created_at_ms=1_768_000_000_000)
    async with database.begin() as connection:
        await stored_organizations.create(connection, Organization("acme", "Acme", 1))
    await fixture.insert_project(database, made, clock.now_ms())
    await add_keys(site, made, KEY, WRITE_KEY)
    if engine not in _WRITTEN:
        _WRITTEN.add(engine)
        await fixture.insert_rows(engine, made.id)
    return made


@pytest.fixture
async def other(site: Site, project: Project) -> Project:
    """Another organization's project, without rows of its own, with its keys."""
    made = Project(next(_OTHER_IDS), "other", "Other", "other.example.com", "other-token", created_at_ms=1)
    async with site.services.database.begin() as connection:
        await stored_organizations.create(connection, Organization("other", "Other", 1))
        await stored_projects.create(connection, made)
    await add_keys(site, made, OTHER_KEY, OTHER_WRITE_KEY)
    return made


async def add_keys(site: Site, project: Project, read: str, write: str) -> None:
    """Give a project a key to read and one to write."""
    by = signup.new_account(f"{project.organization_id}@example.com", "Ann", False, 1)
    async with site.services.database.begin() as connection:
        await stored_accounts.create(connection, by, "no hash")
        for text, scope in ((read, Scope.READ), (write, Scope.WRITE)):
            key = ApiKey(f"key_{scope}{project.organization_id}", project.id, scope.value, text[:12], 1, scope=scope)
            await api_keys.create(connection, key, tokens.hashed(text), by.id)


@pytest.fixture
async def ask(site: Site, project: Project) -> Ask:
    """ask(path, body) posts JSON, ask(path) gets; key="" sends none."""

    async def asked(path: str, body: Any = None, *, key: str = KEY, method: str = "", **rest: Any) -> Answer:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        headers |= rest.pop("headers", {})
        sent = {} if body is None else {"json": body}
        chosen = method or ("GET" if body is None and "data" not in rest else "POST")
        async with site.client.request(chosen, f"/api{path}", headers=headers, **sent, **rest) as response:
            is_json = response.content_type == "application/json" and chosen != "HEAD"
            return Answer(response.status, response.headers, await (response.json() if is_json else response.text()))

    return asked
