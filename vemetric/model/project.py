"""A project: one tracked site or app."""

import msgspec


class Project(msgspec.Struct, frozen=True):
    """`id` is an unsigned 64-bit SipHash of random text; `token` is public; `domain` is a host name without `www.`."""

    id: int
    organization_id: str
    name: str
    domain: str
    token: str
    time_zone: str = "UTC"
    public_dashboard: bool = False
    excluded_ips: tuple[str, ...] = ()
    excluded_countries: tuple[str, ...] = ()
    first_event_at_ms: int | None = None
    created_at_ms: int = 0
