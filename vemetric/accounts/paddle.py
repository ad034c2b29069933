"""What is asked of Paddle: a checkout, its portal, another plan, a cancellation taken back. Only this file calls it.

Off unless a setting names the key. What comes of it Paddle tells in its notices, which billing.py believes.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, NoReturn

import msgspec

from vemetric import errors
from vemetric.config import Config

HOSTS = {"production": "https://api.paddle.com", "sandbox": "https://sandbox-api.paddle.com"}
VERSION = "1"
# For each part of an answer, and for all of it: one that comes byte by byte keeps no page waiting for long.
SECONDS_MAX = 15.0
EXCHANGE_SECONDS_MAX = 30.0
# The difference is billed at once, for the rest of the time that was paid for.
PRORATION = "prorated_immediately"
DETAIL_LENGTH_MAX = 200
# Currencies whose smallest unit is the unit.
WITHOUT_CENTS = frozenset({"JPY", "KRW", "VND", "CLP"})


class Paddle(msgspec.Struct, frozen=True):
    """Where Paddle's API answers, and the key to it."""

    url: str
    key: str


class Url(msgspec.Struct, frozen=True):
    """Where a browser is sent; '' where there is no such page."""

    url: str = ""


class Checkout(msgspec.Struct, frozen=True):
    """What is to be paid for."""

    checkout: Url | None = None


class General(msgspec.Struct, frozen=True):
    """The portal's pages."""

    overview: str = ""


class Urls(msgspec.Struct, frozen=True):
    """The portal's pages, by what they are about."""

    general: General


class Portal(msgspec.Struct, frozen=True):
    """A way into the portal, for a short time."""

    urls: Urls


class Money(msgspec.Struct, frozen=True):
    """amount: in the currency's smallest unit. action: `charge` or `credit`."""

    action: str = "charge"
    amount: str = "0"
    currency_code: str = ""


class Summary(msgspec.Struct, frozen=True):
    """What a change comes to."""

    result: Money


class Preview(msgspec.Struct, frozen=True):
    """A change that was not made."""

    update_summary: Summary | None = None


def of(config: Config) -> Paddle | None:
    """Paddle as the settings have it; None where nothing is asked of it."""
    if not config.paddle_api_key:
        return None
    return Paddle(HOSTS[config.paddle_environment], config.paddle_api_key)


async def checkout_url(paddle: Paddle, organization_id: str, price_id: str) -> str:
    """Where the organization pays for a price. Raises Unavailable, Conflict."""
    asked = {"items": _items(price_id), "custom_data": {"organizationId": organization_id}}
    made = _read(await _ask(paddle, "POST", "/transactions", asked), Checkout)
    return _web_address(made.checkout.url if made.checkout is not None else "")


async def portal_url(paddle: Paddle, customer_id: str, subscription_id: str) -> str:
    """Where a customer sees invoices, changes what is paid with, and cancels. Raises Unavailable, Conflict."""
    asked = {"subscription_ids": [subscription_id]}
    made = _read(await _ask(paddle, "POST", f"/customers/{_id(customer_id)}/portal-sessions", asked), Portal)
    return _web_address(made.urls.general.overview)


async def preview(paddle: Paddle, subscription_id: str, price_id: str) -> Money | None:
    """What is paid or credited at once if the subscription gets another price. Raises Unavailable, Conflict."""
    asked = {"items": _items(price_id), "proration_billing_mode": PRORATION}
    made = _read(await _ask(paddle, "PATCH", f"/subscriptions/{_id(subscription_id)}/preview", asked), Preview)
    return None if made.update_summary is None else made.update_summary.result


async def change_price(paddle: Paddle, subscription_id: str, price_id: str) -> None:
    """Give the subscription another price. Raises Unavailable, Conflict."""
    asked = {"items": _items(price_id), "proration_billing_mode": PRORATION}
    await _ask(paddle, "PATCH", f"/subscriptions/{_id(subscription_id)}", asked)


async def keep(paddle: Paddle, subscription_id: str) -> None:
    """Take the cancellation back, before it takes effect. Raises Unavailable, Conflict."""
    await _ask(paddle, "PATCH", f"/subscriptions/{_id(subscription_id)}", {"scheduled_change": None})


def amount(money: Money) -> str:
    """An amount as people read it: `12.50 EUR`."""
    digits = money.amount.lstrip("-")
    if not digits.isascii() or not digits.isdigit():
        return money.currency_code
    if money.currency_code in WITHOUT_CENTS:
        return f"{int(digits):,} {money.currency_code}"
    return f"{int(digits) // 100:,}.{int(digits) % 100:02} {money.currency_code}"


async def _ask(paddle: Paddle, method: str, path: str, asked: Mapping[str, Any]) -> bytes:
    # Here, because every start would pay for the import and few servers use it.
    import httpx2

    from vemetric.accounts import answers

    headers = {
        **answers.PLAIN,
        "Authorization": f"Bearer {paddle.key}",
        "Paddle-Version": VERSION,
        "Content-Type": "application/json",
    }
    try:
        async with (
            asyncio.timeout(EXCHANGE_SECONDS_MAX),
            httpx2.AsyncClient(timeout=SECONDS_MAX, event_hooks={"response": [answers.bound]}) as client,
        ):
            body = msgspec.json.encode(asked)
            answer = await client.request(method, f"{paddle.url}{path}", content=body, headers=headers)
    except (httpx2.HTTPError, TimeoutError) as error:
        raise errors.Unavailable(f"Paddle does not answer: {error}.") from error
    if answer.status_code >= 500 or answer.status_code == 429:
        raise errors.Unavailable("Paddle cannot do this right now. Please try again later.")
    if answer.status_code >= 400:
        _refuse(answer.content)
    return answer.content


def _refuse(content: bytes) -> NoReturn:
    try:
        detail = str(msgspec.json.decode(content)["error"]["detail"])[:DETAIL_LENGTH_MAX]
    except (msgspec.DecodeError, KeyError, TypeError):
        detail = "it does not say why"
    raise errors.Conflict(f"Paddle refused: {detail}")


def _read(content: bytes, kind: Any) -> Any:
    """What an answer says; raises Unavailable where it is not one of Paddle's."""
    try:
        return msgspec.convert(msgspec.json.decode(content)["data"], kind)
    except (msgspec.DecodeError, msgspec.ValidationError, KeyError, TypeError) as error:
        raise errors.Unavailable("Paddle's answer cannot be read.") from error


def _items(price_id: str) -> list[dict[str, Any]]:
    return [{"price_id": price_id, "quantity": 1}]


def _id(text: str) -> str:
    """An id of Paddle's as it may stand in a path."""
    if not text.isascii() or not text.replace("_", "").isalnum():
        raise errors.Conflict("Paddle has not said yet which customer this is.")
    return text


def _web_address(url: str) -> str:
    if not url.startswith(("https://", "http://")):
        raise errors.Unavailable("Paddle named no page to go on at.")
    return url
