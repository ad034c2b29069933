"""What the live tap of the hub saw, in words: each verdict with what it means and how to mend it."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from vemetric.enrich.page import belongs_to, normalized_domain
from vemetric.ingest import jobs, tap
from vemetric.ingest.refuse import Refusal
from vemetric.ingest.tap import TapEntry
from vemetric.model import calendar
from vemetric.model.project import Project
from vemetric.queues.keys import Keys

# Keys carry the time in milliseconds, so that a prefix of it is a window: the tap is read from the newest one back.
WINDOW_MS = 100_000
WINDOWS_MAX = 9
ENTRIES_PER_WINDOW_MAX = 300
LINES_MAX = 12
HOURS_OF_DAY = 24

GOOD, BAD, WARN = "good", "bad", "warn"


class Verdict(NamedTuple):
    """label: of the badge; text: what was seen, {detail} and {url} filled in; fix: what to do about it."""

    label: str
    tone: str
    text: str
    fix: str = ""


ACCEPTED = "accepted"
VERDICTS: dict[str, Verdict] = {
    ACCEPTED: Verdict("Accepted", GOOD, "{name} {url}", "It is being stored and counts in a moment."),
    Refusal.WRONG_TOKEN: Verdict(
        "Wrong token",
        BAD,
        "A request {origin} carried no token, or one that no project has.",
        "Put this project's token into the snippet: {token}",
    ),
    Refusal.BOT: Verdict(
        "Bot",
        WARN,
        "A request of a program: {detail}",
        "Its user agent is on the list of bots. Open the page in an everyday browser; in a script, send a user agent "
        "of your own.",
    ),
    Refusal.LOCALHOST: Verdict(
        "Localhost",
        WARN,
        "The script was loaded by {url}",
        "The client stays silent on localhost. Open the site under its domain, or under a name that your hosts file "
        "leads to this machine.",
    ),
    Refusal.EXCLUDED_IP: Verdict(
        "Excluded address",
        WARN,
        "A request {origin} came from an address that is excluded.",
        "Take the address off the list under Settings, Exclusions, or visit from another network.",
    ),
    Refusal.EXCLUDED_COUNTRY: Verdict(
        "Excluded country",
        WARN,
        "A request {origin} came from a country that is excluded.",
        "Take the country off the list under Settings, Exclusions.",
    ),
    Refusal.EXCLUDED_PATH: Verdict(
        "Excluded path",
        WARN,
        "A visit {origin} of a path that is excluded.",
        "Take the path off the list under Settings, Exclusions.",
    ),
    Refusal.EXCLUDED_HOST: Verdict(
        "Excluded host",
        WARN,
        "A visit {origin} of a host that is excluded.",
        "Take the host off the list under Settings, Exclusions.",
    ),
    Refusal.PREFETCH: Verdict(
        "Prefetch",
        WARN,
        "A browser fetched a page ahead of a visit.",
        "It counts as soon as somebody opens the page.",
    ),
    Refusal.TAG_MANAGER: Verdict(
        "Preview",
        WARN,
        "A page view of the tag manager's preview.",
        "Publish the tag and open the real page.",
    ),
    Refusal.INTERNAL_LINK: Verdict(
        "Internal link",
        WARN,
        "A click on a link to the project's own domain.",
        "Only links that lead elsewhere are outbound. If the domain is not yours, mend it under Settings.",
    ),
    Refusal.MALFORMED: Verdict(
        "Not readable",
        BAD,
        "A request {origin} whose body is no JSON, or did not come whole.",
        "Send the body as JSON in UTF-8.",
    ),
    Refusal.INVALID: Verdict(
        "Not valid",
        BAD,
        "A request {origin} without what an event needs.",
        "Send Content-Type: application/json and a name; a page view needs its url too.",
    ),
    Refusal.TOO_LARGE: Verdict(
        "Too large",
        BAD,
        "A request {origin} with a body above the limit.",
        "Send less data, or raise VEMETRIC_HIT_BODY_BYTES_MAX.",
    ),
    Refusal.TOO_MANY: Verdict(
        "Too many",
        BAD,
        "More requests of one address than are allowed.",
        "Raise VEMETRIC_INGEST_REQUESTS_PER_MINUTE, or set VEMETRIC_TRUSTED_PROXIES if all visitors seem to be one.",
    ),
    Refusal.NO_USER: Verdict(
        "Unknown visitor",
        WARN,
        "A page was left by a visitor who is not known.",
        "This is normal after a restart of the day's salt; send a page view first.",
    ),
    Refusal.NO_SESSION: Verdict(
        "No visit", WARN, "A page was left, but no visit is open.", "Send a page view first: it opens the visit."
    ),
    Refusal.BUSY: Verdict(
        "Busy",
        BAD,
        "A request could not be stored.",
        "The disk may be full, or the queue is; the log says which.",
    ),
}
OTHER = Verdict("Refused", WARN, "{verdict} {detail}")


class Count(NamedTuple):
    """How often a verdict was given, with what it calls for."""

    label: str
    tone: str
    times: int
    fix: str


class Line(NamedTuple):
    """One line of the list; several alike in a row are one."""

    at: str
    label: str
    tone: str
    text: str
    fix: str
    times: int


async def entries(keys: Keys, project: Project, is_operator: bool, now_ms: int) -> list[TapEntry]:
    """The newest entries of the project and those of no project that its people may see, the newest first."""
    nobodys = await _newest(keys, tap.NO_PROJECT, now_ms, lambda entry: is_operator or _concerns(entry, project))
    if not is_operator:
        nobodys = [_without_strangers(entry, project) for entry in nobodys]
    found = await _newest(keys, project.id, now_ms, lambda entry: True) + nobodys
    return sorted(found, key=lambda entry: entry.at_ms, reverse=True)


async def _newest(keys: Keys, project_id: int, now_ms: int, shows: Callable[[TapEntry], bool]) -> list[TapEntry]:
    found: list[TapEntry] = []
    for number in range(WINDOWS_MAX):
        prefix = f"{tap.key_prefix(project_id)}{now_ms // WINDOW_MS - number}"
        pairs = await keys.scan(prefix, ENTRIES_PER_WINDOW_MAX)
        found += filter(shows, (msgspec.json.decode(value, type=TapEntry) for _, value in reversed(pairs)))
        if len(found) >= LINES_MAX:
            break
    return found


def _concerns(entry: TapEntry, project: Project) -> bool:
    """Whether a request of no project may be this one's: a page of its domain sent it, or one on somebody's machine."""
    return entry.verdict == Refusal.LOCALHOST or belongs_to(normalized_domain(entry.detail), project.domain)


def _without_strangers(entry: TapEntry, project: Project) -> TapEntry:
    """What is not surely the project's own is not named: pages on somebody's machine, and the hosts below a domain.

    Anybody may call `co.uk` a project's domain; what lies below it is other people's.
    """
    if entry.verdict == Refusal.LOCALHOST:
        return msgspec.structs.replace(entry, url="localhost")
    if normalized_domain(entry.detail) != project.domain:
        return msgspec.structs.replace(entry, detail=f"https://*.{project.domain}")
    return entry


def lines(found: Sequence[TapEntry], project: Project) -> list[Line]:
    """The entries in words, at the project's time."""
    tz = calendar.zone(project.time_zone)
    listed: list[Line] = []
    for entry in found:
        verdict = VERDICTS.get(entry.verdict, OTHER)
        origin = f"from {entry.detail}" if entry.detail.startswith(("http://", "https://")) else ""
        words = {
            "name": "Page view of" if entry.name == "$$pageView" else entry.name,
            "url": entry.url,
            "detail": entry.detail or "no user agent",
            "origin": origin,
            "token": project.token,
            "verdict": entry.verdict,
        }
        text = " ".join(verdict.text.format(**words).split())
        line = Line(
            f"{calendar.local(entry.at_ms, tz):%H:%M:%S}",
            verdict.label,
            verdict.tone,
            text,
            verdict.fix.format(**words),
            1,
        )
        if listed and listed[-1].text == line.text and listed[-1].label == line.label:
            listed[-1] = listed[-1]._replace(times=listed[-1].times + 1)
        elif len(listed) == LINES_MAX:
            break
        else:
            listed.append(line)
    return listed


async def last_day(keys: Keys, project: Project, now_ms: int) -> list[Count]:
    """What became of the project's requests in this hour and the 23 before it, accepted ones first."""
    accepted, refused = f"{jobs.ACCEPTED_PREFIX}{project.id}:", f"{jobs.REFUSED_PREFIX}{project.id}:"
    since = now_ms // jobs.HOUR_MS - HOURS_OF_DAY + 1
    counted = Counter[str]()
    for prefix in (accepted, refused):
        for name, times in (await keys.counters(prefix)).items():
            reason, _, hour = name.removeprefix(prefix).rpartition(":")
            if int(hour) >= since:
                counted[reason or ACCEPTED] += times
    first = [(ACCEPTED, counted.pop(ACCEPTED, 0))]
    found = []
    for verdict, times in first + counted.most_common():
        words = VERDICTS.get(verdict, OTHER)
        fix = "" if verdict == ACCEPTED else words.fix.format(token=project.token)
        found.append(Count(words.label, words.tone, times, fix))
    return found
