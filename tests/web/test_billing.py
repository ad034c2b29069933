"""Billing: off without a trace; on, only what Paddle signed is believed, once, and the plan's limit is a warning."""

import hmac
import json
from typing import Any

import pytest

from tests.kit import mail_server
from tests.kit.mail_server import MailServer, do_errands
from tests.web.conftest import Cast, Page, Site
from vemetric.accounts import billing
from vemetric.clock import FrozenClock
from vemetric.database import organizations as stored_organizations

SECRET = "pdl_ntfset_secret"


def a_notice(organization_id: str, at: str = "2026-03-10T12:00:00.000000Z", **changes: Any) -> bytes:
    data = {
        "id": "sub_1",
        "status": "active",
        "customer_id": "ctm_1",
        "custom_data": {"organizationId": organization_id},
        "items": [{"price": {"id": "pri_a"}, "quantity": 1}],
        "next_billed_at": "2026-04-10T12:00:00Z",
        "scheduled_change": None,
    }
    event = {"event_id": "evt_1", "event_type": "subscription.updated", "occurred_at": at, "data": data | changes}
    return json.dumps(event).encode()


async def tell(site: Site, body: bytes, secret: str = SECRET, seconds: int = 0, header: str | None = None) -> Page:
    stamp = site.services.clock.now_ms() // 1000 + seconds
    signature = hmac.digest(secret.encode(), f"{stamp}:".encode() + body, "sha256").hex()
    signed = f"ts={stamp};h1={signature}" if header is None else header
    return await site.browser().ask("POST", "/webhooks/paddle", {"Paddle-Signature": signed}, data=body)


async def limit_of(site: Site, organization_id: str) -> int | None:
    async with site.services.database.connect() as connection:
        organization = await stored_organizations.by_id(connection, organization_id)
    assert organization is not None
    return organization.events_per_month_max


async def test_off_there_is_no_trace(site: Site, cast: Cast) -> None:
    assert (await tell(site, a_notice(cast.acme.id))).status == 404
    shown = (await (await site.browser_of(cast.alice)).get("/o/acme/settings/usage")).text
    assert "Plan" not in shown
    assert await billing.of_organization(site.services.database, cast.acme.id) is None


class TestOn:
    @pytest.fixture
    def environ(self, environ: dict[str, str], mail: MailServer) -> dict[str, str]:
        paddle = {"PADDLE_WEBHOOK_SECRET_KEY": SECRET, "PADDLE_PLANS": "pri_a=10000,pri_b=100000"}
        return environ | mail_server.settings(mail) | paddle

    async def test_a_plan_and_its_limit(self, site: Site, cast: Cast, mail: MailServer) -> None:
        alice = await site.browser_of(cast.alice)
        assert "Nothing was bought" in (await alice.get("/o/acme/settings/usage")).text
        assert (await tell(site, a_notice("acme"))).status == 200
        assert await limit_of(site, "acme") == 10_000
        later = a_notice("acme", "2026-03-10T12:00:01Z", items=[{"price": {"id": "pri_b"}}])
        assert (await tell(site, later)).status == 200
        assert await limit_of(site, "acme") == 100_000
        shown = (await alice.get("/o/acme/settings/usage")).text
        assert "pri_b" in shown
        assert "10 Apr 2026" in shown
        await do_errands(site.services)
        assert [str(letter["To"]) for letter in mail.letters] == ["alice@example.com"]
        assert mail.letters[0]["Subject"] == "Thank you for subscribing"

    async def test_what_came_late_or_twice_changes_nothing(self, site: Site, cast: Cast, mail: MailServer) -> None:
        new, old = a_notice("acme", "2026-03-10T12:00:05Z"), a_notice("acme", items=[{"price": {"id": "pri_b"}}])
        for body in (new, new, old):
            assert (await tell(site, body)).status == 200
        assert await limit_of(site, "acme") == 10_000
        await do_errands(site.services)
        assert len(mail.letters) == 1

    async def test_a_cancelled_one(self, site: Site, cast: Cast, mail: MailServer) -> None:
        change = {"action": "cancel", "effective_at": "2026-04-10T12:00:00Z"}
        await tell(site, a_notice("acme"))
        await tell(site, a_notice("acme", "2026-03-10T12:00:01Z", scheduled_change=change))
        assert await limit_of(site, "acme") == 10_000, "it holds until its end"
        await tell(site, a_notice("acme", "2026-03-10T12:00:02Z", status="canceled"))
        assert await limit_of(site, "acme") is None
        await do_errands(site.services)
        assert [letter["Subject"] for letter in mail.letters].count("Your subscription was cancelled") == 1

    @pytest.mark.parametrize(
        ("secret", "seconds", "header"),
        [
            ("another", 0, None),
            (SECRET, -301, None),
            (SECRET, 301, None),
            (SECRET, 0, ""),
            (SECRET, 0, "ts=;h1="),
            (SECRET, 0, f"ts={'9' * 5000};h1=x"),
            (SECRET, 0, "ts=1;ts=2;h1=x"),
            (SECRET, 0, "h1=ä"),
        ],
    )
    async def test_what_is_not_signed_now(
        self, site: Site, cast: Cast, secret: str, seconds: int, header: str | None
    ) -> None:
        assert (await tell(site, a_notice("acme"), secret, seconds, header)).status == 401
        assert await limit_of(site, "acme") is None

    @pytest.mark.parametrize("seconds", [-300, 300])
    async def test_just_in_time(self, site: Site, cast: Cast, seconds: int) -> None:
        assert (await tell(site, a_notice("acme"), seconds=seconds)).status == 200

    @pytest.mark.parametrize("body", [b"", b"{}", b"[1]", b'{"event_type": 1}', b"\xff"])
    async def test_nonsense(self, site: Site, cast: Cast, body: bytes) -> None:
        assert (await tell(site, body)).status == 400

    async def test_what_is_about_nobody_here(self, site: Site, cast: Cast, clock: FrozenClock) -> None:
        for body in (
            a_notice("nobody"),
            a_notice("acme", custom_data=None),
            a_notice("acme", custom_data={"organizationId": 7}),
            a_notice("acme", id=""),
            a_notice("acme").replace(b"subscription.updated", b"transaction.completed"),
        ):
            assert (await tell(site, body)).status == 200
        assert await limit_of(site, "acme") is None

    async def test_a_second_subscription_does_not_take_the_place_of_one_that_holds(
        self, site: Site, cast: Cast
    ) -> None:
        await tell(site, a_notice("acme"))
        await tell(site, a_notice("acme", "2026-03-10T12:00:01Z", id="sub_2", items=[{"price": {"id": "pri_b"}}]))
        assert await limit_of(site, "acme") == 10_000
        await tell(site, a_notice("acme", "2026-03-10T12:00:02Z", status="canceled"))
        await tell(site, a_notice("acme", "2026-03-10T12:00:03Z", id="sub_2", items=[{"price": {"id": "pri_b"}}]))
        assert await limit_of(site, "acme") == 100_000
