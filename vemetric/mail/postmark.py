"""Letters through Postmark's HTTP interface."""

from typing import TYPE_CHECKING, Any

import msgspec

from vemetric import errors
from vemetric.mail.mailer import SECONDS_MAX, Postponed, Refused
from vemetric.mail.smtp import unsubscribe_headers
from vemetric.model.letter import Letter

if TYPE_CHECKING:
    from aiohttp import ClientResponse

CONNECT_SECONDS_MAX = 10.0
URL = "https://api.postmarkapp.com"
PLAIN = {"Accept": "application/json", "Accept-Encoding": "identity"}
# An answer is a few lines: an endless one would be held in memory.
ANSWER_BYTES_MAX = 64_000
# It looked at the letter and would not take it. Its code says whose fault that is: the letter's or its address's (300
# to 406), or ours, whom it lets send nothing until somebody has seen to it (an unknown sender, nothing left to send).
REFUSED_STATUS = 422
REFUSED_CODES = (300, 402, 403, 406)
OUR_CODES = (400, 401, 405)


class Answer(msgspec.Struct, rename="pascal"):
    """What Postmark says of a letter."""

    message: str = ""
    error_code: int = 0
    message_i_d: str = msgspec.field(default="", name="MessageID")


class PostmarkMailer:
    """Sends with a server's token, in one of two streams: for those who wait, and for tips."""

    def __init__(
        self,
        token: str,
        sender: str,
        stream: str,
        tips_stream: str,
        url: str = URL,
        seconds_max: float = SECONDS_MAX,
    ) -> None:
        self._token = token
        self._sender = sender
        self._stream = stream
        self._tips_stream = tips_stream
        self._url = url
        self._seconds_max = seconds_max

    async def send(self, letter: Letter) -> str:
        """See Mailer."""
        import aiohttp

        timeout = aiohttp.ClientTimeout(self._seconds_max, connect=CONNECT_SECONDS_MAX)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as session,
                session.post(
                    f"{self._url}/email",
                    json=self._body(letter),
                    headers={"X-Postmark-Server-Token": self._token, **PLAIN},
                    allow_redirects=False,
                ) as response,
            ):
                status, body = response.status, await _bytes_of(response)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise errors.Unavailable(f"Postmark does not answer: {error}.") from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            # It may have been taken: others shall not wait for it, nor it be sent again and again.
            raise Postponed(f"Postmark did not answer about this letter: {error}.") from error
        return _read(status, body)

    def _body(self, letter: Letter) -> dict[str, Any]:
        headers = {"X-Letter-Id": letter.id, **unsubscribe_headers(letter)}
        return {
            "From": self._sender,
            "To": letter.address,
            "Subject": letter.subject,
            "TextBody": letter.body_text,
            "HtmlBody": letter.body_html,
            "MessageStream": self._tips_stream if letter.unsubscribe_url else self._stream,
            "Headers": [{"Name": name, "Value": value} for name, value in headers.items()],
        }


async def _bytes_of(response: "ClientResponse") -> bytes:
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > ANSWER_BYTES_MAX:
            raise Postponed(f"Postmark sent more than {ANSWER_BYTES_MAX} bytes.")
    return bytes(body)


def _read(status: int, body: bytes) -> str:
    try:
        answer = msgspec.json.decode(body, type=Answer)
    except msgspec.DecodeError:
        answer = Answer("an answer that cannot be read")
    if status == 200 and answer.error_code == 0:
        return answer.message_i_d
    text = f"Postmark said {status}: {answer.message} ({answer.error_code})."
    if status == REFUSED_STATUS and answer.error_code in REFUSED_CODES:
        raise Refused(text)
    if status == REFUSED_STATUS and answer.error_code in OUR_CODES:
        raise errors.Unavailable(text)
    if 400 <= status < 500 and status not in (401, 403, 429):
        raise Postponed(text)
    raise errors.Unavailable(text)
