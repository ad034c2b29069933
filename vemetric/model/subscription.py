"""What an organization has bought, where billing is on."""

import msgspec

# Of Paddle's states those in which the plan holds.
HOLDING = ("active", "trialing", "past_due")


class Subscription(msgspec.Struct, frozen=True):
    """ends_at_ms: when a cancelled one ends. told_at_ms: when Paddle said this."""

    organization_id: str
    subscription_id: str
    customer_id: str
    price_id: str
    status: str
    next_billed_at_ms: int | None
    ends_at_ms: int | None
    told_at_ms: int

    @property
    def holds(self) -> bool:
        """Whether its plan is in force."""
        return self.status in HOLDING
