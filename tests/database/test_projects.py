"""Projects: found by what names them, one per domain, seen by whom they should be."""

import asyncio

import msgspec
import pytest
import sqlalchemy

from tests.database.conftest import NOW_MS, Cast, a_project
from vemetric import errors
from vemetric.database import organizations, projects, tables
from vemetric.database.database import Database
from vemetric.model.organization import Membership, Organization, Role


async def test_is_found_by_token_id_and_domain(database: Database, cast: Cast) -> None:
    async with database.connect() as connection:
        tokens = [cast.shop.token, cast.blog.token, "nothing"]
        assert await projects.by_tokens(connection, tokens) == {one.token: one for one in (cast.shop, cast.blog)}
        assert await projects.by_id(connection, cast.shop.id) == cast.shop
        assert await projects.by_domain(connection, "shop.example") == cast.shop


async def test_absent_is_none(database: Database, cast: Cast) -> None:
    async with database.connect() as connection:
        assert await projects.by_tokens(connection, ["nothing"]) == {}
        assert await projects.by_id(connection, 8) is None
        assert await projects.by_domain(connection, "shop") is None


@pytest.mark.parametrize("token", [{"startsWith": "t"}, ["token-0000000007"], None, 7, True, b"token-0000000007"])
async def test_only_text_is_a_token(database: Database, cast: Cast, token: object) -> None:
    async with database.connect() as connection:
        assert await projects.by_tokens(connection, [token]) == {}  # type: ignore[list-item]


@pytest.mark.parametrize("clash", ["domain", "token", "id"])
async def test_domain_token_and_id_are_each_used_once(database: Database, cast: Cast, clash: str) -> None:
    second = msgspec.structs.replace(a_project(9, "other.example", "acme"), **{clash: getattr(cast.blog, clash)})
    with pytest.raises(errors.Conflict):
        async with database.begin() as connection:
            await projects.create(connection, second)


async def test_of_two_at_once_with_one_domain_one_wins(database: Database, cast: Cast) -> None:
    async def create(project_id: int) -> None:
        async with database.begin() as connection:
            await projects.create(connection, a_project(project_id, "new.example", "acme"))

    outcomes = await asyncio.gather(*(create(number) for number in range(100, 108)), return_exceptions=True)
    assert outcomes.count(None) == 1
    assert all(isinstance(outcome, errors.Conflict) for outcome in outcomes if outcome is not None)


async def test_settings_are_replaced_as_a_whole(database: Database, cast: Cast) -> None:
    changed = msgspec.structs.replace(
        cast.blog,
        name="Journal",
        domain="journal.example",
        time_zone="Europe/Vienna",
        public_dashboard=True,
        excluded_ips=("10.0.0.1", "2001:db8::1"),
        excluded_countries=("AT", "DE"),
        excluded_paths=("/a", "/b/*"),
        excluded_hosts=("*.test",),
        public_indexed=True,
        events_prevent_bounce=True,
        token="another token 01",
    )
    for version in (changed, msgspec.structs.replace(changed, excluded_ips=("10.0.0.2",), excluded_countries=())):
        async with database.begin() as connection:
            assert await projects.update_settings(connection, version, NOW_MS + 1)
        async with database.connect() as connection:
            assert await projects.by_id(connection, cast.blog.id) == version
            assert await projects.by_id(connection, cast.shop.id) == cast.shop


async def test_settings_of_a_project_that_is_gone_are_not_stored(database: Database, cast: Cast) -> None:
    async with database.begin() as connection:
        gone = a_project(9, "gone.example", "acme", excluded_ips=("10.0.0.1",))
        assert not await projects.update_settings(connection, gone, NOW_MS)


async def test_the_first_event_is_the_earliest_that_came(database: Database, cast: Cast) -> None:
    async with database.begin() as connection:
        assert [found.id for found in await projects.without_first_event(connection)] == [cast.shop.id, cast.blog.id]
        assert await projects.set_first_event_at(connection, cast.shop.id, 5)
        assert not await projects.set_first_event_at(connection, cast.shop.id, 5)
        assert not await projects.set_first_event_at(connection, cast.shop.id, 6)
        assert await projects.set_first_event_at(connection, cast.shop.id, 4)
        assert [found.id for found in await projects.without_first_event(connection)] == [cast.blog.id]
        shop = await projects.by_id(connection, cast.shop.id)
    assert shop is not None
    assert shop.first_event_at_ms == 4


class TestVisibility:
    """A member who is not restricted sees every project of the organization; one who is, only the listed ones."""

    async def seen_by(self, database: Database, account_id: str) -> list[str]:
        async with database.connect() as connection:
            seen = await projects.of_account(connection, account_id)
            everything = await projects.everything(connection)
            for project in everything:
                assert await projects.is_visible(connection, project.id, account_id) == (project in seen)
        return sorted(project.domain for project in seen)

    async def restrict(self, database: Database, account_id: str, project_id: int) -> None:
        async with database.begin() as connection:
            await organizations.set_access(connection, "acme", account_id, (project_id,))

    async def test_members_see_all_strangers_none(self, database: Database, cast: Cast) -> None:
        assert await self.seen_by(database, cast.alice.id) == ["blog.example", "shop.example"]
        assert await self.seen_by(database, cast.bob.id) == ["blog.example", "shop.example"]
        assert await self.seen_by(database, cast.charlie.id) == []

    async def test_a_listed_project_hides_the_others_from_a_member(self, database: Database, cast: Cast) -> None:
        await self.restrict(database, cast.bob.id, cast.blog.id)
        assert await self.seen_by(database, cast.bob.id) == ["blog.example"]

    async def test_who_may_see_nothing_any_more_does_not_see_all(self, database: Database, cast: Cast) -> None:
        await self.restrict(database, cast.bob.id, cast.blog.id)
        async with database.begin() as connection:
            assert await projects.delete(connection, cast.blog.id)
            assert not await projects.delete(connection, cast.blog.id)
        assert await self.seen_by(database, cast.bob.id) == []

    async def test_an_admin_sees_all_whatever_is_listed(self, database: Database, cast: Cast) -> None:
        await self.restrict(database, cast.alice.id, cast.blog.id)
        assert await self.seen_by(database, cast.alice.id) == ["blog.example", "shop.example"]

    async def test_a_restriction_holds_in_its_organization_only(self, database: Database, cast: Cast) -> None:
        await self.restrict(database, cast.bob.id, cast.blog.id)
        async with database.begin() as connection:
            await organizations.create(connection, Organization("other", "Other", NOW_MS))
            await organizations.add_member(connection, Membership(cast.bob.id, "other", Role.MEMBER), NOW_MS)
            await projects.create(connection, a_project(11, "eleven.example", "other"))
        assert await self.seen_by(database, cast.bob.id) == ["blog.example", "eleven.example"]
        assert "eleven.example" not in await self.seen_by(database, cast.alice.id)

    async def test_nobody_is_given_a_project_of_another_organization(self, database: Database, cast: Cast) -> None:
        with pytest.raises(errors.Conflict):
            await self.restrict(database, cast.charlie.id, cast.blog.id)


async def test_what_belongs_to_an_organization_goes_with_it(database: Database, cast: Cast) -> None:
    async with database.begin() as connection:
        await projects.update_settings(
            connection, msgspec.structs.replace(cast.blog, excluded_ips=("10.0.0.1",)), NOW_MS
        )
        await connection.change(sqlalchemy.delete(tables.organization))
        for table in (tables.project, tables.membership, tables.excluded_ip):
            assert await connection.rows(sqlalchemy.select(table)) == []
