"""Statistics over rows written as the workers write them, on every engine; every test has a project of its own."""

import pytest

from tests.kit import engines
from tests.stats import history
from vemetric.clickhouse.engine import Engine
from vemetric.model.project import Project

# For tests of what a statement counts, which is the same everywhere: that every backend runs it others show.
in_process = pytest.mark.parametrize("backend", ["embedded"], indirect=True)


# Not named as the engine of the whole run is: that would be closed and opened anew with each change of the parameter.
@pytest.fixture(params=engines.BACKENDS)
def backend(request: pytest.FixtureRequest) -> Engine:
    """Every backend in turn."""
    opened: Engine = request.getfixturevalue({"embedded": "engine", "server": "server_engine"}[request.param])
    return opened


@pytest.fixture
def project() -> Project:
    return history.a_project()
