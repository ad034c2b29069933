"""Billing: off without a trace; on, only what Paddle signed is believed, once, and the plan's limit is a warning."""

import hmac
import json
from typing import Any

import pytest
from aiohttp import web
from pytest_aiohttp import AiohttpServer

from tests.kit import mail_server
from tests.kit.mail_server import MailServer, do_errands
from tests.web.conftest import Cast, Page, Site
from vemetric.accounts import billing, limits
from vemetric.accounts import paddle as paddle_api
from vemetric.accounts.paddle import Money
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


def on(mail: MailServer) -> dict[str, str]:
    paddle = {"PADDLE_WEBHOOK_SECRET_KEY": SECRET, "PADDLE_PLANS": "pri_a=10000,pri_b=100000"}
    return mail_server.settings(mail) | paddle


class TestOn:
    @pytest.fixture
    def environ(self, environ: dict[str, str], mail: MailServer) -> dict[str, str]:
        return environ | on(mail)

    async def test_without_a_key_nothing_is_sold(self, site: Site, cast: Cast) -> None:
        await tell(site, a_notice("acme"))
        alice = await site.browser_of(cast.alice)
        assert "/settings/billing" not in (await alice.get("/o/acme/settings/usage")).text
        assert (await alice.get("/o/acme/settings/billing/plans/pri_b")).status == 404

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

    @pytest.mark.parametrize("field", ["occurred_at", "next_billed_at", "effective_at"])
    @pytest.mark.parametrize(
        "date",
        ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-03-10T12:00:00"],
    )
    async def test_dates_that_cannot_be(self, site: Site, cast: Cast, field: str, date: str) -> None:
        change = {"action": "cancel", "effective_at": "2026-04-10T12:00:00Z"}
        notice = json.loads(a_notice("acme", scheduled_change=change))
        data = notice["data"]
        place = {"occurred_at": notice, "next_billed_at": data, "effective_at": data["scheduled_change"]}[field]
        place[field] = date
        assert (await tell(site, json.dumps(notice).encode())).status == 400
        assert await limit_of(site, "acme") is None

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


class FakePaddle:
    """Answers as Paddle's API does, and notes what it was asked. `refusal`: a status and words for the next answers."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        self.refusal: tuple[int, str] | None = None

    def app(self) -> web.Application:
        made = web.Application()
        made.router.add_route("*", "/{path:.+}", self._answer)
        return made

    async def _answer(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer pdl_key"
        self.asked.append((request.method, request.path, await request.json()))
        if self.refusal is not None:
            status, words = self.refusal
            return web.json_response({"error": {"detail": words}}, status=status)
        if request.path == "/transactions":
            data: dict[str, Any] = {"checkout": {"url": "https://buy.example.com/?_ptxn=1&a=2"}}
        elif request.path.endswith("/portal-sessions"):
            data = {"urls": {"general": {"overview": "https://portal.example.com/cpl_1"}}}
        else:
            data = {"update_summary": {"result": {"action": "charge", "amount": "123450", "currency_code": "EUR"}}}
        return web.json_response({"data": data})


class TestSold:
    @pytest.fixture
    async def paddle(self, aiohttp_server: AiohttpServer, monkeypatch: pytest.MonkeyPatch) -> FakePaddle:
        made = FakePaddle()
        server = await aiohttp_server(made.app())
        monkeypatch.setitem(paddle_api.HOSTS, "sandbox", str(server.make_url("")).rstrip("/"))
        return made

    @pytest.fixture
    def environ(self, environ: dict[str, str], mail: MailServer, paddle: FakePaddle) -> dict[str, str]:
        return environ | on(mail) | {"PADDLE_API_KEY": "pdl_key"}

    async def test_a_plan_is_bought(self, site: Site, cast: Cast, paddle: FakePaddle) -> None:
        alice, page = await site.browser_of(cast.alice), "/o/acme/settings/billing/plans/pri_b"
        shown = (await alice.get("/o/acme/settings/usage")).text
        assert [f'href="/o/acme/settings/billing/plans/{price}"' in shown for price in ("pri_a", "pri_b")] == [True] * 2
        assert "100,000 events a month" in (await alice.get(page)).text
        leaving = await alice.fill(page, {})
        assert 'content="0;url=https://buy.example.com/?_ptxn=1&amp;a=2"' in leaving.text
        wanted = {"items": [{"price_id": "pri_b", "quantity": 1}], "custom_data": {"organizationId": "acme"}}
        assert paddle.asked == [("POST", "/transactions", wanted)]
        assert (await alice.get("/o/acme/settings/billing/plans/pri_c")).status == 404

    async def test_one_that_was_bought_is_changed_managed_and_kept(
        self, site: Site, cast: Cast, paddle: FakePaddle
    ) -> None:
        change = {"action": "cancel", "effective_at": "2026-04-10T12:00:00Z"}
        await tell(site, a_notice("acme", scheduled_change=change))
        alice, usage = await site.browser_of(cast.alice), "/o/acme/settings/usage"
        other = "/o/acme/settings/billing/plans/pri_b"
        assert "1,234.50 EUR is charged now" in (await alice.get(other)).text
        assert (await alice.fill(other, {})).location == f"{usage}?asked=1"
        leaving = await alice.fill(usage, {}, "/o/acme/settings/billing/portal")
        assert "https://portal.example.com/cpl_1" in leaving.text
        assert (await alice.fill(usage, {}, "/o/acme/settings/billing/keep")).location == f"{usage}?asked=1"
        assert [(method, path) for method, path, _ in paddle.asked] == [
            ("PATCH", "/subscriptions/sub_1/preview"),
            ("PATCH", "/subscriptions/sub_1/preview"),
            ("PATCH", "/subscriptions/sub_1"),
            ("POST", "/customers/ctm_1/portal-sessions"),
            ("PATCH", "/subscriptions/sub_1"),
        ]
        assert paddle.asked[-1][2] == {"scheduled_change": None}
        assert (await alice.get("/o/acme/settings/billing/plans/pri_a")).location == usage, "that is the present one"

    @pytest.mark.parametrize(
        ("refusal", "status", "words"), [((400, "Card <b>"), 409, "Card &lt;b&gt;"), ((503, ""), 503, "")]
    )
    async def test_what_paddle_refuses_is_told(
        self, site: Site, cast: Cast, paddle: FakePaddle, refusal: tuple[int, str], status: int, words: str
    ) -> None:
        paddle.refusal = refusal
        page = await (await site.browser_of(cast.alice)).fill("/o/acme/settings/billing/plans/pri_b", {})
        assert (page.status, words in page.text) == (status, True)

    async def test_is_for_admins_and_not_without_end(self, site: Site, cast: Cast, paddle: FakePaddle) -> None:
        page, alice = "/o/acme/settings/billing/plans/pri_b", await site.browser_of(cast.alice)
        refused = [(await (await site.browser_of(who)).get(page)).status for who in (cast.bob, cast.charlie)]
        assert refused == [403, 404]
        statuses = [(await alice.get(page)).status for _ in range(limits.BILLING.tries + 1)]
        assert statuses == [200] * limits.BILLING.tries + [429]
        assert paddle.asked == []


@pytest.mark.parametrize(
    ("money", "said"),
    [
        (Money("charge", "1205", "EUR"), "12.05 EUR"),
        (Money("credit", "-7", "USD"), "0.07 USD"),
        (Money("charge", "1500", "JPY"), "1,500 JPY"),
        (Money("charge", "much", "EUR"), "EUR"),
    ],
)
def test_amounts(money: Money, said: str) -> None:
    assert paddle_api.amount(money) == said
