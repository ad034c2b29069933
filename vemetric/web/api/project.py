"""GET /v1/project: the project that a key opens."""

from vemetric.web.api import instants
from vemetric.web.api.answers import Project, ProjectAnswer
from vemetric.web.api.call import Call


async def show(call: Call) -> ProjectAnswer:
    """The project."""
    project = call.project
    first_ms = project.first_event_at_ms
    return ProjectAnswer(
        Project(
            id=str(project.id),
            name=project.name,
            domain=project.domain,
            token=project.token,
            created_at=instants.in_milliseconds(project.created_at_ms),
            first_event_at=None if first_ms is None else instants.in_milliseconds(first_ms),
            has_public_dashboard=project.public_dashboard,
            excluded_ips=project.excluded_ips,
            excluded_countries=project.excluded_countries,
        )
    )
