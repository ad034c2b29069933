"""A letter to a person: what it says, and what became of it."""

from enum import StrEnum

import msgspec


class LetterStatus(StrEnum):
    """kept: no mail is set up, the operator reads it. failed: it was refused for good."""

    WAITING = "waiting"
    SENT = "sent"
    KEPT = "kept"
    FAILED = "failed"


class Draft(msgspec.Struct, frozen=True):
    """What a letter says, before it has an address. unsubscribe_url: '' for letters that somebody waits for."""

    kind: str
    subject: str
    body_text: str
    body_html: str
    unsubscribe_url: str = ""


class Letter(msgspec.Struct, frozen=True):
    """A letter as it is kept. account_id: whose it is, None for somebody who has no account.

    sequence_id: the sequence of tips it is one of. attempts: how often it was handed to the mail server.
    """

    id: str
    kind: str
    address: str
    subject: str
    body_text: str
    body_html: str
    created_at_ms: int
    unsubscribe_url: str = ""
    status: LetterStatus = LetterStatus.WAITING
    account_id: str | None = None
    sequence_id: str | None = None
    attempts: int = 0
    message_id: str | None = None
    error: str | None = None
    sent_at_ms: int | None = None
