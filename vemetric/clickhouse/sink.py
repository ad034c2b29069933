"""The only writer of analytics rows, and the look-ups its callers need to write each row once. Used by workers/."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

import msgspec
from msgspec import Raw

from vemetric import errors
from vemetric.clickhouse import encoding
from vemetric.clickhouse import rows as row_columns
from vemetric.clickhouse.encoding import lines
from vemetric.clickhouse.engine import Engine
from vemetric.clickhouse.rows import SessionRow
from vemetric.clickhouse.user_row import USER_COLUMNS, UserRow

INSERT_ROWS_MAX = 20_000
LOOKUP_KEYS_MAX = 1_000
# So many rows are laid out at a time, on the loop that also answers hits.
LAID_OUT_ITEMS = 200
INSERT_LINES_MAX = INSERT_ROWS_MAX // LAID_OUT_ITEMS
# Users of whom it is known that they have no row: as many as may visit in an hour or two.
ANONYMOUS_REMEMBERED_MAX = 50_000
# How often in a row a session is followed to the row that stands for it now.
REPLACEMENTS_MAX = 20

Row = Sequence[Any]
Item = TypeVar("Item")

STORED_EVENTS = """
SELECT DISTINCT projectId, id FROM event
WHERE projectId IN {projects:Array(UInt64)} AND id IN {ids:Array(String)}
  AND createdAt BETWEEN {first:DateTime64(3, 'UTC')} AND {last:DateTime64(3, 'UTC')}
"""

# Keys are asked for column by column and matched by the caller: parsing a list of tuples costs more than the reading.
SESSIONS = f"""
SELECT {", ".join(row_columns.SESSION_COLUMNS)} FROM session
WHERE projectId IN {{projects:Array(UInt64)}} AND id IN {{ids:Array(String)}}
  AND startedAt BETWEEN {{first:DateTime64(3, 'UTC')}} AND {{last:DateTime64(3, 'UTC')}}
ORDER BY version DESC LIMIT 1 BY projectId, userId, id
"""  # noqa: S608 - the text holds column names of ours only
# What merges of users have put in the place of such rows.
REPLACEMENTS = f"""
SELECT {", ".join(row_columns.SESSION_COLUMNS)} FROM session FINAL
WHERE projectId IN {{projects:Array(UInt64)}} AND id IN {{ids:Array(String)}}
  AND startedAt BETWEEN {{first:DateTime64(3, 'UTC')}} AND {{last:DateTime64(3, 'UTC')}} AND mergeId != 0
ORDER BY deleted DESC, startedAt DESC
"""  # noqa: S608

DEVICES = """
SELECT projectId, userId, id FROM device
WHERE projectId IN {projects:Array(UInt64)} AND userId IN {users:Array(UInt64)}
GROUP BY projectId, userId, id HAVING sum(sign) > 0
"""

USERS = """
SELECT projectId, id, identifier, displayName, countryCode, city, latitude, longitude, origin != '' FROM user FINAL
WHERE projectId IN {projects:Array(UInt64)} AND id IN {users:Array(UInt64)} AND deleted = 0
"""


class SessionToWrite(Protocol):
    """A session's row, in whatever form it is kept."""

    def to_tuple(self) -> Row:
        """In the order of SESSION_COLUMNS."""


class SessionKey(NamedTuple):
    """Which session, with its fixed start (as the store's text), by which the table is sorted."""

    project_id: int
    user_id: int
    id: str
    started_at: str


class DeviceKey(NamedTuple):
    """Which device of which user."""

    project_id: int
    user_id: int
    id: int


class UserKey(NamedTuple):
    """Which user."""

    project_id: int
    id: int


class KnownUser(msgspec.Struct, frozen=True, gc=False):
    """What a user's row adds to events and sessions. country_code and city are '' when absent.

    has_source: whether it is known where the user came from.
    """

    identifier: str
    display_name: str = ""
    country_code: str = ""
    city: str = ""
    latitude: float | None = None
    longitude: float | None = None
    has_source: bool = False


def _nothing(moment: str) -> None:
    """The probe of a sink that nobody watches."""


async def _always() -> bool:
    return True


class Sink:
    """Writes rows through one engine, one insert at a time.

    probe: called with "before-insert" and "after-insert"; crash tests hand in one that ends the process.
    exclusive: nobody else makes users' rows; who had none has none until one is written here, and is not asked for.
    """

    def __init__(self, engine: Engine, probe: Callable[[str], None] = _nothing, *, exclusive: bool = False) -> None:
        self._engine = engine
        self._probe = probe
        self._anonymous_max = ANONYMOUS_REMEMBERED_MAX if exclusive else 0
        # A plain dict, which sets are compared with at the least cost; emptied when it is full.
        self._anonymous: dict[tuple[int, int], None] = {}
        # Whose row was perhaps written: not known to be without one before they are seen to have one.
        self._doubtful: set[tuple[int, int]] = set()
        self._users_written = 0
        # With one insert at a time the check of the lease stands right before the insert, not before a wait in line.
        self._turn = asyncio.Lock()

    async def insert_events(
        self,
        rows: Sequence[Row],
        *,
        redelivered: Collection[str] = frozenset(),
        may_insert: Callable[[], Awaitable[bool]] = _always,
    ) -> int:
        """Store each event once and return how many of these rows were missing.

        rows: in the order of EVENT_COLUMNS. redelivered: ids of events whose job was delivered before, in any way;
        those may be stored already, so the store is asked first. may_insert: whether the lease on the jobs still holds,
        asked right before each insert; raises LeaseLost when not. Raises as Engine.insert; then any part may be stored,
        and the next delivery has to name the rows in `redelivered`.
        """
        if redelivered:
            doubtful = [row for row in rows if row[row_columns.EVENT_ID] in redelivered]
            stored = await self.existing_event_ids(doubtful)
            rows = [row for row in rows if _event_key(row) not in stored]
        await self._insert("event", row_columns.EVENT_COLUMNS, rows, may_insert)
        return len(rows)

    async def insert_new_events(
        self, laid_out: Sequence[Raw], rows_each_max: int, *, may_insert: Callable[[], Awaitable[bool]] = _always
    ) -> None:
        """Store events of jobs that were never delivered before, as `lines` of at most so many rows each."""
        await self._insert(
            "event", row_columns.EVENT_COLUMNS, laid_out, may_insert, max(1, INSERT_ROWS_MAX // rows_each_max)
        )

    async def existing_event_ids(self, rows: Iterable[Row]) -> set[tuple[int, str]]:
        """Which (project id, event id) of these events are stored, under any user, at the times the rows bear."""
        stored: set[tuple[int, str]] = set()
        # In order of time, so that each question covers a short range.
        for chunk in _chunks(sorted(rows, key=_created_at), LOOKUP_KEYS_MAX):
            found = await self._engine.lookup(
                STORED_EVENTS,
                {
                    "projects": sorted({row[row_columns.EVENT_PROJECT_ID] for row in chunk}),
                    "ids": [row[row_columns.EVENT_ID] for row in chunk],
                    "first": _created_at(chunk[0]),
                    "last": _created_at(chunk[-1]),
                },
            )
            stored.update((project_id, event_id) for project_id, event_id in found)
        return stored

    async def sessions(self, keys: Iterable[SessionKey]) -> dict[SessionKey, SessionRow]:
        """The current row of each session that has one, deleted ones included."""
        found: dict[SessionKey, SessionRow] = {}
        for chunk in _chunks(sorted(set(keys), key=lambda key: key.started_at), LOOKUP_KEYS_MAX):
            wanted = {key[:3]: key for key in chunk}
            for values in await self._engine.lookup(
                SESSIONS,
                {
                    "projects": sorted({key.project_id for key in chunk}),
                    "ids": [key.id for key in chunk],
                    "first": chunk[0].started_at,
                    "last": chunk[-1].started_at,
                },
            ):
                row = SessionRow.from_list(values)
                key = wanted.get((row.projectId, row.userId, row.id))
                if key:
                    found[key] = row
        return found | await self._replacements(found)

    async def _replacements(self, found: dict[SessionKey, SessionRow]) -> dict[SessionKey, SessionRow]:
        """The rows that stand for those of `found` that a merge replaced, under the keys that were asked for."""
        current = {key: row for key, row in found.items() if row.is_replaced}
        for _ in range(REPLACEMENTS_MAX):
            asked = {key[:3]: key for key, row in current.items() if row.is_replaced}
            if not asked:
                break
            starts = [current[key].endedAt for key in asked.values()]
            for values in await self._engine.lookup(
                REPLACEMENTS,
                {
                    "projects": sorted({key.project_id for key in asked.values()}),
                    "ids": [key.id for key in asked.values()],
                    "first": min(starts),
                    "last": max(starts),
                },
            ):
                row = SessionRow.from_list(values)
                key = asked.get((row.projectId, row.userId, row.id))
                if key:
                    current[key] = row
        return current

    async def insert_sessions(
        self, rows: Sequence[SessionToWrite], *, may_insert: Callable[[], Awaitable[bool]] = _always
    ) -> None:
        """Write sessions; of each, the row with the highest version counts. Writing one twice changes nothing."""
        laid_out: list[Raw] = []
        for some in _chunks(rows, LAID_OUT_ITEMS):
            laid_out.append(lines([row.to_tuple() for row in some]))
            await asyncio.sleep(0)
        await self._insert("session", row_columns.SESSION_COLUMNS, laid_out, may_insert, INSERT_LINES_MAX)

    async def known_devices(self, keys: Iterable[DeviceKey]) -> set[DeviceKey]:
        """Those of the devices that are stored."""
        known: set[DeviceKey] = set()
        for chunk in _chunks(sorted(set(keys)), LOOKUP_KEYS_MAX):
            found = await self._engine.lookup(
                DEVICES,
                {
                    "projects": sorted({key.project_id for key in chunk}),
                    "users": sorted({key.user_id for key in chunk}),
                },
            )
            known.update({DeviceKey(*values) for values in found}.intersection(chunk))
        return known

    async def insert_devices(self, rows: Sequence[Row], *, may_insert: Callable[[], Awaitable[bool]] = _always) -> None:
        """Write devices, in the order of DEVICE_COLUMNS. A device written twice is one device."""
        await self._insert("device", row_columns.DEVICE_COLUMNS, rows, may_insert)

    async def users(self, keys: Iterable[tuple[int, int]]) -> dict[UserKey, KnownUser]:
        """What is known of those users, (project, user), that have a row; anonymous users have none."""
        known: dict[UserKey, KnownUser] = {}
        unknown, users_written = set(keys).difference(self._anonymous), self._users_written
        for chunk in _chunks(sorted(unknown), LOOKUP_KEYS_MAX):
            wanted = set(chunk)
            for project_id, user_id, *values, has_source in await self._engine.lookup(
                USERS,
                {
                    "projects": sorted({project_id for project_id, _ in chunk}),
                    "users": [user_id for _, user_id in chunk],
                },
            ):
                key = UserKey(project_id, user_id)
                if key in wanted:
                    identifier, name, country_code, city, latitude, longitude = values
                    country_code = country_code.rstrip("\0")
                    known[key] = KnownUser(
                        identifier, name, country_code, city, latitude, longitude, has_source=bool(has_source)
                    )
        # A row that was written meanwhile may have come too late for its question.
        if users_written == self._users_written:
            self._note_anonymous(unknown.difference(known, self._doubtful))
        return known

    def _note_anonymous(self, keys: Collection[tuple[int, int]]) -> None:
        if len(self._anonymous) + len(keys) > self._anonymous_max:
            self._anonymous.clear()
        if len(keys) <= self._anonymous_max:
            self._anonymous.update(dict.fromkeys(keys))

    def _note_doubtful(self, keys: Iterable[tuple[int, int]]) -> None:
        if self._anonymous_max:
            self._doubtful.update(keys)
        if len(self._doubtful) > self._anonymous_max:
            # So many that nothing is taken for known any more; from now on everybody is asked for.
            self._anonymous_max = 0
            self._anonymous.clear()
            self._doubtful.clear()

    async def insert_users(
        self, rows: Sequence[UserRow], *, may_insert: Callable[[], Awaitable[bool]] = _always
    ) -> None:
        """Write users; of each, the row with the highest version counts."""
        try:
            await self._insert("user", USER_COLUMNS, [row.to_tuple() for row in rows], may_insert)
        except (errors.RowRejected, errors.LeaseLost):
            raise
        except BaseException:
            # The rows may still be written, nobody knows when: who has none now may have one later.
            self._note_doubtful((row.projectId, row.id) for row in rows)
            raise
        finally:
            self._users_written += 1
            for row in rows:
                self._anonymous.pop((row.projectId, row.id), None)

    async def _insert(
        self,
        table: str,
        columns: Sequence[str],
        rows: Sequence[encoding.Row],
        may_insert: Callable[[], Awaitable[bool]],
        at_once: int = INSERT_ROWS_MAX,
    ) -> None:
        for chunk in _chunks(rows, at_once):
            async with self._turn:
                if not await may_insert():
                    raise errors.LeaseLost
                self._probe("before-insert")
                await self._engine.insert(table, columns, chunk)
                self._probe("after-insert")


def _event_key(row: Row) -> tuple[int, str]:
    return row[row_columns.EVENT_PROJECT_ID], row[row_columns.EVENT_ID]


def _created_at(row: Row) -> str:
    created_at: str = row[row_columns.EVENT_CREATED_AT]
    return created_at


def _chunks(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    return (items[start : start + size] for start in range(0, len(items), size))
