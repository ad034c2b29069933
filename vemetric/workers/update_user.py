"""The `update-user` queue: what is said of users changes their rows, in the order it was said. The only queue that
changes rows; the jobs of one user are one lane.

What is said of a visitor whom nobody has identified yet is kept for a while, and counts once that happens.
"""

from collections.abc import Sequence

import msgspec

from vemetric.clickhouse.sink import UserKey
from vemetric.clickhouse.user_row import UserRow
from vemetric.ingest import jobs
from vemetric.ingest.jobs import UpdateUserJob
from vemetric.queues.job import Job, KeySet, NewJob, Write
from vemetric.queues.lease import Lease
from vemetric.services import Services
from vemetric.workers import holding, standing_users, user_rows
from vemetric.workers.holding import Question

# Of one visitor: what is more is forgotten. A visitor without cookies is the same for a day.
KEPT_BYTES_MAX = 16_384
KEPT_MS = 24 * 3_600_000

_kept = msgspec.msgpack.Decoder(list[UpdateUserJob])


class UpdateUserWorker:
    """Handles batches of update-user jobs. Doing what one user's jobs say once more comes to the same row."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def handle(self, claimed: Sequence[Job], lease: Lease) -> Write:
        """Change the rows; the returned write passes on, or keeps, what is said of users without one."""
        updates = [jobs.decode_update(job.payload) for job in claimed]

        async def ask() -> set[int]:
            return await self._services.erased.ask(
                (update.project_id, update.user_id, update.updated_ms) for update in updates
            )

        async with self._services.erased.turn:
            erased = await ask()
            holds = holding.may_insert(self._services, lease, ask, erased)
            return await self._done([each for at, each in enumerate(updates) if at not in erased], holds)

    async def _done(self, updates: Sequence[UpdateUserJob], holds: Question) -> Write:
        said: dict[UserKey, list[UpdateUserJob]] = {}
        for update in updates:
            said.setdefault(UserKey(update.project_id, update.user_id), []).append(update)
        rows = await standing_users.rows(self._services, said)
        kept = await self._kept(said)
        write, changed = Write(jobs=[], keys=[]), []
        for key, of_user in said.items():
            row = await self._do(rows.get(key), kept.get(key, []), of_user, write)
            if row is not None:
                changed.append(row)
        await self._services.sink.insert_users(changed, may_insert=holds)
        write.jobs += await self._made_meanwhile([key for key in said if key not in rows], write)
        return write

    async def _made_meanwhile(self, without_row: Sequence[UserKey], write: Write) -> list[NewJob]:
        """Keep what is kept before looking once more: whoever makes a row looks at what is kept after it is made.

        So one of the two sees the other. In the turn, so that an erasure that follows finds it.
        """
        kept = [one for one in write.keys if one.value]
        if not kept:
            return []
        await self._services.keys.set(kept)
        rows = await standing_users.rows(self._services, without_row)
        now_ms = self._services.clock.now_ms()
        return [jobs.update_job(UpdateUserJob(*key, "", now_ms)) for key, row in rows.items() if not row.deleted]

    async def _do(
        self, row: UserRow | None, kept: list[UpdateUserJob], updates: list[UpdateUserJob], write: Write
    ) -> UserRow | None:
        """The row as it becomes, if it changes. What this user's row does not take goes into `write`."""
        key = kept_key(updates[0].project_id, updates[0].user_id)
        meant = [await self._meant(update, row) for update in updates]
        if row is not None and not row.deleted:
            own = [update for update, user_id in zip(updates, meant, strict=True) if user_id == update.user_id]
            write.jobs += [passed_on(*each) for each in zip(updates, meant, strict=True) if each[0] not in own]
            if kept:
                write.keys.append(KeySet(key, b"", 1))
            return user_rows.updated(row, [*kept, *own])
        others = [user_id for update, user_id in zip(updates, meant, strict=True) if user_id != update.user_id]
        if others:
            # The visitor turned out to be a known user; what was said before it did is meant for that one too.
            write.jobs += [passed_on(update, others[0]) for update in (*kept, *updates) if says_something(update)]
            write.keys.append(KeySet(key, b"", 1))
        else:
            # Those of a delivery that was not acknowledged are kept already.
            write.keys += self._keep(key, [*kept, *(update for update in updates if update not in kept)])
        return None

    async def _meant(self, update: UpdateUserJob, row: UserRow | None) -> int:
        """The user who is meant: by the identifier, if there is one and it means anybody."""
        if not update.identifier or (row is not None and row.identifier == update.identifier):
            return update.user_id
        known = await self._services.identities.by_identifier(update.project_id, update.identifier)
        return update.user_id if known is None else known

    async def _kept(self, said: dict[UserKey, list[UpdateUserJob]]) -> dict[UserKey, list[UpdateUserJob]]:
        names = {kept_key(*key): key for key in said}
        found = await self._services.keys.get_many(list(names))
        return {names[name]: _kept.decode(value) for name, value in found.items()}

    def _keep(self, key: str, updates: Sequence[UpdateUserJob]) -> list[KeySet]:
        value = msgspec.msgpack.encode(kept := [update for update in updates if says_something(update)])
        fits = kept and len(value) <= KEPT_BYTES_MAX
        return [KeySet(key, value, self._services.clock.now_ms() + KEPT_MS)] if fits else []


def passed_on(update: UpdateUserJob, user_id: int) -> NewJob:
    """The same, said of the user who is meant."""
    return jobs.update_job(msgspec.structs.replace(update, user_id=user_id, identifier=""))


def says_something(update: UpdateUserJob) -> bool:
    """Whether there is anything in it but whom it is about."""
    return not (update.display_name is None and update.avatar_url is None and update.data is None)


def kept_prefix(project_id: int) -> str:
    return f"said:{project_id}:"


def kept_key(project_id: int, user_id: int) -> str:
    return f"{kept_prefix(project_id)}{user_id}"
