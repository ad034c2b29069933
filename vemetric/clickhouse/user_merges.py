"""The steps of a merge of users in the store, each repeatable. Run by workers/merge_user.py; texts: user_merge_sql.py.

A plan: copy the old users' rows under the new ones, hidden; switch, by one insert; take the old rows back. `mergeId`
marks the copies. Whatever is killed before the switch is discarded, whatever after it is finished.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from vemetric.clickhouse import user_merge_sql as sql
from vemetric.clickhouse.engine import Engine
from vemetric.clickhouse.rows import SessionRow, milliseconds, timestamp
from vemetric.clickhouse.user_merge_sql import COPIES, FROM, NAMED, PLAN_COLUMNS, READER_FILTERS, SESSION

EVENTS_PER_PAGE = 200_000
SESSIONS_PER_PAGE = 2_000


class Target(NamedTuple):
    """Whom a user is merged into, what happened before `until_ms`; identifier and display_name: '' when not known."""

    user_id: int
    until_ms: int
    identifier: str
    display_name: str


class Replaced(NamedTuple):
    """A visit's row that its copy stands for. at: where the copy starts, or when the old user ended, as text."""

    row: SessionRow
    at: str


class Plan(msgspec.Struct):
    """What one merge writes. users: by old user id. moved: the new session id by (old user id, session id).

    named: those of the old users who have a name: whatever becomes of their history, readers see their rows.
    """

    merge_id: int
    project_id: int
    users: dict[int, Target]
    moved: dict[tuple[int, str], str]
    copies: list[SessionRow]
    replaced: list[Replaced]
    events: int
    first_ms: int
    last_ms: int
    named: Collection[int] = ()

    @property
    def is_empty(self) -> bool:
        return not (self.events or self.replaced or self.copies)

    @property
    def parameters(self) -> dict[str, Any]:
        return {
            "project": self.project_id,
            "merge": self.merge_id,
            "froms": list(self.users),
            "intos": [target.user_id for target in self.users.values()],
            "untils": [target.until_ms for target in self.users.values()],
            "identifiers": [target.identifier for target in self.users.values()],
            "names": [target.display_name for target in self.users.values()],
            "old": [f"{user_id}:{session_id}" for user_id, session_id in self.moved],
            "new": list(self.moved.values()),
            "first": self.first_ms,
            "last": self.last_ms,
        }


class Unfinished(NamedTuple):
    """A plan that was killed. is_switched: readers see it done, so it must be. users: into whom, by old user id.
    sessions: (user, id, row's merge, start, end of the row that stays behind). The times are those of the events.
    """

    merge_id: int
    project_id: int
    first_ms: int
    last_ms: int
    users: dict[int, int]
    sessions: list[tuple[int, str, int, str, str]]
    is_switched: bool

    @property
    def parameters(self) -> dict[str, Any]:
        return {
            "project": self.project_id,
            "merge": self.merge_id,
            "froms": list(self.users),
            "intos": sorted(set(self.users.values())),
            "first": self.first_ms,
            "last": self.last_ms,
        }


# Called with the name of each step right before it; raises LeaseLost to stop.
Step = Callable[[str], None]
InsertSessions = Callable[[Sequence[SessionRow]], Awaitable[None]]


class UserMerges:
    """The store's side of merging users. `step` is called before every statement that writes."""

    def __init__(self, engine: Engine, insert_sessions: InsertSessions, step: Step) -> None:
        self._engine = engine
        self._insert_sessions = insert_sessions
        self._step = step

    async def events(self, project_id: int, users: Sequence[int]) -> AsyncIterator[tuple[int, str, int]]:
        """User, session and time (ms) of all their events, by user and time."""
        within = await self._span(sql.EVENTS_SPAN, {"project": project_id, "users": users, "limit": EVENTS_PER_PAGE})
        after: tuple[int, int, str] = (0, 0, "")
        while True:
            page = await self._engine.lookup(
                sql.EVENTS,
                within | dict(zip(("user", "at", "id"), after, strict=True)),
            )
            for user_id, session_id, at_ms, _ in page:
                yield user_id, session_id, at_ms
            if len(page) < EVENTS_PER_PAGE:
                return
            after = (page[-1][0], page[-1][2], page[-1][3])

    async def sessions(self, project_id: int, users: Sequence[int]) -> list[SessionRow]:
        """The visits of the users, by start."""
        within = await self._span(sql.SESSIONS_SPAN, {"project": project_id, "users": users})
        return await self._sessions(sql.SESSIONS, within)

    async def sessions_near(
        self, project_id: int, users: Sequence[int], since_ms: int, until_ms: int, session_ids: Sequence[str]
    ) -> list[SessionRow]:
        """The visits of the users that touch a time, and those with these ids, by start."""
        asked = {"project": project_id, "users": users, "since": since_ms, "until": until_ms, "ids": session_ids}
        return await self._sessions(sql.SESSIONS_NEAR, await self._span(sql.SESSIONS_NEAR_SPAN, asked))

    async def sessions_with_events(
        self, project_id: int, users: Sequence[int], session_ids: Sequence[str]
    ) -> dict[str, list[int]]:
        """Those of the sessions in which the users have events, with the times in ms of the first and the last."""
        found = await self._engine.lookup(
            sql.SESSIONS_WITH_EVENTS, {"project": project_id, "users": users, "ids": session_ids}
        )
        return {session_id: times for session_id, *times in found}

    async def has_leftovers(self, project_id: int, users: Collection[int], named: Collection[int]) -> bool:
        """Whether there is anything of the users but events and visits that `finish` would take back.

        named: as there.
        """
        gone = await self._gone(project_id, users, named)
        if not gone:
            return False
        [[count]] = await self._engine.lookup(sql.LEFTOVERS, {"project": project_id, "users": gone})
        return bool(count)

    async def copy(self, plan: Plan) -> bool:
        """Write the plan and all copies, hidden from readers; False if events came meanwhile that it does not know."""
        self._step("plan")
        await self._engine.insert("user_merge", PLAN_COLUMNS, _plan_rows(plan, is_switched=False))
        self._step("copy-events")
        await self._engine.command(sql.COPY_EVENTS, plan.parameters)
        [[copied]] = await self._engine.lookup(sql.COUNT_COPIES, plan.parameters)
        if copied != plan.events:
            return False
        self._step("copy-sessions")
        await self._insert_sessions(plan.copies)
        self._step("copy-devices")
        await self._engine.command(sql.COPY_DEVICES, plan.parameters)
        return True

    async def switch(self, plan: Plan) -> None:
        """Let readers see the copies and no longer what was copied: one insert into one partition."""
        self._step("switch")
        await self._engine.insert("user_merge", PLAN_COLUMNS, _plan_rows(plan, is_switched=True))

    async def unfinished(self) -> list[Unfinished]:
        """The plans that are neither finished nor discarded."""
        rows = await self._engine.lookup(sql.UNFINISHED)
        by_merge: defaultdict[int, list[list[Any]]] = defaultdict(list)
        for row in rows:
            by_merge[row[0]].append(row)
        return [_unfinished(merge_id, of_merge) for merge_id, of_merge in by_merge.items()]

    async def discard(self, plan: Unfinished) -> None:
        """Take the copies of a plan back that was never switched."""
        self._step("discard-events")
        await self._engine.command(sql.DISCARD_EVENTS, plan.parameters)
        self._step("discard-sessions")
        await self._engine.command(sql.DISCARD_SESSIONS, plan.parameters)
        await self._drop(plan)

    async def finish(self, plan: Unfinished, named: Collection[int]) -> None:
        """Take the old rows back that the copies stand for.

        named: those of the old users who have been identified since: they stay, whatever became of their history.
        """
        self._step("take-events-back")
        await self._engine.command(sql.TAKE_EVENTS_BACK, plan.parameters)
        for start in range(0, len(plan.sessions), SESSIONS_PER_PAGE):
            rows = await self._replaced(plan, plan.sessions[start : start + SESSIONS_PER_PAGE])
            self._step("take-sessions-back")
            await self._insert_sessions(rows)
        gone = await self._gone(plan.project_id, plan.users, named)
        if gone:
            of_gone = plan.parameters | {"froms": gone}
            self._step("take-devices-back")
            await self._engine.command(sql.TAKE_DEVICES_BACK, of_gone)
            self._step("take-users-back")
            await self._engine.command(sql.TAKE_USERS_BACK, of_gone)
        await self._drop(plan)

    async def _gone(self, project_id: int, users: Collection[int], named: Collection[int]) -> list[int]:
        """Those of the users who have no events any more and no name."""
        staying = await self._engine.lookup(sql.STAYING, {"project": project_id, "froms": sorted(users)})
        return sorted({*users} - {user_id for (user_id,) in staying} - {*named})

    async def _drop(self, plan: Unfinished) -> None:
        self._step("forget-plan")
        await self._engine.command(f"ALTER TABLE user_merge DROP PARTITION {plan.merge_id:d}")

    async def _span(self, statement: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """The parameters with the times between which the rows lie, as far as a quick look can tell."""
        [[first_ms, last_ms]] = await self._engine.lookup(statement, parameters)
        return parameters | {"first": first_ms, "last": last_ms}

    async def _sessions(self, statement: str, parameters: dict[str, Any]) -> list[SessionRow]:
        return [SessionRow.from_list(values) for values in await self._engine.lookup(statement, parameters)]

    async def _replaced(self, plan: Unfinished, sessions: Iterable[tuple[int, str, int, str, str]]) -> list[SessionRow]:
        """The rows that end these visits' old rows, and those of copies that must become longer.

        A visit may have gone on while the plan lay killed; then its copy does too.
        """
        ended = {session[:4]: session[4] for session in sessions}
        found = await self._sessions(
            sql.SESSIONS_BY_ID,
            {
                "project": plan.project_id,
                "users": sorted({*plan.users, *plan.users.values()}),
                "ids": sorted({session_id for _, session_id, *_ in ended}),
                # A copy starts when the old row does, or earlier: where that row is going to end.
                "first": min(min(milliseconds(started), milliseconds(at)) for (*_, started), at in ended.items()),
                "last": max(milliseconds(started) for *_, started in ended),
            },
        )
        copies = {(row.userId, row.id): row for row in found if row.mergeId == plan.merge_id}
        changed = []
        for row in found:
            at = ended.get((row.userId, row.id, row.mergeId, row.startedAt))
            if at is None:
                continue
            copy = copies.get((plan.users.get(row.userId, row.userId), row.id))
            if copy is not None and row.endedAt > copy.endedAt:
                changed.append(_ending(copy, row.endedAt))
            changed.append(msgspec.structs.replace(row, deleted=1, endedAt=at, version=row.version + 1))
        return changed


async def prepare_readers(engine: Engine, *, always: bool) -> None:
    """Have readers leave out what a killed merge has hidden, before anybody reads; always where others may merge."""
    if always or await engine.lookup("SELECT 1 FROM user_merge LIMIT 1"):
        engine.leave_out(READER_FILTERS)


def unfinished_of(plan: Plan) -> Unfinished:
    """A plan as it is found again after a kill."""
    return _unfinished(plan.merge_id, _plan_rows(plan, is_switched=True))


def _ending(row: SessionRow, ended_at: str) -> SessionRow:
    seconds = (milliseconds(ended_at) - milliseconds(row.startedAt) + 500) // 1000
    return msgspec.structs.replace(row, endedAt=ended_at, duration=seconds, version=row.version + 1)


def _plan_rows(plan: Plan, *, is_switched: bool) -> list[list[Any]]:
    hidden, version = (1, 2) if is_switched else (0, 1)
    never = timestamp(0)

    def row(step: str, is_hidden: int, *of_step: Any) -> list[Any]:
        return [plan.merge_id, step, plan.project_id, *of_step, is_hidden, version]

    return [
        row(COPIES, 1 - hidden, 0, "", 0, timestamp(plan.first_ms), timestamp(plan.last_ms)),
        *(
            row(
                FROM,
                hidden,
                user_id,
                NAMED if user_id in plan.named else "",
                target.user_id,
                never,
                timestamp(target.until_ms),
            )
            for user_id, target in plan.users.items()
        ),
        *(row(SESSION, hidden, old.userId, old.id, old.mergeId, old.startedAt, at) for old, at in plan.replaced),
    ]


def _unfinished(merge_id: int, rows: Iterable[Sequence[Any]]) -> Unfinished:
    by_step: defaultdict[str, list[Sequence[Any]]] = defaultdict(list)
    for row in rows:
        by_step[row[1]].append(row)
    [copies] = by_step[COPIES]
    return Unfinished(
        merge_id,
        copies[2],
        milliseconds(copies[6]),
        milliseconds(copies[7]),
        {row[3]: row[5] for row in by_step[FROM]},
        [(row[3], row[4], row[5], row[6], row[7]) for row in by_step[SESSION]],
        is_switched=not copies[8],
    )
