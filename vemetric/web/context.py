"""What a page knows about the request it answers: who asks, from where, and how it looks. Made by middleware.py."""

from dataclasses import dataclass

from aiohttp import web

from vemetric import errors
from vemetric.accounts import access
from vemetric.model.account import Account, Login
from vemetric.model.organization import Organization, Role
from vemetric.model.project import Project
from vemetric.services import Services
from vemetric.web import forms

PROJECT_ID_DIGITS_MAX = 20
PROJECT_IDS = 1 << 64
# The themes that a cookie can name; without one it is the system's.
THEMES = ("light", "dark")


@dataclass(slots=True)
class Context:
    """One request, as pages see it.

    origin: scheme, host, port and base path that people and sites use, no slash at the end. forms_key: see forms.py.
    is_fragment: asked for by a script that swaps a part of the page. theme: `light`, `dark` or '' for the system's.
    login_token: of the login's cookie. new_forms_secret: what a new browser has yet to be given, '' for others.
    """

    services: Services
    origin: str
    is_secure: bool
    ip: str
    theme: str
    is_fragment: bool
    account: Account | None = None
    login: Login | None = None
    login_token: str = ""
    new_forms_secret: str = ""
    forms_key: bytes = b""

    @property
    def csrf(self) -> str:
        """A token for one form."""
        return forms.csrf_token(self.forms_key)

    @property
    def signed_in(self) -> Account:
        """The account; only for routes that need one."""
        if self.account is None:
            raise errors.Unauthorized
        return self.account


CONTEXT = web.RequestKey("context", Context)
SERVICES = web.AppKey("services", Services)


def of(request: web.Request) -> Context:
    """The request's context."""
    return request[CONTEXT]


async def project_of(request: web.Request) -> Project:
    """The project of the path, if the account may see it; NotFound alike for one that does not exist."""
    context = of(request)
    text = request.match_info["project"]
    if not is_project_id(text):
        raise errors.NotFound
    project = await access.project_for(context.services.database, context.signed_in, int(text))
    if project is None:
        raise errors.NotFound
    return project


def is_project_id(text: str) -> bool:
    """Whether the text is the number of a project that may exist."""
    is_number = text.isascii() and text.isdigit() and len(text) <= PROJECT_ID_DIGITS_MAX
    return is_number and int(text) < PROJECT_IDS


async def may_change(request: web.Request, organization_id: str) -> bool:
    """Whether the account may change things in the organization."""
    context = of(request)
    return await access.role_in(context.services.database, context.signed_in, organization_id) is Role.ADMIN


async def project_to_change(request: web.Request) -> Project:
    """The project of the path, for somebody who may change it; Forbidden for those who may only see it."""
    project = await project_of(request)
    if not await may_change(request, project.organization_id):
        raise errors.Forbidden("Only an admin of the organization can change this.")
    return project


async def organization_of(request: web.Request) -> Organization:
    """The organization of the path, if the account is in it; NotFound alike for one that does not exist."""
    context = of(request)
    for organization in await access.organizations_of(context.services.database, context.signed_in):
        if organization.id == request.match_info["organization"]:
            return organization
    raise errors.NotFound


async def organization_to_change(request: web.Request) -> Organization:
    """The organization of the path, for one of its admins; Forbidden for its members."""
    organization = await organization_of(request)
    if not await may_change(request, organization.id):
        raise errors.Forbidden("Only an admin of the organization can see and change this.")
    return organization


def for_operator(request: web.Request) -> None:
    """Let nobody on but the operator; for others the page does not exist."""
    if not of(request).signed_in.is_operator:
        raise errors.NotFound
