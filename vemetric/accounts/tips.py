"""Letters with tips: who has no project or no event after a while is helped, each step once, until the goal is reached.

What is due is looked up every hour and left to the `email` queue, so that a restart or a full queue loses none.
"""

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from vemetric.accounts import errands
from vemetric.accounts.post import Post
from vemetric.clock import Clock
from vemetric.database import accounts as stored_accounts
from vemetric.database import mail_sequences
from vemetric.database import projects as stored_projects
from vemetric.database.database import Connection, Database
from vemetric.mail import letters
from vemetric.mail.letters import Words
from vemetric.model import ids
from vemetric.model.account import Account
from vemetric.model.project import Project
from vemetric.model.sequence import Sequence, SequenceKind, SequenceStatus
from vemetric.queues.job import NewJob, Write
from vemetric.queues.queue import Queue

ID_LENGTH = 16
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
# What happened longer ago is nobody's question any more, after an upgrade or a long stop.
WINDOW_DAYS = 14
DUE_AT_ONCE_MAX = 500

# Of whom a letter is, and about which project; None: the goal is reached, or there is nobody to write to.
Case = tuple[Account, Project | None] | None


class Step(NamedTuple):
    """A letter, so many hours after what it follows."""

    hours: int
    words: Callable[[Post, Account, Project | None], Words]


def _of_project(make: Callable[[str, str, str], Words]) -> Callable[[Post, Account, Project | None], Words]:
    def words(post: Post, account: Account, project: Project | None) -> Words:
        if project is None:
            raise ValueError("this letter is about a project")
        return make(account.name, project.name, f"{post.url}/p/{project.id}")

    return words


def _of_account(make: Callable[[str, str], Words]) -> Callable[[Post, Account, Project | None], Words]:
    return lambda post, account, _: make(account.name, post.url)


STEPS: dict[SequenceKind, tuple[Step, ...]] = {
    SequenceKind.NO_PROJECT: (
        Step(24, _of_account(letters.no_project_yet)),
        Step(72, _of_account(letters.no_project_still)),
    ),
    SequenceKind.NO_EVENTS: (
        Step(48, _of_project(letters.no_events_yet)),
        Step(72, _of_project(letters.no_events_still)),
    ),
    SequenceKind.FIRST_EVENT_FEEDBACK: (Step(168, _of_project(letters.first_event_feedback)),),
}


class Tips:
    """Finds what is due, and writes it."""

    def __init__(self, database: Database, queue: Queue, clock: Clock, post: Post, is_wanted: bool) -> None:
        self._database = database
        self._queue = queue
        self._clock = clock
        self._post = post
        self._is_wanted = is_wanted

    async def put_due(self) -> None:
        """Leave every letter that is due to the queue; none where mail is not set up."""
        if not (self._is_wanted and self._post.is_set_up):
            return
        async with self._database.connect() as connection:
            due = [tip for kind in STEPS for tip in await self._due(connection, kind)]
        jobs = [NewJob(errands.QUEUE, errands.encode(tip), key=f"{tip.kind}:{tip.subject}:{tip.step}") for tip in due]
        await self._queue.put(Write(jobs))

    async def _due(self, connection: Connection, kind: SequenceKind) -> list[errands.Tip]:
        now_ms, steps = self._clock.now_ms(), STEPS[kind]
        until_ms = now_ms - steps[0].hours * HOUR_MS
        since_ms = until_ms - WINDOW_DAYS * DAY_MS
        subjects: list[str]
        if kind is SequenceKind.NO_PROJECT:
            subjects = await mail_sequences.accounts_without_project(connection, since_ms, until_ms, DUE_AT_ONCE_MAX)
        else:
            find = (
                mail_sequences.projects_without_events
                if kind is SequenceKind.NO_EVENTS
                else mail_sequences.projects_begun
            )
            subjects = [str(found) for found in await find(connection, since_ms, until_ms, DUE_AT_ONCE_MAX)]
        due = [errands.Tip(kind, subject, 0) for subject in subjects]
        for number, step in enumerate(steps[1:], start=1):
            before_ms = now_ms - step.hours * HOUR_MS
            waiting = await mail_sequences.due(connection, kind, number, before_ms, DUE_AT_ONCE_MAX)
            due += [errands.Tip(kind, sequence.subject, number) for sequence in waiting]
        return due

    async def write(self, tip: errands.Tip) -> None:
        """Write a letter that is due, and note in the same transaction that it was; harmless when repeated."""
        kind = SequenceKind(tip.kind)
        async with self._database.begin() as connection:
            case = await self._case(connection, kind, tip.subject)
            sequence = await self._sequence(connection, kind, tip.subject, case)
            if sequence is None or sequence.step != tip.step or sequence.status is not SequenceStatus.ACTIVE:
                return
            now_ms = self._clock.now_ms()
            if case is None:
                await mail_sequences.store(connection, _completed(sequence, now_ms))
                return
            account, project = case
            step = msgspec.structs.replace(sequence, step=sequence.step + 1, last_sent_at_ms=now_ms)
            is_last = step.step == len(STEPS[kind])
            await mail_sequences.store(connection, _completed(step, now_ms) if is_last else step)
            words = STEPS[kind][tip.step].words(self._post, account, project)
            letter = await self._post.write(connection, words, account.email, account.id, sequence.id)
        await self._post.dispatch(letter)

    async def _case(self, connection: Connection, kind: SequenceKind, subject: str) -> Case:
        if kind is SequenceKind.NO_PROJECT:
            account = await stored_accounts.by_id(connection, subject)
            is_over = account is None or not account.receives_tips
            if account is None or is_over or await stored_projects.of_account(connection, account.id):
                return None
            return account, None
        project = await stored_projects.by_id(connection, int(subject))
        admin = await mail_sequences.first_admin(connection, project.organization_id) if project else None
        if project is None or admin is None:
            return None
        if kind is SequenceKind.NO_EVENTS:
            theirs = await stored_projects.of_account(connection, admin.id)
            if project.first_event_at_ms is not None or any(one.first_event_at_ms is not None for one in theirs):
                return None
        return admin, project

    async def _sequence(self, connection: Connection, kind: SequenceKind, subject: str, case: Case) -> Sequence | None:
        """The sequence; a new one for a subject that has none. Nothing for a subject that is gone.

        The question how it goes is asked once per person, whichever project began.
        """
        account_id, project_id = (subject, None) if kind is SequenceKind.NO_PROJECT else (None, int(subject))
        if kind is SequenceKind.FIRST_EVENT_FEEDBACK:
            if case is None:
                return None
            account_id, project_id = case[0].id, None
        found = await mail_sequences.of_subject(connection, kind, account_id, project_id)
        if found is not None:
            return found
        gone = (
            await stored_accounts.by_id(connection, account_id) is None
            if account_id is not None
            else await stored_projects.by_id(connection, int(subject)) is None
        )
        return None if gone else Sequence(ids.random_id(ID_LENGTH), kind, account_id, project_id)


def _completed(sequence: Sequence, now_ms: int) -> Sequence:
    return msgspec.structs.replace(sequence, status=SequenceStatus.COMPLETED, completed_at_ms=now_ms)
