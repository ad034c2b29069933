"""Pytest plugin of `build.py test`: how the tests are shared among processes.

A process takes a file at a time, so that what a file shares is made once. What takes long is begun first, so that none
is left with it at the end while the others have nothing to do.
"""

import pytest
from xdist.remote import Producer  # type: ignore[import-untyped]
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

# Folders of which one process does all, one test after the other: each test starts servers or windows of its own.
WHOLE = ("tests/journeys/", "tests/browser/")
# Folders in this order, then all others.
FIRST = (
    *WHOLE,
    "tests/workers/",
    "tests/queues/",
    "tests/backup/",
    "tests/moving/",
    "tests/test_",
    "tests/stats/",
    "tests/web/",
)


class Shares(LoadScopeScheduling):  # type: ignore[misc]
    """Gives out files, and some folders as wholes."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return next((folder for folder in WHOLE if file.startswith(folder)), file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Shares:
    return Shares(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: rank(item.nodeid))


def rank(nodeid: str) -> int:
    """The place of a test's folder in FIRST."""
    return next((place for place, folder in enumerate(FIRST) if nodeid.startswith(folder)), len(FIRST))
