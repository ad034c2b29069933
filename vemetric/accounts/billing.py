"""Billing by Paddle, off unless a setting names the secret of its notices: who has bought what, and the plan's limit.

Paddle's own pages do the selling: a checkout carries the organization's id as `organizationId` in its custom data.
"""

import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec

from vemetric import errors
from vemetric.accounts import organizations
from vemetric.accounts.post import Post
from vemetric.clock import Clock
from vemetric.database import organizations as stored_organizations
from vemetric.database import subscriptions
from vemetric.database.database import Connection, Database
from vemetric.mail import letters
from vemetric.model.letter import Letter
from vemetric.model.subscription import Subscription

SIGNATURE_HEADER = "Paddle-Signature"
# A notice that is older, or from the future, is somebody's recording.
NOTICE_SECONDS_MAX = 300
SUBSCRIPTION_EVENTS = "subscription."
ID_LENGTH_MAX = 64
# Seconds since 1970 have ten digits for the next centuries.
STAMP_DIGITS_MAX = 12
# Of two notices at once each is written whole: the one that looked first must not write last.
LOCK = "subscriptions"
# Nothing is billed outside of these.
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)

Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class Price(msgspec.Struct, frozen=True):
    """What was bought."""

    id: str = ""


class Item(msgspec.Struct, frozen=True):
    """A line of a subscription."""

    price: Price = Price()


class Change(msgspec.Struct, frozen=True):
    """A change that is planned."""

    action: str = ""
    effective_at: Moment | None = None


class Data(msgspec.Struct, frozen=True):
    """A subscription as Paddle has it."""

    id: str = ""
    status: str = ""
    customer_id: str = ""
    custom_data: Mapping[str, Any] | None = None
    items: list[Item] = []
    next_billed_at: Moment | None = None
    scheduled_change: Change | None = None


class Notice(msgspec.Struct, frozen=True):
    """What Paddle tells."""

    event_type: str
    occurred_at: Moment
    data: Data


def check(secret: str, header: str, body: bytes, clock: Clock) -> None:
    """Make sure that a notice is Paddle's and of now: `ts=...;h1=...` signs time and body. Raises Unauthorized."""
    parts = [part.strip().partition("=") for part in header.split(";")]
    stamps = [value for name, _, value in parts if name == "ts"]
    if len(stamps) != 1 or not (stamps[0].isascii() and stamps[0].isdigit() and len(stamps[0]) <= STAMP_DIGITS_MAX):
        raise errors.Unauthorized("This notice is not signed.")
    if abs(clock.now_ms() // 1000 - int(stamps[0])) > NOTICE_SECONDS_MAX:
        raise errors.Unauthorized("This notice is not of now.")
    wanted = hmac.digest(secret.encode(), f"{stamps[0]}:".encode() + body, "sha256").hex()
    signatures = [value.encode("utf-8", "surrogatepass") for name, _, value in parts if name == "h1"]
    # Every one is compared: there are two while a secret is being replaced.
    if sum(hmac.compare_digest(wanted.encode(), signature) for signature in signatures) == 0:
        raise errors.Unauthorized("This notice is not signed by Paddle.")


async def take(database: Database, post: Post, plans: Mapping[str, int], body: bytes) -> None:
    """Note what a notice says of a subscription. One that came late or twice changes nothing. Raises Invalid."""
    try:
        notice = msgspec.json.decode(body, type=Notice)
    except msgspec.DecodeError as error:
        raise errors.Invalid(f"This is no notice: {error}.") from error
    if not notice.event_type.startswith(SUBSCRIPTION_EVENTS) or not 0 < len(notice.data.id) <= ID_LENGTH_MAX:
        return
    told: list[Letter] = []
    async with database.begin() as connection:
        await connection.lock(LOCK)
        before = await subscriptions.by_id(connection, notice.data.id)
        now = _subscription(notice, before)
        if now is None or (before is not None and now.told_at_ms <= before.told_at_ms):
            return
        await organizations.lock(connection, now.organization_id)
        other = await subscriptions.of_organization(connection, now.organization_id)
        organization = await stored_organizations.by_id(connection, now.organization_id)
        # A second subscription takes the place of one that ended, never of one that holds.
        if organization is None or (other is not None and other.subscription_id != now.subscription_id and other.holds):
            return
        await subscriptions.store(connection, now)
        limit = plans.get(now.price_id) if now.holds else None
        await stored_organizations.update(connection, msgspec.structs.replace(organization, events_per_month_max=limit))
        told = await _write(connection, post, organization.name, before, now)
    for letter in told:
        await post.dispatch(letter)


async def of_organization(database: Database, organization_id: str) -> Subscription | None:
    """The organization's subscription."""
    async with database.connect() as connection:
        return await subscriptions.of_organization(connection, organization_id)


def _subscription(notice: Notice, before: Subscription | None) -> Subscription | None:
    """What the notice says; None where it names no organization."""
    data, change = notice.data, notice.data.scheduled_change
    named = (data.custom_data or {}).get("organizationId")
    organization_id = before.organization_id if before is not None else named
    if not isinstance(organization_id, str):
        return None
    ends_at = change.effective_at if change is not None and change.action == "cancel" else None
    return Subscription(
        organization_id=organization_id,
        subscription_id=data.id,
        customer_id=data.customer_id[:ID_LENGTH_MAX],
        price_id=data.items[0].price.id[:ID_LENGTH_MAX] if data.items else "",
        status=data.status[:20],
        next_billed_at_ms=_ms(data.next_billed_at),
        ends_at_ms=_ms(ends_at),
        told_at_ms=_ms(notice.occurred_at) or 0,
    )


async def _write(
    connection: Connection, post: Post, name: str, before: Subscription | None, now: Subscription
) -> list[Letter]:
    """The letters to the admins, where a subscription began or was cancelled."""
    url = f"{post.url}/o/{now.organization_id}/settings/usage"
    is_cancelled = now.status == "canceled" or now.ends_at_ms is not None
    was_cancelled = before is not None and (before.status == "canceled" or before.ends_at_ms is not None)
    if before is None and now.holds and not is_cancelled:
        words = letters.subscription_started(name, url)
    elif is_cancelled and not was_cancelled:
        words = letters.subscription_cancelled(name, url)
    else:
        return []
    admins = [one for one in await stored_organizations.members(connection, now.organization_id) if one.role == "admin"]
    return [await post.write(connection, words, admin.email, admin.account_id) for admin in admins]


def _ms(at: datetime | None) -> int | None:
    """Milliseconds since 1970; raises Invalid for what is no date of a bill."""
    if at is None:
        return None
    if not EARLIEST <= at < LATEST:
        raise errors.Invalid("This is no notice: its dates cannot be.")
    return int(at.timestamp() * 1000)
