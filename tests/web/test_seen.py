"""What the live tap saw, in words."""

import msgspec

from vemetric.clock import FrozenClock
from vemetric.ingest.refuse import Refusal
from vemetric.ingest.tap import NO_PROJECT, TapEntry
from vemetric.model.project import Project
from vemetric.services import Services
from vemetric.web import seen

PROJECT = Project(7, "acme", "Shop", "shop.example.com", "the-token", "Europe/Vienna")
NOON_MS = 1_773_144_000_000


def entry(verdict: str, after_ms: int = 0, **rest: str) -> TapEntry:
    return TapEntry(NOON_MS + after_ms, verdict, **rest)


def test_every_refusal_has_a_sentence_and_a_fix() -> None:
    for refusal in Refusal:
        (line,) = seen.lines([entry(refusal, url="/e", detail="https://shop.example.com")], PROJECT)
        assert line.label != seen.OTHER.label, refusal
        assert line.fix, refusal


def test_wrong_token_names_the_site_and_the_right_token() -> None:
    (line,) = seen.lines([entry(Refusal.WRONG_TOKEN, detail="https://shop.example.com")], PROJECT)
    assert line.text == "A request from https://shop.example.com carried no token, or one that no project has."
    assert "the-token" in line.fix
    assert line.at == "13:00:00"


def test_braces_in_what_was_sent_are_only_text() -> None:
    (line,) = seen.lines([entry(Refusal.BOT, detail="{token.__class__} {}")], PROJECT)
    assert line.text == "A request of a program: {token.__class__} {}"


def test_alike_in_a_row_are_one_line() -> None:
    found = [entry(Refusal.BOT, detail="Googlebot")] * 40 + [
        entry("accepted", name="$$pageView", url="https://x.test/a")
    ]
    bots, page = seen.lines(found, PROJECT)
    assert (bots.times, page.times) == (40, 1)
    assert page.text == "Page view of https://x.test/a"


def test_an_unknown_verdict_is_shown_too() -> None:
    (line,) = seen.lines([entry("of-a-newer-version", detail="x")], PROJECT)
    assert line.text == "of-a-newer-version x"


async def test_the_newest_come_first_however_many_there_are(services_at_noon: Services, clock: FrozenClock) -> None:
    services = services_at_noon
    for number in range(40):
        clock.advance(20_000)
        services.tap.refused(PROJECT.id, Refusal.BOT, detail=f"bot {number}")
        services.tap.refused(NO_PROJECT, Refusal.WRONG_TOKEN, detail=f"{number}")
        await services.tap.flush()
    found = await seen.entries(services.keys, PROJECT, False, clock.now_ms())
    assert [one.detail for one in found][:3] == ["bot 39", "bot 38", "bot 37"]
    assert len(found) >= seen.LINES_MAX
    assert {one.verdict for one in found} == {"bot"}
    both = await seen.entries(services.keys, PROJECT, True, clock.now_ms())
    assert [one.at_ms for one in both] == sorted((one.at_ms for one in both), reverse=True)
    assert msgspec.json.encode(both)
