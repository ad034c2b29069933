"""How often a project's keys may ask: so many requests in a fixed minute, counted where all processes see it."""

from typing import NamedTuple

from vemetric.clock import Clock
from vemetric.model.api_key import ApiKey, Scope
from vemetric.queues.keys import Keys

WINDOW_SECONDS = 60
KEY_PREFIX = "ratelimit:api:"


class Rate(NamedTuple):
    """Where a project stands. ends_ms: when its minute is over."""

    limit: int
    counted: int
    ends_ms: int
    now_ms: int

    @property
    def is_over(self) -> bool:
        return self.counted > self.limit

    @property
    def retry_seconds(self) -> int:
        """Whole seconds until the minute is over, one at least."""
        return max(1, -(-(self.ends_ms - self.now_ms) // 1000))

    def headers(self) -> dict[str, str]:
        """What every answer says of it."""
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(max(0, self.limit - self.counted)),
            "X-RateLimit-Reset": str(-(-self.ends_ms // 1000)),
        }


async def count(keys: Keys, clock: Clock, key: ApiKey, limit: int) -> Rate:
    """Count a request of a project, refused ones too. Raises Unavailable: nobody passes uncounted."""
    now_ms = clock.now_ms()
    # Whoever sends events shall not use up what others read with.
    name = f"{KEY_PREFIX}{key.project_id}" + (f":{key.scope}" if key.scope is not Scope.READ else "")
    counted, ends_ms = await keys.count_up(name, now_ms + WINDOW_SECONDS * 1000)
    return Rate(limit, counted, ends_ms, now_ms)
