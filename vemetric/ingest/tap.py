"""The live tap: what the hub has seen lately and what became of it, for the waiting page. Counts of refusals too.

Entries are collected in memory and written to Keys about once a second; they hold nothing that is not stored anyway.
Accepted requests are noted of projects that wait for their first event, and of those that somebody looks at.
"""

from collections import Counter, deque

import msgspec

from vemetric import errors
from vemetric.clock import Clock
from vemetric.ingest import jobs
from vemetric.ingest.refuse import Refusal
from vemetric.model.project import Project
from vemetric.model.text import well_formed
from vemetric.queues.job import KeySet
from vemetric.queues.keys import Keys

TAP_MS = 15 * 60_000
ENTRIES_PER_FLUSH_MAX = 50
TEXT_LENGTH_MAX = 200
# Whose accepted requests are noted, and until when: a look lasts so long, and is renewed in its second half.
WATCHED_KEY = "tap-watched"
WATCH_MS = 60_000
WATCHED_MAX = 100
# Entries of no project: wrong tokens and scripts loaded from localhost, for the operator.
NO_PROJECT = 0


class TapEntry(msgspec.Struct, frozen=True):
    """One request. verdict: `accepted` or a Refusal. detail: what helps to mend it (an origin, a country)."""

    at_ms: int
    verdict: str
    name: str = ""
    url: str = ""
    detail: str = ""


def key_prefix(project_id: int) -> str:
    return f"tap:{project_id}:"


class Tap:
    """Collects entries and refusal counts; `flush` writes them."""

    def __init__(self, keys: Keys, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock
        self._entries: dict[int, deque[TapEntry]] = {}
        self._counts: Counter[str] = Counter()
        self._serial = 0
        self._watched: dict[int, int] = {}

    async def watch(self, project_id: int) -> None:
        """Somebody looks at the project: note its accepted requests too, for a minute. Raises Unavailable."""
        now_ms = self._clock.now_ms()
        if self._watched.get(project_id, 0) - now_ms > WATCH_MS // 2:
            return
        await self._look()
        self._watched[project_id] = now_ms + WATCH_MS
        latest = sorted(self._watched.items(), key=lambda pair: pair[1])[-WATCHED_MAX:]
        await self._keys.set([KeySet(WATCHED_KEY, msgspec.json.encode(latest), now_ms + WATCH_MS)])

    def notes_accepted(self, project: Project) -> bool:
        """Whether what is accepted of the project is to be noted; asked of every hit."""
        return project.first_event_at_ms is None or project.id in self._watched

    def accepted(self, project_id: int, name: str, url: str) -> None:
        self._add(project_id, "accepted", name, url, "")

    def refused(self, project_id: int, refusal: Refusal, name: str = "", url: str = "", detail: str = "") -> None:
        self._counts[jobs.refused_counter(project_id, refusal, self._clock.now_ms())] += 1
        self._add(project_id, refusal, name, url, detail)

    def _add(self, project_id: int, verdict: str, name: str, url: str, detail: str) -> None:
        entries = self._entries.setdefault(project_id, deque(maxlen=ENTRIES_PER_FLUSH_MAX))
        # A path or a header may hold bytes that are no text.
        texts = (well_formed(text[:TEXT_LENGTH_MAX]) for text in (name, url, detail))
        entries.append(TapEntry(self._clock.now_ms(), verdict, *texts))

    async def flush(self) -> None:
        """Write what was collected. While the store is down the counts are kept and the newest entries too."""
        entries, self._entries = self._entries, {}
        counts, self._counts = self._counts, Counter()
        sets = [self._key_set(project_id, entry) for project_id, some in entries.items() for entry in some]
        try:
            if sets:
                await self._keys.set(sets)
                entries = {}
            if counts:
                await self._keys.add(counts)
                counts.clear()
            await self._look()
        except errors.Unavailable:
            for project_id, newer in self._entries.items():
                entries.setdefault(project_id, deque(maxlen=ENTRIES_PER_FLUSH_MAX)).extend(newer)
            self._entries = entries
            self._counts.update(counts)

    async def _look(self) -> None:
        """Find out whose requests somebody looks at, in this process or in another."""
        stored = await self._keys.get(WATCHED_KEY)
        found = [] if stored is None else msgspec.json.decode(stored, type=list[tuple[int, int]])
        self._watched = {project_id: until for project_id, until in found if until > self._clock.now_ms()}

    def _key_set(self, project_id: int, entry: TapEntry) -> KeySet:
        self._serial = (self._serial + 1) % 10_000
        name = f"{key_prefix(project_id)}{entry.at_ms}:{self._serial:04}"
        return KeySet(name, msgspec.json.encode(entry), entry.at_ms + TAP_MS)
