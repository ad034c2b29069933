"""Statistics over rows written as the workers write them; every test has a project of its own."""

import pytest

from tests.stats import history
from vemetric.model.project import Project


@pytest.fixture
def project() -> Project:
    return history.a_project()
