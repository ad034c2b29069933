"""Results as people see them in a terminal."""

from typing import Any

from vemetric import cli_text, commands

ACCOUNT = {"id": "a", "name": "Ann Lee", "email": "ann@example.com", "isOperator": True, "createdAt": "-"}
PROJECT = {
    "id": "7",
    "name": "Shop",
    "domain": "shop.example",
    "token": "abcdefgh12345678",
    "organizationId": "o",
    "timeZone": "UTC",
    "createdAt": "-",
}


def a_row(name: str, users: int, count: int | None = None, detail: str = "") -> dict[str, Any]:
    return {"name": name, "users": users, "count": count, "detail": detail}


def test_every_command_has_a_text() -> None:
    of_the_command_line = {"config", "healthcheck", "move", "backup", "restore", "doctor"}
    # What one command asks of the running process nobody reads.
    steps = {"backup stage", "identify"}
    assert cli_text.FORMATS.keys() == (commands.COMMANDS.keys() | of_the_command_line) - steps


def test_accounts() -> None:
    assert cli_text.of("account create", ACCOUNT) == "ann@example.com  Ann Lee (operator)"
    assert cli_text.of("account reset-password", ACCOUNT) == "ann@example.com has a new password."
    assert cli_text.of("account reset-password", {**ACCOUNT, "password": "xyz"}).endswith(" It is xyz")
    other = {**ACCOUNT, "email": "b@example.com", "isOperator": False}
    assert cli_text.of("account list", {"accounts": [ACCOUNT, other]}).splitlines() == [
        "ann@example.com  Ann Lee  operator",
        "b@example.com    Ann Lee",
    ]


def test_projects() -> None:
    assert cli_text.of("project create", PROJECT).splitlines() == [
        "Domain     shop.example",
        "Name       Shop",
        "Id         7",
        "Token      abcdefgh12345678",
        "Time zone  UTC",
    ]
    assert cli_text.of("project list", {"projects": [PROJECT]}) == "shop.example  Shop  7  abcdefgh12345678"
    assert cli_text.of("project list", {"projects": []}) == "None yet."


def test_stats() -> None:
    cards = {name: [] for name in commands.CARDS}
    result = {
        "domain": "shop.example",
        "timespan": "24hrs",
        "timeZone": "UTC",
        "users": 1234,
        "pageViews": 5,
        "bounceRate": 33.333,
        "visitDuration": None,
        "events": 0,
        "online": 1,
        "cards": {
            **cards,
            "pages": [
                a_row("/", 1000, 2000, "https://shop.example"),
                a_row("/pricing", 3, 4),
                a_row("/", 2, 2, "https://blog.shop.example"),
                a_row("", 1, 1, "http://localhost:3000"),
            ],
            "sources": [a_row("", 2), a_row("Google", 1)],
            "countries": [a_row("", 1)],
        },
    }
    assert cli_text.of("stats", result) == "\n".join(
        [
            "shop.example, 24hrs, UTC",
            "",
            "Users           1,234",
            "Page views      5",
            "Bounce rate     33.33%",
            "Visit duration  –",
            "Events          0",
            "Online now      1",
            "",
            "Top pages",
            "/                   1,000 users  2,000 views",
            "/pricing            3 users      4 views",
            "blog.shop.example/  2 users      2 views",
            "localhost:3000/     1 user       1 view",
            "",
            "Top sources",
            "Direct / None  2 users",
            "Google         1 user",
            "",
            "Countries",
            "Unknown  1 user",
        ]
    )


def test_verify() -> None:
    counted = {"accepted": 12, "stored": 3, "inQueue": 1, "dead": 1, "spilled": 0, "expired": 4, "erased": 2}
    behind = {"repeated": 1, "behindInQueue": 2, "behindDead": 0}
    result = {**counted, **behind, "missing": 0, "surplus": 0, "difference": 0}
    assert cli_text.of("verify", result).splitlines() == [
        "Accepted                          12",
        "Stored                            3",
        "In queue                          1",
        "Dead                              1",
        "Spilled                           0",
        "Expired                           4",
        "Erased                            2",
        "Repeated                          1",
        "Session and device jobs in queue  2",
        "Session and device jobs dead      0",
        "Nothing is missing and nothing is there twice.",
    ]
    result = {**result, "missing": 2, "surplus": 1, "difference": 3}
    assert cli_text.of("verify", result).endswith("\n2 events missing, 1 too many.")


def test_the_set_up_link() -> None:
    result = {"url": "https://stats.example.com/setup/x", "validHours": 24}
    assert cli_text.of("setup-link", result) == (
        "Create the first account within 24 hours: https://stats.example.com/setup/x"
    )


def test_dead_letters() -> None:
    assert cli_text.of("dead list", {"total": 0, "jobs": []}) == "There are no dead letters."
    error = 'Traceback (most recent call last):\n  File "x.py"\nRowRejected: \x1b[2Jtoo long\n'
    one = {"id": 12, "queue": "event", "buriedAt": "2026-03-10T12:00:00.000Z", "error": error}
    told = cli_text.of("dead list", {"total": 3, "jobs": [one, {**one, "id": 7, "queue": "session", "error": ""}]})
    assert told.splitlines() == [
        "12  event    2026-03-10T12:00:00.000Z  RowRejected: �[2Jtoo long",
        "7   session  2026-03-10T12:00:00.000Z",
        "and 1 older.",
    ]
    assert cli_text.of("dead revive", {"revived": 1, "left": 0}) == "1 dead letter put back in line."
    assert cli_text.of("dead revive", {"revived": 0, "left": 2}) == "0 dead letters put back in line. 2 stayed dead."


def test_letters_are_listed_and_one_is_read() -> None:
    one = {"id": "L1", "status": "kept", "writtenAt": "2026-03-10T12:00:00.000Z", "to": "a@example.com"}
    one |= {"subject": "Join Acme", "error": None}
    assert cli_text.of("mail outbox", {"letters": []}) == "No letter was written yet."
    assert cli_text.of("mail outbox", {"letters": [one]}).split() == [
        *("L1", "kept", "2026-03-10T12:00:00.000Z", "a@example.com", "Join", "Acme")
    ]
    assert cli_text.of("mail outbox", {"letters": [one | {"text": "Hello"}]}) == "Hello"
    assert "kept" in cli_text.of("mail outbox", {"letters": [one | {"text": ""}]})
    assert "no mail is set up" in cli_text.of("mail test", {"letters": [one]})
    assert "took the letter" in cli_text.of("mail test", {"letters": [one | {"status": "sent"}]})
