"""An organization owns projects; memberships say who may see and change them, invitations who may come in."""

from enum import StrEnum

import msgspec


class Role(StrEnum):
    """What a member may do: an admin everything in the organization, a member see its projects."""

    ADMIN = "admin"
    MEMBER = "member"


class Organization(msgspec.Struct, frozen=True):
    """`id` is 16 random characters. events_per_month_max: above it a warning is shown; None: there is no limit."""

    id: str
    name: str
    created_at_ms: int
    events_per_month_max: int | None = None


class Membership(msgspec.Struct, frozen=True):
    """An account in an organization."""

    account_id: str
    organization_id: str
    role: Role


class Member(msgspec.Struct, frozen=True):
    """A membership with the person. project_ids: the only projects a member may see; None: all of them."""

    account_id: str
    name: str
    email: str
    role: Role
    joined_at_ms: int
    project_ids: tuple[int, ...] | None = None


class Invitation(msgspec.Struct, frozen=True):
    """A link that lets one person in. project_ids as in Member; email: whom it was mailed to, if it was.

    created_by: the name of who made it, '' when that account is gone.
    """

    token: str
    organization_id: str
    role: Role
    created_at_ms: int
    created_by: str = ""
    email: str | None = None
    project_ids: tuple[int, ...] | None = None
