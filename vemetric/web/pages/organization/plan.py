"""/o/<organization>/settings/billing: buying a plan, changing it, Paddle's portal. Without its key there is none.

What comes of it stands on the usage page once Paddle has told it.
"""

import msgspec
from aiohttp import web

from vemetric import errors
from vemetric.accounts import billing, limits, paddle
from vemetric.accounts.paddle import Paddle
from vemetric.model.organization import Organization
from vemetric.model.subscription import Subscription
from vemetric.web import context, figures, render
from vemetric.web.pages import confirm, shell
from vemetric.web.pages.confirm import Question
from vemetric.web.pages.organization import usage


class Asked(msgspec.Struct, frozen=True):
    """What a request is about. subscription: the one that holds."""

    organization: Organization
    paddle: Paddle
    subscription: Subscription | None

    @property
    def usage_path(self) -> str:
        return f"/o/{self.organization.id}/settings/usage"


async def ask(request: web.Request) -> web.Response:
    """GET .../billing/plans/<price>: what it costs to have this plan from now on."""
    asked, (price_id, events) = await _asked(request), _plan(request)
    if asked.subscription is not None and asked.subscription.price_id == price_id:
        return render.redirect(asked.usage_path)
    question = Question(
        f"{figures.number(events)} events a month",
        await _sentences(asked, price_id),
        "Go to the checkout" if asked.subscription is None else "Change the plan",
        asked.usage_path,
        is_grave=False,
    )
    return confirm.ask(request, await shell.organization_settings(request, asked.organization, usage.AREA), question)


async def take(request: web.Request) -> web.Response:
    """POST .../billing/plans/<price>: to the checkout, or the other plan at once where one is paid for."""
    asked, (price_id, _) = await _asked(request), _plan(request)
    if asked.subscription is None:
        return _leave(request, await paddle.checkout_url(asked.paddle, asked.organization.id, price_id))
    if asked.subscription.price_id != price_id:
        await paddle.change_price(asked.paddle, asked.subscription.subscription_id, price_id)
    return render.redirect(f"{asked.usage_path}?asked=1")


async def portal(request: web.Request) -> web.Response:
    """POST .../billing/portal: to Paddle's page of invoices, means of payment and cancelling."""
    asked = await _asked(request)
    bought = _held(asked)
    return _leave(request, await paddle.portal_url(asked.paddle, bought.customer_id, bought.subscription_id))


async def keep(request: web.Request) -> web.Response:
    """POST .../billing/keep: take a cancellation back."""
    asked = await _asked(request)
    bought = _held(asked)
    if bought.ends_at_ms is not None:
        await paddle.keep(asked.paddle, bought.subscription_id)
    return render.redirect(f"{asked.usage_path}?asked=1")


async def _asked(request: web.Request) -> Asked:
    page = context.of(request)
    services = page.services
    if services.paddle is None:
        raise errors.NotFound
    organization = await context.organization_to_change(request)
    await limits.take_for(services.keys, services.clock, limits.BILLING, page.signed_in.id)
    found = await billing.of_organization(services.database, organization.id)
    return Asked(organization, services.paddle, found if found is not None and found.holds else None)


def _held(asked: Asked) -> Subscription:
    if asked.subscription is None:
        raise errors.NotFound
    return asked.subscription


def _plan(request: web.Request) -> tuple[str, int]:
    plans, price_id = context.of(request).services.config.paddle_plans, request.match_info["price"]
    if price_id not in plans:
        raise errors.NotFound
    return price_id, plans[price_id]


async def _sentences(asked: Asked, price_id: str) -> tuple[str, ...]:
    if asked.subscription is None:
        return ("Paddle sells it: its page says what it costs, with taxes, and takes the payment.",)
    money = await paddle.preview(asked.paddle, asked.subscription.subscription_id, price_id)
    if money is None:
        return ("The plan changes at once.",)
    is_credit = money.action == "credit"
    said = "credited for later bills" if is_credit else "charged now, for the rest of the time that was paid for"
    return (f"The plan changes at once: {paddle.amount(money)} is {said}.",)


def _leave(request: web.Request, url: str) -> web.Response:
    sentence = "Its page opens in this window; what you do there shows here within a minute."
    return render.page(request, "pages/account/leaving.html", url=url, label="Paddle", sentence=sentence)
