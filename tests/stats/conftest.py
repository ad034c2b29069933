"""Statistics over rows written as the workers write them, on every engine; every test has a project of its own."""

import pytest

from tests.kit import engines
from tests.stats import history
from vemetric.clickhouse.engine import Engine
from vemetric.model.project import Project

# For tests of what a statement counts, which is the same everywhere: that every backend runs it others show.
in_process = pytest.mark.parametrize("engine", ["embedded"], indirect=True)


@pytest.fixture(params=engines.BACKENDS)
def engine(request: pytest.FixtureRequest, engine: Engine) -> Engine:
    """Every backend in turn, instead of the one in the process alone."""
    if request.param == "embedded":
        return engine
    opened: Engine = request.getfixturevalue("server_engine")
    return opened


@pytest.fixture
def project() -> Project:
    return history.a_project()
