"""Keys and counters of the SQLite queue: logged with each commit, folded into their tables a little later.

Every hit renews a live session and raises counters. Written in place that is a random page or more per hit; as one
log row per commit it costs next to nothing, and of all renewals of a key between two folds only the last is written.
"""

import sqlite3
from collections.abc import Iterable
from functools import lru_cache
from itertools import chain, islice

import msgspec

from vemetric.queues.job import Int64

# When this many keys or bytes are logged, they are folded ...
FOLD_KEYS = 32_768
FOLD_LOG_BYTES = 33_554_432
# ... in portions of at least this many per commit, so that no commit waits for the whole.
FOLD_PORTION_KEYS = 256
# As many to a statement: each step of the engine gives the interpreter away and has to win it back.
KEYS_PER_STATEMENT = 128
PURGE_PORTION_KEYS = 4_000
CODE_POINT_LAST = 0x10FFFF
SURROGATES_FIRST, SURROGATES_LAST = 0xD800, 0xDFFF

# A value that is None marks a deleted key; (value, expires_ms).
Entry = tuple[bytes | None, int]

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[list[tuple[str, bytes | None, Int64]], dict[str, Int64]]).decode

# Looked at and deleted without a row coming out: each row is a step of the engine, and gives the interpreter away.
_PORTION = "SELECT max(key), count(*) FROM (SELECT key FROM key WHERE key > ? ORDER BY key LIMIT ?)"
_PURGE = "DELETE FROM key WHERE key > ? AND key <= ? AND expires_ms > 0 AND expires_ms <= ?"
_UPSERT_COUNTER = """
INSERT INTO counter (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value
"""


class KeyLog:
    """The keys and counters as they stand: three layers over the tables, newest first.

    pending: of the transaction under way, seen only by it; fresh: committed; folding: committed and being written to
    the tables, portion by portion. All methods but `peek`, `peek_range` belong to the writer thread.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._pending: dict[str, Entry] = {}
        self._pending_counters: dict[str, int] = {}
        # The pending layer as the log has it, once it was looked at and unless something was added since.
        self._pending_body: bytes | None = None
        self._fresh: dict[str, Entry] = {}
        self._fresh_counters: dict[str, int] = {}
        self._folding: dict[str, Entry] = {}
        self._folding_counters: dict[str, int] = {}
        self._unfolded: list[str] = []
        self._fold_until_id = 0
        self._log_id = 0
        self._pending_log_id = 0
        self._log_bytes = 0
        self._fold_ends = False
        self._purge_from = ""

    def recover(self, now_ms: int) -> None:
        """Fold what an earlier process logged; call once, before anything else, outside a transaction."""
        self._db.execute("BEGIN IMMEDIATE")
        for (body,) in self._db.execute("SELECT body FROM key_log ORDER BY id"):
            sets, counters = _decode(body)
            self._fresh.update((key, (value, expires_ms)) for key, value, expires_ms in sets)
            _add(self._fresh_counters, counters)
        _write_keys(self._db, self._fresh.items(), now_ms)
        _write_counters(self._db, self._fresh_counters)
        self._db.execute("DELETE FROM key_log")
        self._db.execute("COMMIT")
        self._fresh, self._fresh_counters = {}, {}

    # Within a transaction

    def set(self, key: str, value: bytes | None, expires_ms: int) -> None:
        self._pending[key] = (value, expires_ms)
        self._pending_body = None

    def add(self, counters: dict[str, int]) -> None:
        self._pending_body = None
        _add(self._pending_counters, counters)

    def get(self, key: str, now_ms: int) -> bytes | None:
        """The value as the transaction under way sees it."""
        entry = self.entry(key, now_ms)
        return None if entry is None else entry[0]

    def entry(self, key: str, now_ms: int) -> Entry | None:
        """As `get`, with when it expires."""
        entry = self._pending.get(key) or self._fresh.get(key) or self._folding.get(key)
        entry = entry or self._db.execute("SELECT value, expires_ms FROM key WHERE key = ?", (key,)).fetchone()
        return entry if entry is not None and alive(entry, now_ms) is not None else None

    def counters(self, prefix: str) -> dict[str, int]:
        low, high = bounds(prefix)
        rows = self._db.execute("SELECT name, value FROM counter WHERE name >= ? AND name < ?", (low, high))
        found: dict[str, int] = dict(rows.fetchall())
        for layer in (self._folding_counters, self._fresh_counters, self._pending_counters):
            _add(found, {name: value for name, value in layer.items() if name.startswith(prefix)})
        return {name: value for name, value in found.items() if value}

    def check(self) -> None:
        """Raise if something pending could not be stored: one bad name must not spoil the log of all."""
        body = self._encoded()
        _decode(body)
        self._pending_body = body

    def mark(self) -> tuple[dict[str, Entry], dict[str, int]]:
        """What is pending, to come back to with `restore` when a part of the transaction is undone."""
        return self._pending.copy(), self._pending_counters.copy()

    def restore(self, mark: tuple[dict[str, Entry], dict[str, int]]) -> None:
        self._pending, self._pending_counters = mark
        self._pending_body = None

    def flush(self, now_ms: int) -> None:
        """Write the pending layer to the log and the next portion of a fold to the tables; before COMMIT."""
        if self._pending or self._pending_counters:
            body = self._pending_body or self._encoded()
            self._log_bytes += len(body)
            cursor = self._db.execute("INSERT INTO key_log (body) VALUES (?)", (body,))
            self._pending_log_id = cursor.lastrowid or 0
        self._fold_ends = False
        if self._unfolded or self._folding_counters:
            self._fold_portion(max(FOLD_PORTION_KEYS, 2 * len(self._pending)), now_ms)

    @property
    def is_folding(self) -> bool:
        """Whether a commit has more to write than a row of the log."""
        return bool(self._folding or self._folding_counters)

    def logged(self) -> tuple[int | None, bytes | None]:
        """The pending layer as a row of the log, for a commit that folds nothing. Raises as `check`."""
        self._fold_ends = False
        if not (self._pending or self._pending_counters):
            return None, None
        self.check()
        self._pending_log_id = self._log_id + 1
        self._log_bytes += len(self._pending_body or b"")
        return self._pending_log_id, self._pending_body

    def publish(self) -> None:
        """Make the pending layer visible; after COMMIT."""
        self._log_id = self._pending_log_id
        self._fresh.update(self._pending)
        _add(self._fresh_counters, self._pending_counters)
        self._pending, self._pending_counters, self._pending_body = {}, {}, None
        if self._fold_ends:
            self._folding, self._folding_counters = {}, {}
        if len(self._fresh) >= FOLD_KEYS or self._log_bytes >= FOLD_LOG_BYTES:
            self.start_fold()

    def forget(self) -> None:
        """Drop the pending layer; after a ROLLBACK. A fold under way begins again."""
        self._pending, self._pending_counters, self._pending_body = {}, {}, None
        self._pending_log_id = self._log_id
        self._unfolded = sorted(self._folding, reverse=True)

    def start_fold(self) -> bool:
        """Let the next commits write what is logged to the tables. True if there is something to write."""
        if self._folding or self._folding_counters:
            return True
        # In this order: a reader on the loop always finds a committed value in one of the two.
        self._folding, self._folding_counters = self._fresh, self._fresh_counters
        self._fresh, self._fresh_counters = {}, {}
        # Neighbours share pages.
        self._unfolded = sorted(self._folding, reverse=True)
        self._fold_until_id = self._log_id
        self._log_bytes = 0
        return bool(self._folding or self._folding_counters)

    def purge(self, now_ms: int) -> int:
        """Delete expired rows of the next portion of the table, in key order and around; within a transaction."""
        last, found = self._db.execute(_PORTION, (self._purge_from, PURGE_PORTION_KEYS)).fetchone()
        if last is None:
            self._purge_from = ""
            return 0
        purged = self._db.execute(_PURGE, (self._purge_from, last, now_ms)).rowcount
        self._purge_from = last if found == PURGE_PORTION_KEYS else ""
        return purged

    # From any thread

    def peek(self, key: str) -> Entry | None:
        """The newest committed entry that is not in the tables yet, if any."""
        return self._fresh.get(key) or self._folding.get(key)

    def peek_range(self, prefix: str) -> dict[str, Entry]:
        """Those entries whose keys start with the prefix."""
        # Fresh before folding: what moves on between the two looks is seen twice rather than never.
        fresh = self._fresh.copy()
        found = self._folding.copy() | fresh
        return {key: entry for key, entry in found.items() if key.startswith(prefix)}

    def _encoded(self) -> bytes:
        sets = [(key, value, expires_ms) for key, (value, expires_ms) in self._pending.items()]
        return _encode((sets, self._pending_counters))

    def _fold_portion(self, limit: int, now_ms: int) -> None:
        portion, self._unfolded = self._unfolded[-limit:], self._unfolded[:-limit]
        _write_keys(self._db, [(key, self._folding[key]) for key in reversed(portion)], now_ms)
        if not self._unfolded:
            # Adding is not repeatable, so counters and the log's rows go in one and the same transaction.
            _write_counters(self._db, self._folding_counters)
            self._db.execute("DELETE FROM key_log WHERE id <= ?", (self._fold_until_id,))
            self._fold_ends = True


def read(db: sqlite3.Connection, key: str, now_ms: int) -> bytes | None:
    """A live value from the table."""
    row = db.execute("SELECT value, expires_ms FROM key WHERE key = ?", (key,)).fetchone()
    return alive(row, now_ms) if row else None


def read_many(db: sqlite3.Connection, keys: Iterable[str], now_ms: int) -> dict[str, bytes]:
    """The live ones of these keys."""
    found = ((key, read(db, key, now_ms)) for key in keys)
    return {key: value for key, value in found if value is not None}


def scan(
    db: sqlite3.Connection, prefix: str, limit: int, newer: dict[str, Entry], now_ms: int
) -> list[tuple[str, bytes]]:
    """Live keys that start with the prefix, in key order; `newer` holds what is not in the table yet."""
    low, high = bounds(prefix)
    rows = db.execute(
        "SELECT key, value, expires_ms FROM key WHERE key >= ? AND key < ?"
        " AND (expires_ms = 0 OR expires_ms > ?) ORDER BY key LIMIT ?",
        (low, high, now_ms, limit + len(newer)),
    )
    found: dict[str, Entry] = {key: (value, expires_ms) for key, value, expires_ms in rows} | newer
    values = ((key, alive(found[key], now_ms)) for key in sorted(found))
    return list(islice(((key, value) for key, value in values if value is not None), limit))


def bounds(prefix: str) -> tuple[str, str | bytes]:
    """The range of names with the prefix: from the first up to, but without, the second."""
    for length in range(len(prefix), 0, -1):
        last = ord(prefix[length - 1]) + 1
        if SURROGATES_FIRST <= last <= SURROGATES_LAST:
            last = SURROGATES_LAST + 1
        if last <= CODE_POINT_LAST:
            return prefix, prefix[: length - 1] + chr(last)
    # Every text sorts before every blob.
    return prefix, b""


def alive(entry: Entry, now_ms: int) -> bytes | None:
    """The entry's value, None if it is deleted or has expired."""
    value, expires_ms = entry
    return value if not expires_ms or expires_ms > now_ms else None


def _write_keys(db: sqlite3.Connection, entries: Iterable[tuple[str, Entry]], now_ms: int) -> None:
    upserts: list[tuple[str, bytes, int]] = []
    deletes: list[tuple[str]] = []
    for key, (value, expires_ms) in entries:
        if value is None or (expires_ms and expires_ms <= now_ms):
            deletes.append((key,))
        else:
            upserts.append((key, value, expires_ms))
    for start in range(0, len(upserts), KEYS_PER_STATEMENT):
        chunk = upserts[start : start + KEYS_PER_STATEMENT]
        db.execute(_upsert(len(chunk)), list(chain.from_iterable(chunk)))
    db.executemany("DELETE FROM key WHERE key = ?", deletes)


def _write_counters(db: sqlite3.Connection, counters: dict[str, int]) -> None:
    db.executemany(_UPSERT_COUNTER, counters.items())
    # Only what was not raised can have come to 0.
    db.executemany(
        "DELETE FROM counter WHERE name = ? AND value = 0", [(name,) for name, value in counters.items() if value <= 0]
    )


@lru_cache(KEYS_PER_STATEMENT)
def _upsert(rows: int) -> str:
    values = ", ".join(["(?, ?, ?)"] * rows)
    return (
        f"INSERT INTO key (key, value, expires_ms) VALUES {values}"  # noqa: S608 - only question marks are added
        " ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires_ms = excluded.expires_ms"
    )


def _add(total: dict[str, int], more: dict[str, int]) -> None:
    for name, value in more.items():
        total[name] = total.get(name, 0) + value
