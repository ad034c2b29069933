"""A key to the API of one project. What it opens with is shown once; its hash is all that is kept."""

from enum import StrEnum

import msgspec


class Scope(StrEnum):
    """What a key is for: READ opens all figures and users, WRITE takes events and tells nothing."""

    READ = "read"
    WRITE = "write"


class ApiKey(msgspec.Struct, frozen=True):
    """prefix: the beginning of the key, by which people know it. The names are those of accounts, '' when gone."""

    id: str
    project_id: int
    name: str
    prefix: str
    created_at_ms: int
    created_by: str = ""
    revoked_at_ms: int | None = None
    revoked_by: str = ""
    last_used_at_ms: int | None = None
    scope: Scope = Scope.READ
