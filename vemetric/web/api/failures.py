"""What the API answers when it cannot do what was asked: a status, a code that programs go by, words for people."""

from collections.abc import Sequence
from enum import StrEnum

import msgspec
from msgspec import UNSET, UnsetType


class Code(StrEnum):
    """What programs tell failures apart by."""

    VALIDATION = "VALIDATION_ERROR"
    HTTP = "HTTP_ERROR"
    UNAUTHORIZED = "UNAUTHORIZED"
    SCOPE = "INSUFFICIENT_SCOPE"
    PLAN = "PLAN_LIMIT_EXCEEDED"
    NOT_FOUND = "NOT_FOUND"
    USER_NOT_FOUND = "USER_NOT_FOUND"
    FUNNEL_NOT_FOUND = "FUNNEL_NOT_FOUND"
    RATE_LIMIT = "RATE_LIMIT_EXCEEDED"
    INTERNAL = "INTERNAL_ERROR"
    UNAVAILABLE = "UNAVAILABLE"


class Detail(msgspec.Struct, frozen=True):
    """What is wrong with one field, named by its path: filters.0.operator; '' is the whole body."""

    field: str
    message: str


class Failure(msgspec.Struct, frozen=True):
    """A failure; details only where something sent is not valid."""

    code: Code
    message: str
    details: Sequence[Detail] | UnsetType = UNSET


class Body(msgspec.Struct, frozen=True):
    """The body of every answer that is no success."""

    error: Failure


class Refused(Exception):
    """The request goes no further."""

    def __init__(
        self,
        status: int,
        code: Code,
        message: str,
        details: Sequence[Detail] | UnsetType = UNSET,
        retry_seconds: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        # The document promises details with every 400.
        told: Sequence[Detail] | UnsetType = () if status == 400 and isinstance(details, UnsetType) else details
        self.body = Body(Failure(code, message, told))
        self.retry_seconds = retry_seconds


def invalid(details: Sequence[Detail]) -> Refused:
    """Something that was sent is not as the schema says, or does not go together."""
    return Refused(400, Code.VALIDATION, "The request is not valid; the details say where.", details)


def invalid_at(field: str, message: str) -> Refused:
    """One field is not valid."""
    return invalid([Detail(field, message)])


class BrokenOff(Exception):
    """An answer that had begun cannot be brought to its end."""
