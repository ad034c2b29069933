"""A sequence of tips: letters that follow one another until their goal is reached."""

from enum import StrEnum

import msgspec


class SequenceKind(StrEnum):
    """What the letters are about."""

    NO_PROJECT = "no-project"
    NO_EVENTS = "no-events"
    FIRST_EVENT_FEEDBACK = "first-event-feedback"


class SequenceStatus(StrEnum):
    """completed: every letter was written, or the goal was reached before."""

    ACTIVE = "active"
    COMPLETED = "completed"


class Sequence(msgspec.Struct, frozen=True):
    """step: how many letters were written. It is about an account or about a project, never both."""

    id: str
    kind: SequenceKind
    account_id: str | None
    project_id: int | None
    step: int = 0
    status: SequenceStatus = SequenceStatus.ACTIVE
    last_sent_at_ms: int | None = None
    completed_at_ms: int | None = None

    @property
    def subject(self) -> str:
        """The id of what it is about."""
        return self.account_id or str(self.project_id)
