"""A project: one tracked site or app."""

import msgspec

# No site can have it: the demo's project is known by it.
DEMO_DOMAIN = "tea-shop.example"


class Project(msgspec.Struct, frozen=True):
    """`id` is an unsigned 64-bit SipHash of random text; `token` is public; `domain` is a host name without `www.`.

    excluded_ips: addresses and networks (`192.0.2.0/24`). excluded_paths, excluded_hosts: patterns in which `*` stands
    for any text. public_indexed: whether search engines may list the public dashboard.
    events_prevent_bounce: whether a visit with a custom event is no bounce, however few pages it has.
    retention_days: how long its rows are kept, 0 for ever; None: as long as the server is set to.
    """

    id: int
    organization_id: str
    name: str
    domain: str
    token: str
    time_zone: str = "UTC"
    public_dashboard: bool = False
    public_indexed: bool = False
    events_prevent_bounce: bool = False
    retention_days: int | None = None
    excluded_ips: tuple[str, ...] = ()
    excluded_countries: tuple[str, ...] = ()
    excluded_paths: tuple[str, ...] = ()
    excluded_hosts: tuple[str, ...] = ()
    first_event_at_ms: int | None = None
    created_at_ms: int = 0

    @property
    def is_demo(self) -> bool:
        """Whether what it counts is made up."""
        return self.domain == DEMO_DOMAIN
