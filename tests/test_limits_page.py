"""docs/limits.md says the bounds that the code has."""

import re

import pytest

from building.paths import ROOT
from vemetric import config
from vemetric.accounts import (
    api_keys,
    exclusions,
    funnels,
    invitations,
    logins,
    organizations,
    passwords,
    pictures,
    post,
    projects,
    saved_filters,
)
from vemetric.ingest import batch
from vemetric.model import filters, meters
from vemetric.queues import history
from vemetric.web import hub_batch, live
from vemetric.web.api import call, paging, requests, types

DEFAULTS = config.load({})[0]
PAGE = (ROOT / "docs" / "limits.md").read_text()
STATED = dict(re.findall(r"^\| (.+?) \| (.+?) \|$", PAGE, re.MULTILINE))
DAY_SECONDS, MINUTE_MS, HOUR_MS = 86_400, 60_000, 3_600_000
EXPECTED = {
    "body of a request": f"{call.BODY_BYTES_MAX:,} bytes",
    "jobs that wait": f"{DEFAULTS.queue_jobs_max:,} (`VEMETRIC_QUEUE_JOBS_MAX`)",
    "a visit ends after": f"{DEFAULTS.session_minutes} minutes",
    "events of a batch": f"{hub_batch.EVENTS_MAX}",
    "how old an event of a batch may be": f"{batch.TIMESTAMP_AGE_MS_MAX // HOUR_MS} hours",
    "how far ahead its time may be": f"{batch.TIMESTAMP_AHEAD_MS_MAX // MINUTE_MS} minutes",
    "past visits of a project that batches can still join": f"{batch.PAST_VISITS_MAX}",
    "projects of an organization": f"{projects.PROJECTS_MAX}",
    "organizations that an account administers": f"{organizations.ADMINISTERED_MAX}",
    "invitations that wait, of an organization": f"{invitations.PENDING_MAX}, for {invitations.VALID_DAYS} days",
    "API keys of a project": f"{api_keys.KEYS_MAX}",
    "excluded addresses and networks / countries / paths / hosts": (
        f"{exclusions.IPS_MAX} / {exclusions.COUNTRIES_MAX} / {exclusions.PATHS_MAX} / {exclusions.HOSTS_MAX}"
    ),
    "saved filters of a project": f"{saved_filters.PER_PROJECT_MAX}",
    "conditions of a filter, and how deep their groups": f"{filters.FILTERS_MAX}, {filters.DEPTH_MAX}",
    "funnels of a project": f"{funnels.PER_PROJECT_MAX}",
    "steps of a funnel": f"{funnels.STEPS_MAX}",
    "time from the first step to the last": f"a minute to {funnels.WINDOW_SECONDS_MAX // DAY_SECONDS} days",
    "a password": f"{passwords.LENGTH_MIN} to {passwords.LENGTH_MAX} characters",
    "a picture": f"{pictures.BYTES_MAX // 1_000_000} MB",
    "a login lasts": f"{logins.LIFETIME_DAYS} days after its last use",
    "letters are kept": f"{post.KEPT_DAYS} days",
    "live pages of an account / of an address / of a process": (
        f"{live.STREAMS_PER_ACCOUNT_MAX} / {live.STREAMS_PER_ADDRESS_MAX} / {live.STREAMS_MAX}"
    ),
    "requests of a key in a minute": f"{DEFAULTS.api_requests_per_minute} (",
    "rows of an answer": f"{types.LIMIT_MAX:,}",
    "events sent at once": f"{requests.EVENTS_MAX}",
    "a cursor works for": f"{paging.CURSOR_HOURS_MAX} hours",
    "memory of the engine": f"{DEFAULTS.engine_memory_mb} MB (",
    "attempts of a job before it is buried": f"{DEFAULTS.queue_retries + 1} (",
    "what is noted of a job that fails": (
        f"{history.ENTRIES_MAX} entries, for {history.KEPT_DAYS} days (for {history.TRIED_AGAIN_KEPT_DAYS} "
    ),
    "slow statements that are shown": f"the last {meters.SLOW_KEPT_MAX} of a process",
}


@pytest.mark.parametrize(("what", "bound"), EXPECTED.items())
def test_the_page_says_what_the_code_has(what: str, bound: str) -> None:
    assert STATED[what].startswith(bound)


def test_what_is_without_a_bound_is_so_by_default() -> None:
    assert f"| {DEFAULTS.hit_body_bytes_max // 1024} KiB (`VEMETRIC_HIT_BODY_BYTES_MAX`)" in PAGE
    unbounded = (DEFAULTS.ingest_requests_per_minute, DEFAULTS.memory_limit, DEFAULTS.retention_days)
    assert unbounded == (0, 0, 0)
    assert funnels.WINDOW_SECONDS_MIN == 60


def test_every_line_is_held_to_the_code() -> None:
    named = {
        what for what, bound in STATED.items() if what not in ("what", "---") and "_" not in bound.partition("(")[2]
    }
    assert named <= set(EXPECTED)
