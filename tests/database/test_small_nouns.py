"""Logins, salts, identities and set-up tokens as they are kept."""

import asyncio
from pathlib import Path

import pytest

from tests.database.conftest import NOW_MS, Cast
from vemetric import errors
from vemetric.database import identities, logins, salts, setup_tokens
from vemetric.database.database import Database, file_url
from vemetric.model.account import Login
from vemetric.model.salt import Salt


def a_login(login_id: str, account_id: str, used_at_ms: int = NOW_MS) -> Login:
    return Login(login_id, account_id, True, "Firefox", "192.0.2.1", NOW_MS, used_at_ms, NOW_MS + 1000)


def everything_in(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


class TestLogins:
    @pytest.fixture(autouse=True)
    async def open(self, database: Database, cast: Cast) -> None:
        async with database.begin() as connection:
            await logins.create(connection, a_login("desk", cast.alice.id), "hash 1")
            await logins.create(connection, a_login("phone", cast.alice.id, NOW_MS + 1), "hash 2")
            await logins.create(connection, a_login("bobs", cast.bob.id), "hash 3")

    async def test_a_token_says_whose_login_it_is_until_it_runs_out(self, database: Database, cast: Cast) -> None:
        async with database.connect() as connection:
            found = await logins.by_token_hash(connection, "hash 1", NOW_MS + 999)
            assert found == (cast.alice, a_login("desk", cast.alice.id))
            assert await logins.by_token_hash(connection, "hash 1", NOW_MS + 1000) is None
            assert await logins.by_token_hash(connection, "hash", NOW_MS) is None

    async def test_a_login_is_prolonged(self, database: Database, cast: Cast) -> None:
        async with database.begin() as connection:
            await logins.prolong(connection, "desk", NOW_MS + 500, NOW_MS + 2000)
            found = await logins.by_token_hash(connection, "hash 1", NOW_MS + 1999)
        assert found is not None
        assert (found[1].used_at_ms, found[1].expires_at_ms) == (NOW_MS + 500, NOW_MS + 2000)

    async def test_are_listed_last_used_first(self, database: Database, cast: Cast) -> None:
        async with database.connect() as connection:
            assert [login.id for login in await logins.of_account(connection, cast.alice.id, NOW_MS)] == [
                "phone",
                "desk",
            ]
            assert await logins.of_account(connection, cast.alice.id, NOW_MS + 1000) == []

    async def test_nobody_ends_the_login_of_another(self, database: Database, cast: Cast) -> None:
        async with database.begin() as connection:
            assert not await logins.delete(connection, cast.alice.id, "bobs")
            assert await logins.delete(connection, cast.bob.id, "bobs")
            assert not await logins.delete(connection, cast.bob.id, "bobs")

    async def test_all_but_one_are_ended(self, database: Database, cast: Cast) -> None:
        async with database.begin() as connection:
            assert await logins.delete_of_account(connection, cast.alice.id, "desk") == 1
            assert await logins.delete_of_account(connection, cast.alice.id) == 1
            assert await logins.by_token_hash(connection, "hash 3", NOW_MS) is not None

    async def test_expired_ones_are_forgotten(self, database: Database, cast: Cast) -> None:
        async with database.begin() as connection:
            await logins.prolong(connection, "desk", NOW_MS, NOW_MS + 5000)
            assert await logins.delete_expired(connection, NOW_MS + 1000) == 2
            assert await logins.by_token_hash(connection, "hash 1", NOW_MS + 1000) is not None


class TestSalts:
    async def test_the_newest_come_first_and_the_older_are_erased(self, database: Database) -> None:
        async with database.begin() as connection:
            for number in range(4):
                assert await salts.insert(connection, f"salt {number}", NOW_MS + number) == Salt(
                    f"salt {number}", NOW_MS + number
                )
            newest = await salts.newest(connection, 2)
            assert [salt.id for salt in newest] == ["salt 3", "salt 2"]
            assert await salts.erase_all_but(connection, [salt.id for salt in newest]) == 2
            assert await salts.newest(connection, 9) == newest

    async def test_an_erased_salt_is_not_left_in_the_file(self, tmp_path: Path) -> None:
        path = tmp_path / "vemetric.db"
        database = await Database.open(file_url(path))
        for salt_id in ("erased-secret-of-a-day", "kept-secret-of-a-day"):
            async with database.begin() as connection:
                await salts.insert(connection, salt_id, NOW_MS)
        async with database.begin() as connection:
            await salts.erase_all_but(connection, ["kept-secret-of-a-day"])
        await database.close()
        left = everything_in(tmp_path)
        assert b"kept-secret-of-a-day" in left
        assert b"erased-secret-of-a-day" not in left


class TestIdentities:
    async def test_the_first_one_stays(self, database: Database, cast: Cast) -> None:
        async with database.begin() as connection:
            assert await identities.insert_if_absent(connection, cast.shop.id, 2**64 - 1, "ann", NOW_MS) == 2**64 - 1
            assert await identities.insert_if_absent(connection, cast.shop.id, 5, "ann", NOW_MS) == 2**64 - 1
            assert await identities.by_identifier(connection, cast.shop.id, "ann") == 2**64 - 1
            assert await identities.by_user(connection, cast.shop.id, 2**64 - 1) == "ann"

    async def test_projects_are_apart(self, database: Database, cast: Cast) -> None:
        async with database.begin() as connection:
            await identities.insert_if_absent(connection, cast.shop.id, 5, "ann", NOW_MS)
            assert await identities.by_identifier(connection, cast.blog.id, "ann") is None
            assert await identities.by_user(connection, cast.blog.id, 5) is None
            assert await identities.insert_if_absent(connection, cast.blog.id, 6, "ann", NOW_MS) == 6

    async def test_a_user_has_one_identifier_for_ever(self, database: Database, cast: Cast) -> None:
        async with database.begin() as connection:
            await identities.insert_if_absent(connection, cast.shop.id, 5, "ann", NOW_MS)
        with pytest.raises(errors.Conflict):
            async with database.begin() as connection:
                await identities.insert_if_absent(connection, cast.shop.id, 5, "bea", NOW_MS)

    async def test_all_who_race_get_one_user(self, database: Database, cast: Cast) -> None:
        async def identify(user_id: int) -> int:
            async with database.begin() as connection:
                return await identities.insert_if_absent(connection, cast.shop.id, user_id, "ann", NOW_MS)

        assert len(set(await asyncio.gather(*(identify(number) for number in range(1, 9))))) == 1


class TestSetupTokens:
    async def test_only_the_newest_is_valid_and_only_in_its_time(self, database: Database) -> None:
        async with database.begin() as connection:
            await setup_tokens.replace(connection, "first", NOW_MS, NOW_MS + 10)
            await setup_tokens.replace(connection, "second", NOW_MS, NOW_MS + 10)
            assert not await setup_tokens.is_valid(connection, "first", NOW_MS)
            assert await setup_tokens.is_valid(connection, "second", NOW_MS + 9)
            assert not await setup_tokens.is_valid(connection, "second", NOW_MS + 10)
            await setup_tokens.erase(connection)
            assert not await setup_tokens.is_valid(connection, "second", NOW_MS)
