"""Letters through Postmark's interface, spoken by a server of the test."""

import asyncio
from typing import Any

import pytest
from aiohttp import web
from pytest_aiohttp import AiohttpServer

from tests.mail.test_smtp import RESET, SITE, a_letter
from vemetric import errors
from vemetric.mail import letters
from vemetric.mail.mailer import Postponed, Refused
from vemetric.mail.postmark import ANSWER_BYTES_MAX, PostmarkMailer


class Postmark:
    """Answers with `status` and `body`, and keeps what it was sent."""

    def __init__(self) -> None:
        self.status = 200
        self.body: dict[str, Any] = {"ErrorCode": 0, "Message": "OK", "MessageID": "b7bc2f4a"}
        self.taken: list[tuple[str, dict[str, Any]]] = []

    async def take(self, request: web.Request) -> web.Response:
        self.taken.append((request.headers["X-Postmark-Server-Token"], await request.json()))
        return web.json_response(self.body, status=self.status)


@pytest.fixture
async def postmark() -> Postmark:
    return Postmark()


@pytest.fixture
async def mailer(postmark: Postmark, aiohttp_server: AiohttpServer) -> PostmarkMailer:
    app = web.Application()
    app.router.add_post("/email", postmark.take)
    server = await aiohttp_server(app)
    return PostmarkMailer("secret", "stats@example.com", "outbound", "broadcast", str(server.make_url("")).rstrip("/"))


async def test_a_letter_is_handed_over(postmark: Postmark, mailer: PostmarkMailer) -> None:
    assert await mailer.send(a_letter(RESET)) == "b7bc2f4a"
    [(token, sent)] = postmark.taken
    assert token == "secret"
    assert (sent["From"], sent["To"], sent["Subject"]) == ("stats@example.com", "mara@example.com", RESET.subject)
    assert sent["MessageStream"] == "outbound"
    assert f"{SITE}/reset/token" in sent["TextBody"]
    assert f"{SITE}/reset/token" in sent["HtmlBody"]


async def test_tips_have_a_stream_of_their_own(postmark: Postmark, mailer: PostmarkMailer) -> None:
    await mailer.send(a_letter(letters.no_project_yet("Mara", SITE), unsubscribe_url=f"{SITE}/u"))
    [(_, sent)] = postmark.taken
    assert sent["MessageStream"] == "broadcast"
    assert {"Name": "List-Unsubscribe", "Value": f"<{SITE}/u>"} in sent["Headers"]


@pytest.mark.parametrize(
    ("status", "raised"),
    [
        (422, Refused),
        (400, Postponed),
        (401, errors.Unavailable),
        (429, errors.Unavailable),
        (500, errors.Unavailable),
        (503, errors.Unavailable),
    ],
)
async def test_what_an_answer_means(
    postmark: Postmark, mailer: PostmarkMailer, status: int, raised: type[Exception]
) -> None:
    postmark.status, postmark.body = status, {"ErrorCode": 406, "Message": "inactive recipient"}
    with pytest.raises(raised, match="inactive recipient"):
        await mailer.send(a_letter(RESET))


@pytest.mark.parametrize(
    ("code", "raised"), [(300, Refused), (400, errors.Unavailable), (405, errors.Unavailable), (412, Postponed)]
)
async def test_a_refusal_is_about_the_letter_or_about_us(
    postmark: Postmark, mailer: PostmarkMailer, code: int, raised: type[Exception]
) -> None:
    postmark.status, postmark.body = 422, {"ErrorCode": code, "Message": "no"}
    with pytest.raises(raised):
        await mailer.send(a_letter(RESET))


async def test_an_answer_has_a_bound_and_is_followed_nowhere(aiohttp_server: AiohttpServer) -> None:
    asked: list[str] = []

    async def take(request: web.Request) -> web.Response:
        asked.append(request.path)
        if request.path == "/email":
            raise web.HTTPTemporaryRedirect("/elsewhere")
        head, tail = b'{"MessageID": "', b'"}'
        surplus = int(request.path == "/past/email")
        text = b"x" * (ANSWER_BYTES_MAX - len(head) - len(tail) + surplus)
        return web.Response(body=head + text + tail)

    app = web.Application()
    app.router.add_post("/{path:.*}", take)
    url = str((await aiohttp_server(app)).make_url("")).rstrip("/")

    async def send(base: str) -> str:
        return await PostmarkMailer("secret", "a@example.com", "o", "b", base).send(a_letter(RESET))

    assert set(await send(f"{url}/at")) == {"x"}
    with pytest.raises(Postponed):
        await send(f"{url}/past")
    with pytest.raises(errors.Unavailable):
        await send(url)
    assert asked == ["/at/email", "/past/email", "/email"]


async def test_a_letter_that_it_never_answers_about_holds_up_no_other(
    aiohttp_server: AiohttpServer,
) -> None:
    async def take(request: web.Request) -> web.Response:
        await request.read()
        await asyncio.Event().wait()
        raise AssertionError

    app = web.Application()
    app.router.add_post("/email", take)
    url = str((await aiohttp_server(app)).make_url("")).rstrip("/")
    with pytest.raises(Postponed, match="did not answer"):
        await PostmarkMailer("secret", "a@example.com", "o", "b", url, seconds_max=0.3).send(a_letter(RESET))


async def test_nobody_answers() -> None:
    with pytest.raises(errors.Unavailable):
        await PostmarkMailer("secret", "a@example.com", "o", "b", "http://127.0.0.1:9").send(a_letter(RESET))
