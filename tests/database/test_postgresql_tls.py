"""A database behind TLS: what travels is encrypted, and who answers is checked where that is asked for.

The tests' PostgreSQL is built without TLS, so it is PgBouncer that speaks it.
"""

import shutil
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy
import trustme

from tests.kit import servers
from tests.relational import postgresql_url
from vemetric import errors
from vemetric.database import database as module
from vemetric.database.database import Database

if servers.has_pgbouncer():

    @pytest.fixture(scope="module")
    def authority() -> trustme.CA:
        return trustme.CA()

    @pytest.fixture(scope="module")
    def secured(authority: trustme.CA) -> Iterator[servers.Server]:
        """Takes connections with TLS only."""
        certificate = authority.issue_cert("localhost", "127.0.0.1")
        folder = servers.new_folder()
        certificate.private_key_pem.write_to_path(folder / "key.pem")
        certificate.cert_chain_pems[0].write_to_path(folder / "cert.pem")
        authority.cert_pem.write_to_path(folder / "ca.pem")
        for file in folder.iterdir():
            file.chmod(0o600)
            shutil.chown(file, folder.owner(), folder.group())
        server = servers.start_pgbouncer(
            "client_tls_sslmode = require",
            f"client_tls_key_file = {folder / 'key.pem'}",
            f"client_tls_cert_file = {folder / 'cert.pem'}",
            # Without it PgBouncer reads the machine's own, which a bare one has not, and does not start.
            f"client_tls_ca_file = {folder / 'ca.pem'}",
        )
        yield server
        server.kill()
        shutil.rmtree(folder)

    async def test_what_travels_is_encrypted_where_asked_for(secured: servers.Server) -> None:
        async with postgresql_url(secured) as url:
            await (await Database.open(f"{url}?sslmode=require")).close()
            with pytest.raises(errors.Unavailable, match="SSL required"):
                await Database.open(f"{url}?sslmode=disable")

    async def test_who_answers_is_checked(
        secured: servers.Server, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with postgresql_url(secured) as url:
            with pytest.raises(errors.Unavailable, match=r"(?i)certificate"):
                await Database.open(f"{url}?sslmode=verify-full")
            trusted = tmp_path / "ca.pem"
            authority.cert_pem.write_to_path(trusted)
            await (await Database.open(f"{url}?sslmode=verify-full&sslrootcert={trusted}")).close()
            # As an authority that the system trusts.
            monkeypatch.setenv(ssl.get_default_verify_paths().openssl_cafile_env, str(trusted))
            await (await Database.open(f"{url}?sslmode=verify-full")).close()

    async def test_the_replica_is_checked_as_its_own_url_says(
        secured: servers.Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(module, "LAG_SECONDS", 0)
        async with postgresql_url(secured) as url:
            database = await Database.open(f"{url}?sslmode=require", replica_url=f"{url}?sslmode=verify-full")
            async with database.connect(may_lag=True) as connection:
                assert await connection.value(sqlalchemy.select(sqlalchemy.literal(1))) == 1
            await database.close()
        assert "replica is left alone" in caplog.text
