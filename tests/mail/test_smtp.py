"""Letters through a real SMTP server: what arrives, and what each answer of the server means."""

import asyncio

import pytest

from tests.kit.mail_server import MailServer, html_of, text_of
from vemetric import errors
from vemetric.mail import letters
from vemetric.mail.mailer import Postponed, Refused
from vemetric.mail.smtp import SmtpMailer
from vemetric.model.letter import Letter

SITE = "https://stats.example.com"


def a_letter(words: letters.Words, address: str = "mara@example.com", unsubscribe_url: str = "") -> Letter:
    draft = letters.draft(words, SITE, unsubscribe_url)
    return Letter(
        "L1", draft.kind, address, draft.subject, draft.body_text, draft.body_html, 1_773_144_000_000, unsubscribe_url
    )


RESET = letters.reset_password("Zoë <b>", f"{SITE}/reset/token", 1)


def a_mailer(server: MailServer) -> SmtpMailer:
    return SmtpMailer("127.0.0.1", server.port, "none", "Vemetric <stats@example.com>")


async def test_a_letter_arrives_as_text_and_as_html(mail: MailServer) -> None:
    message_id = await a_mailer(mail).send(a_letter(RESET))
    [letter] = mail.letters
    assert letter["From"] == "Vemetric <stats@example.com>"
    assert letter["To"] == "mara@example.com"
    assert letter["Subject"] == "Set a new password"
    assert letter["Message-ID"] == message_id == "<L1@example.com>"
    assert letter["Auto-Submitted"] == "auto-generated"
    assert letter["List-Unsubscribe"] is None
    assert "Hello Zoë <b>," in text_of(letter)
    assert "Hello Zoë &lt;b&gt;," in html_of(letter)
    for body in (text_of(letter), html_of(letter)):
        assert f"{SITE}/reset/token" in body


async def test_tips_can_be_unsubscribed_from_by_one_click(mail: MailServer) -> None:
    url = f"{SITE}/unsubscribe/a.b"
    await a_mailer(mail).send(a_letter(letters.no_project_yet("Mara", SITE), unsubscribe_url=url))
    [letter] = mail.letters
    assert letter["List-Unsubscribe"] == f"<{url}>"
    assert letter["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert url in text_of(letter)
    assert url in html_of(letter)


async def test_an_international_address_is_written_to(mail: MailServer) -> None:
    await a_mailer(mail).send(a_letter(RESET, "zoë@exämple.com"))
    assert [str(letter["To"]) for letter in mail.letters] == ["zoë@exämple.com"]


@pytest.mark.parametrize(
    ("answer", "raised"),
    [("550 no such user", Refused), ("554 spam", Refused), ("451 try later", Postponed), ("452 full", Postponed)],
)
async def test_what_the_server_says_of_a_letter(mail: MailServer, answer: str, raised: type[Exception]) -> None:
    mail.answer = answer
    with pytest.raises(raised, match=answer):
        await a_mailer(mail).send(a_letter(RESET))


async def test_a_server_that_is_away_is_no_fault_of_the_letter(mail: MailServer) -> None:
    await mail.stop()
    with pytest.raises(errors.Unavailable):
        await a_mailer(mail).send(a_letter(RESET))


@pytest.mark.parametrize(
    ("said", "raised"),
    [
        ([], errors.Unavailable),
        (["554 no"], errors.Unavailable),
        (["220 hello", "554 not you"], errors.Unavailable),
        (["220 hello", "250 hello", "451 slow down"], errors.Unavailable),
        (["220 hello", "250 hello", "250 from", "250 to"], Postponed),
        (["220 hello", "250 hello", "250 from", "250 to", "354 go on"], Postponed),
    ],
    ids=["silent", "refuses us", "refuses our name", "refuses our address", "silent at the letter", "after it"],
)
async def test_at_which_step_it_fails(
    monkeypatch: pytest.MonkeyPatch, said: list[str], raised: type[errors.VemetricError]
) -> None:
    """What fails before it was told of a letter is no letter's fault; a letter that it stalls at holds up no other."""

    ended = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for line in said:
            writer.write(f"{line}\r\n".encode())
            await reader.readline()
        while said and said[-1][0] in "45" and not reader.at_eof():
            writer.write(f"{said[-1]}\r\n".encode())
            await reader.readline()
        await reader.read()
        writer.close()
        await writer.wait_closed()
        ended.set()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(raised):
            await SmtpMailer("127.0.0.1", port, "none", "stats@example.com", seconds_max=0.3).send(a_letter(RESET))
        await ended.wait()


async def test_a_server_that_does_not_know_us_is_no_fault_of_the_letter(mail: MailServer) -> None:
    mailer = SmtpMailer("127.0.0.1", mail.port, "none", "stats@example.com", user="us", password="wrong")
    with pytest.raises(errors.Unavailable):
        await mailer.send(a_letter(RESET))
    assert mail.letters == []


async def test_a_server_without_tls_gets_nothing_where_tls_is_asked_for(mail: MailServer) -> None:
    mailer = SmtpMailer("127.0.0.1", mail.port, "starttls", "stats@example.com")
    with pytest.raises(errors.Unavailable):
        await mailer.send(a_letter(RESET))
    assert mail.letters == []


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Acme\r\nBcc: victim@example.com", "Acme Bcc: victim@example.com"),
        # As an encoded word, which is decoded while the mail is written.
        ("=?utf-8?Q?=0d=0aBcc:victim=40example.com?=", "= ?utf-8?Q?=0d=0aBcc:victim=40example.com?="),
        ("=?utf-8?B?DQoNClRoZSBib2R5?= é", "= ?utf-8?B?DQoNClRoZSBib2R5?= é"),
    ],
)
async def test_no_name_can_add_a_header(mail: MailServer, name: str, shown: str) -> None:
    words = letters.invitation(name, "Mara", "ann@example.com", f"{SITE}/invite/x", 7)
    await a_mailer(mail).send(a_letter(words))
    [letter] = mail.letters
    assert letter["Bcc"] is None
    assert letter["Subject"] == f"Join {shown} on Vemetric"
