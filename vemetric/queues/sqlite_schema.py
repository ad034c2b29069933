"""Opens the file of the SQLite queue: pragmas, schema version and migrations. Used by sqlite.py only."""

import os
import sqlite3
from pathlib import Path

import msgspec

from vemetric import errors
from vemetric.model import private_file
from vemetric.queues import journal, sqlite_commit

# Marks the file as ours ("VMQ1"), so that another program's database is never migrated.
APPLICATION_ID = 0x564D5131
WRITER_CACHE_KIB = 16 * 1024
READER_CACHE_KIB = 4 * 1024
# Checkpoints are made beside the writer (sqlite_checkpoint.py). Should they not keep up, one runs inside the commit
# that passes this size.
CHECKPOINT_PAGES = 16_000
WAL_BYTES_KEPT = 64 * 1024 * 1024
LOCK_WAIT_SECONDS = 5
SQLITE_VERSION_MIN = (3, 35, 0)

# States of a job row. READY is the only one that a claim looks at; everything else is moved there by what it waits
# for: DELAYED by time, WAITING by the end of the job named in `after`, BEHIND by the end of what is before it in its
# lane (the jobs of one queue and order_key). Only the first of a lane is ever READY, DELAYED or WAITING.
# 0 READY, 1 CLAIMED, 2 DELAYED, 3 WAITING, 4 BEHIND
_JOBS = """
CREATE TABLE job (
    id INTEGER PRIMARY KEY,
    queue TEXT NOT NULL,
    state INTEGER NOT NULL,
    key TEXT,
    order_key TEXT,
    after TEXT,
    run_at_ms INTEGER NOT NULL,
    put_at_ms INTEGER NOT NULL,
    deliveries INTEGER NOT NULL DEFAULT 0,
    failures INTEGER NOT NULL DEFAULT 0,
    lease INTEGER NOT NULL DEFAULT 0,
    lease_until_ms INTEGER NOT NULL DEFAULT 0,
    error TEXT,
    payload BLOB NOT NULL
);
CREATE INDEX job_line ON job (queue, state);
CREATE UNIQUE INDEX job_key ON job (key, queue) WHERE key IS NOT NULL;
CREATE INDEX job_delayed ON job (queue, run_at_ms) WHERE state = 2;
CREATE INDEX job_claimed ON job (queue, lease_until_ms) WHERE state = 1;
CREATE INDEX job_waiting ON job (after) WHERE state = 3;
CREATE INDEX job_lane ON job (queue, order_key) WHERE order_key IS NOT NULL;
CREATE INDEX job_lane_claimed ON job (queue, order_key) WHERE order_key IS NOT NULL AND state = 1;
CREATE INDEX job_lane_stop ON job (queue, order_key)
    WHERE order_key IS NOT NULL AND (run_at_ms > 0 OR after IS NOT NULL);

CREATE TRIGGER job_done_frees_waiting AFTER DELETE ON job WHEN OLD.key IS NOT NULL BEGIN
    UPDATE job SET state = 0
    WHERE after = OLD.key AND state = 3
        AND NOT EXISTS (SELECT 1 FROM job AS earlier WHERE earlier.key = OLD.key AND earlier.id < job.id);
END;
CREATE TRIGGER job_done_frees_lane AFTER DELETE ON job WHEN OLD.order_key IS NOT NULL BEGIN
    UPDATE job SET state = CASE
        WHEN run_at_ms > 0 THEN 2
        WHEN after IS NOT NULL AND EXISTS (
            SELECT 1 FROM job AS earlier WHERE earlier.key = job.after AND earlier.id < job.id) THEN 3
        ELSE 0 END
    WHERE id = (SELECT min(id) FROM job WHERE queue = OLD.queue AND order_key = OLD.order_key)
        AND state = 4
        AND NOT EXISTS (SELECT 1 FROM job WHERE queue = OLD.queue AND order_key = OLD.order_key AND state = 1);
END;
CREATE TRIGGER job_back_frees_lane AFTER UPDATE OF state ON job
WHEN OLD.state = 1 AND NEW.state = 4 BEGIN
    UPDATE job SET state = CASE
        WHEN run_at_ms > 0 THEN 2
        WHEN after IS NOT NULL AND EXISTS (
            SELECT 1 FROM job AS earlier WHERE earlier.key = job.after AND earlier.id < job.id) THEN 3
        ELSE 0 END
    WHERE id = (SELECT min(id) FROM job WHERE queue = NEW.queue AND order_key = NEW.order_key)
        AND state = 4
        AND NOT EXISTS (SELECT 1 FROM job WHERE queue = NEW.queue AND order_key = NEW.order_key AND state = 1);
END;

CREATE TABLE dead (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    queue TEXT NOT NULL,
    key TEXT,
    order_key TEXT,
    after TEXT,
    put_at_ms INTEGER NOT NULL,
    buried_at_ms INTEGER NOT NULL,
    deliveries INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    error TEXT NOT NULL,
    payload BLOB NOT NULL
);
CREATE INDEX dead_queue ON dead (queue);

CREATE TABLE queue_name (name TEXT PRIMARY KEY) WITHOUT ROWID;
"""

# `key_log` holds what was committed but not yet folded into `key` and `counter`: see sqlite_keys.py.
_KEYS = """
CREATE TABLE key (key TEXT PRIMARY KEY, value BLOB NOT NULL, expires_ms INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE key_log (id INTEGER PRIMARY KEY, body BLOB NOT NULL);
"""

# Jobs that wait for nothing, by the bundle: see sqlite_bundles.py, also for the ids. States: 0 READY, 1 CLAIMED.
_BUNDLES = """
CREATE TABLE bundle (
    id INTEGER PRIMARY KEY,
    queue TEXT NOT NULL,
    state INTEGER NOT NULL,
    place INTEGER NOT NULL,
    jobs INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    put_at_ms INTEGER NOT NULL,
    deliveries INTEGER NOT NULL DEFAULT 0,
    lease INTEGER NOT NULL DEFAULT 0,
    lease_until_ms INTEGER NOT NULL DEFAULT 0,
    body BLOB NOT NULL
);
CREATE INDEX bundle_line ON bundle (queue, state);
UPDATE job SET id = -id * 4096;
UPDATE job SET id = -id;
"""

_PAUSED = """
CREATE TABLE paused (queue TEXT PRIMARY KEY) WITHOUT ROWID;
"""

# How far the journal beside this file is in the tables: see journal.py. Epoch 0: there is nothing in it.
_JOURNAL = """
CREATE TABLE journal (epoch INTEGER NOT NULL, applied INTEGER NOT NULL);
INSERT INTO journal VALUES (0, 0);
"""

# Order is meaning: append only. The schema version is the number of entries applied.
MIGRATIONS: tuple[str, ...] = (_JOBS + _KEYS, _BUNDLES, _PAUSED, _JOURNAL)


def bytes_of(path: Path) -> int:
    """How large the file is, with its log and its journal."""
    files = (path, path.with_name(f"{path.name}-wal"), *journal.paths(path))
    return sum(one.stat().st_size for one in files if one.exists())


def open_writer(path: Path) -> sqlite3.Connection:
    """Open the file for writing, making or migrating it. Misconfigured, in a sentence, if it cannot be ours."""
    if sqlite3.sqlite_version_info < SQLITE_VERSION_MIN:
        raise errors.Misconfigured(f"SQLite 3.35 or newer is needed; this Python has {sqlite3.sqlite_version}.")
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise errors.Misconfigured(f"The queue's file {path} cannot be opened: {error.strerror}.") from error
    db = _connect(path)
    try:
        _prepare(db, path)
    except sqlite3.Error as error:
        db.close()
        raise errors.Misconfigured(refusal(path, error)) from error
    except BaseException:
        db.close()
        raise
    # A new file survives power loss only when its directory entry does.
    private_file.sync_directory(path.parent)
    return db


def is_damage(error: Exception) -> bool:
    """Whether the error says that the file itself is broken, which waiting cannot mend."""
    return isinstance(error, msgspec.DecodeError) or (getattr(error, "sqlite_errorcode", 0) & 0xFF) in (
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
    )


def open_reader(path: Path) -> sqlite3.Connection:
    """Open a second connection that can only read; it never waits for the writer."""
    db = _connect(path)
    _bound(db, READER_CACHE_KIB)
    db.execute("PRAGMA query_only=ON")
    return db


def open_checkpointer(path: Path) -> sqlite3.Connection:
    """Open a connection that only copies what is committed from the log into the file."""
    db = _connect(path)
    _bound(db, READER_CACHE_KIB)
    db.execute("PRAGMA synchronous=FULL")
    return db


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=LOCK_WAIT_SECONDS, isolation_level=None, check_same_thread=False)


def _bound(db: sqlite3.Connection, cache_kib: int) -> None:
    db.execute(f"PRAGMA cache_size=-{cache_kib:d}")
    db.execute("PRAGMA mmap_size=0")
    # Statement journals stay in memory: a group commit must not wait for temporary files.
    db.execute("PRAGMA temp_store=MEMORY")


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    _bound(db, WRITER_CACHE_KIB)
    # Takes effect only while the file is empty; it lets idle vacuuming give freed pages back.
    db.execute("PRAGMA auto_vacuum=INCREMENTAL")
    _check(db, path)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("PRAGMA secure_delete=OFF")
    db.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES:d}")
    db.execute(f"PRAGMA journal_size_limit={WAL_BYTES_KEPT:d}")
    _migrate(db)
    db.executescript(sqlite_commit.SCHEMA)


def refusal(path: Path, error: Exception) -> str:
    """Why the file cannot be used, as a sentence for whoever starts the server."""
    if is_damage(error):
        return f"The queue's file {path} is damaged or not a queue ({error}); restore a backup or move it away."
    return f"The queue's file {path} cannot be used: {error}."


def _check(db: sqlite3.Connection, path: Path) -> None:
    version, application = _pragma(db, "user_version"), _pragma(db, "application_id")
    if version > len(MIGRATIONS):
        raise errors.Misconfigured(
            f"The queue's file {path} was written by a newer Vemetric (schema {version}, this one knows "
            f"{len(MIGRATIONS)}); start that version again or restore a backup."
        )
    tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if application != APPLICATION_ID and (application or version or tables):
        raise errors.Misconfigured(f"The file {path} is a database of another program, not a queue.")


def _migrate(db: sqlite3.Connection) -> None:
    version = _pragma(db, "user_version")
    for number, script in enumerate(MIGRATIONS[version:], version + 1):
        marks = f"PRAGMA application_id={APPLICATION_ID:d}; PRAGMA user_version={number:d};"
        db.executescript(f"BEGIN IMMEDIATE; {script} {marks} COMMIT;")


def _pragma(db: sqlite3.Connection, name: str) -> int:
    return int(db.execute(f"PRAGMA {name}").fetchone()[0])
