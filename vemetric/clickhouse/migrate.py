"""Bring the analytics tables up to date: the files of migrations/, in order, each once, noted in table `migration`.

Called by services.py before anything reads or writes. Files that were applied never change again.
"""

import hashlib
from collections.abc import Sequence
from importlib import resources

import msgspec

from vemetric import errors
from vemetric.clickhouse.engine import Engine

STATEMENT_END = ";\n"

MIGRATION_TABLE = """
CREATE TABLE IF NOT EXISTS migration
(
    name String,
    checksum String,
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree
ORDER BY name
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
"""


class Migration(msgspec.Struct, frozen=True):
    """One file of statements. `name` is its number and what it does, such as '0001_event'."""

    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def statements(self) -> list[str]:
        """Each statement without the line comments before it; a statement ends with ';' at the end of a line."""
        lines = (line for line in self.sql.splitlines() if not line.startswith("--"))
        parts = ("\n".join(lines) + "\n").split(STATEMENT_END)
        return [part.strip() for part in parts if part.strip()]


def all_migrations() -> list[Migration]:
    """The migrations this program has, in the order in which they are applied."""
    folder = resources.files("vemetric.clickhouse") / "migrations"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    return [Migration(file.name.removesuffix(".sql"), file.read_text()) for file in files]


async def migrate(engine: Engine, migrations: Sequence[Migration] | None = None) -> list[str]:
    """Apply what is missing and return the names of it.

    Raises Misconfigured when the data knows a migration that this program does not (a newer one wrote it) or one whose
    text differs. A statement may have been applied by a run that was killed before it was noted, so each
    statement must bear a second run: CREATE TABLE IF NOT EXISTS, ADD COLUMN IF NOT EXISTS and the like.
    """
    migrations = all_migrations() if migrations is None else migrations
    await engine.command(MIGRATION_TABLE)
    applied: dict[str, str] = dict(await engine.query("SELECT name, checksum FROM migration FINAL"))
    _refuse_foreign(applied, migrations)
    missing = [migration for migration in migrations if migration.name not in applied]
    for migration in missing:
        for statement in migration.statements:
            await engine.command(statement)
        await engine.insert("migration", ("name", "checksum"), [(migration.name, migration.checksum)])
    return [migration.name for migration in missing]


def _refuse_foreign(applied: dict[str, str], migrations: Sequence[Migration]) -> None:
    known = {migration.name: migration.checksum for migration in migrations}
    unknown = sorted(applied.keys() - known.keys())
    if unknown:
        raise errors.Misconfigured(
            f"The analytics data was written by a newer version of this program (it has {', '.join(unknown)}). "
            "Start the newer version, or restore a backup made by this one."
        )
    changed = sorted(name for name, checksum in applied.items() if known[name] != checksum)
    if changed:
        raise errors.Misconfigured(
            f"The analytics data was made with another text of {', '.join(changed)}. "
            "Start the version of the program that made it."
        )
