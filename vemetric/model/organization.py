"""An organization owns projects; memberships say who may see and change them."""

from enum import StrEnum

import msgspec


class Role(StrEnum):
    """What a member may do: an admin everything in the organization, a member see its projects."""

    ADMIN = "admin"
    MEMBER = "member"


class Organization(msgspec.Struct, frozen=True):
    """`id` is 16 random characters."""

    id: str
    name: str
    created_at_ms: int


class Membership(msgspec.Struct, frozen=True):
    """An account in an organization."""

    account_id: str
    organization_id: str
    role: Role
