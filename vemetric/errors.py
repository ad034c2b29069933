"""Every error the product raises on purpose. Doors turn them into answers; nothing below a door does.

VemetricError
├── Invalid          400  bad input of a person or a program; `fields` says which and why
├── Unauthorized     401  not signed in, or a token that is unknown
├── Forbidden        403  signed in, but not allowed
├── NotFound         404  no such thing, or none that this account may see
├── Conflict         409  the name is taken, the step was already done
├── TooManyRequests  429  a rate limit; `retry_after_seconds` says when to come back
├── Unavailable      503  a store is down, full or busy; the same request may work later
│   └── QueueFull         the queue's bound is reached
├── LeaseLost             a worker's lease ran out before it finished; the job is someone else's now
├── Misconfigured         a setting stops the start; the message names variable, value and what is allowed
│   └── InUse                 another process owns the data directory
└── StoreError            an analytics statement failed
    ├── StoreBusy         may work when tried again: timeout, memory, connection
    └── RowRejected       the engine refused the data itself; trying again cannot help
"""

from collections.abc import Mapping


class VemetricError(Exception):
    """Something went wrong."""

    status = 500

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").strip())

    @property
    def message(self) -> str:
        return str(self.args[0])


class Invalid(VemetricError):
    """The input is not valid."""

    status = 400

    def __init__(self, message: str | None = None, fields: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.fields = dict(fields or {})


class Unauthorized(VemetricError):
    """Please sign in."""

    status = 401


class Forbidden(VemetricError):
    """You are not allowed to do this."""

    status = 403


class NotFound(VemetricError):
    """There is nothing here."""

    status = 404


class Conflict(VemetricError):
    """This is already taken or already done."""

    status = 409


class TooManyRequests(VemetricError):
    """Too many requests; please wait a moment."""

    status = 429

    def __init__(self, message: str | None = None, retry_after_seconds: int = 60) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class Unavailable(VemetricError):
    """A store is not available right now."""

    status = 503


class QueueFull(Unavailable):
    """The queue is full."""


class LeaseLost(VemetricError):
    """The lease on these jobs ran out."""


class Misconfigured(VemetricError):
    """A setting is wrong."""


class InUse(Misconfigured):
    """Another process owns the data directory."""


class StoreError(VemetricError):
    """An analytics statement failed."""


class StoreBusy(StoreError):
    """The analytics store could not do this right now."""


class RowRejected(StoreError):
    """The analytics store refused the data."""
