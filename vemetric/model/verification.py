"""A code or link that was mailed to somebody."""

from enum import StrEnum

import msgspec


class Purpose(StrEnum):
    """What the code or link is for."""

    SIGN_UP = "sign-up"
    NEW_ADDRESS = "new-address"
    PASSWORD = "password"  # noqa: S105 - the name of a purpose


class Verification(msgspec.Struct, frozen=True):
    """email: where it was sent. attempts: how often its code was tried."""

    id: str
    purpose: Purpose
    account_id: str
    email: str
    token_hash: str
    code_hash: str | None
    attempts: int
    created_at_ms: int
    expires_at_ms: int
