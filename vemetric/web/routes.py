"""Every page and what it needs, to be read from top to bottom. The hub's paths are in hub.py."""

from enum import Enum, auto
from typing import NamedTuple

from aiohttp import web
from aiohttp.typedefs import Handler

from vemetric.web import assets, headers, slashes
from vemetric.web.api import door as api
from vemetric.web.pages import (
    api_docs,
    billing,
    dashboard,
    docs,
    events,
    exports,
    funnel_editor,
    funnels,
    install,
    live,
    overview,
    panels,
    public,
    reports,
    robots,
    setup,
    sign_in,
    theme,
    user,
    users,
)
from vemetric.web.pages import filters as filter_pages
from vemetric.web.pages.account import (
    access,
    letters,
    new_address,
    notifications,
    oauth,
    password,
    picture,
    sign_up,
    verify,
)
from vemetric.web.pages.account import general as account
from vemetric.web.pages.admin import job, mail, queues, schedule, system
from vemetric.web.pages.organization import creation, features, invitation, people, plan, usage
from vemetric.web.pages.organization import general as organization
from vemetric.web.pages.project import deletion, exclusions, general, icons, installation, keys
from vemetric.web.pages.project import people as tracked


class Access(Enum):
    """Who may ask. What an account may see of a project is decided in context.py.

    FILE: anybody, and nobody asks who it is. ANYBODY: signed in or not. ACCOUNT: others are sent to the login.
    OPERATOR: see operators.py.
    """

    FILE = auto()
    # Whoever has a key of the API, which web/api asks for.
    KEY = auto()
    ANYBODY = auto()
    ACCOUNT = auto()
    OPERATOR = auto()


class Route(NamedTuple):
    """A path with its handler."""

    method: str
    path: str
    handler: Handler
    access: Access


ROUTES = (
    Route("GET", "/docs/reference", api_docs.show, Access.ANYBODY),
    Route("GET", "/docs/reference/", slashes.lead_on, Access.ANYBODY),
    Route("GET", "/docs", docs.show, Access.ANYBODY),
    Route("GET", "/docs/{name:.*}", docs.show, Access.ANYBODY),
    Route("GET", "/static/{version}/{name:.+}", assets.send, Access.FILE),
    Route("GET", "/robots.txt", robots.show, Access.FILE),
    Route("POST", headers.REPORT_PATH, reports.take, Access.FILE),
    Route("POST", "/webhooks/paddle", billing.take, Access.FILE),
    Route("GET", "/setup", setup.show, Access.ANYBODY),
    Route("GET", "/setup/{token}", setup.show, Access.ANYBODY),
    Route("POST", "/setup/{token}", setup.complete, Access.ANYBODY),
    Route("GET", "/login", sign_in.show, Access.ANYBODY),
    Route("POST", "/login", sign_in.sign_in, Access.ANYBODY),
    Route("POST", "/logout", sign_in.sign_out, Access.ACCOUNT),
    Route("GET", "/signup", sign_up.show, Access.ANYBODY),
    Route("POST", "/signup", sign_up.sign_up, Access.ANYBODY),
    Route("GET", "/verify", verify.show, Access.ANYBODY),
    Route("POST", "/verify", verify.by_code, Access.ANYBODY),
    Route("POST", "/verify-again", verify.again, Access.ANYBODY),
    Route("GET", "/verify/{token}", verify.show_link, Access.ANYBODY),
    Route("POST", "/verify/{token}", verify.by_link, Access.ANYBODY),
    Route("GET", "/forgot", password.show_forgot, Access.ANYBODY),
    Route("POST", "/forgot", password.forgot, Access.ANYBODY),
    Route("GET", "/reset/{token}", password.show_reset, Access.ANYBODY),
    Route("POST", "/reset/{token}", password.reset, Access.ANYBODY),
    Route("GET", "/new-address/{token}", new_address.show, Access.ACCOUNT),
    Route("POST", "/new-address/{token}", new_address.take, Access.ACCOUNT),
    Route("POST", "/oauth/{provider}", oauth.begin, Access.ANYBODY),
    Route("GET", "/oauth/{provider}/callback", oauth.come_back, Access.ANYBODY),
    Route("GET", "/unsubscribe/{token}", notifications.ask_to_unsubscribe, Access.ANYBODY),
    Route("POST", "/unsubscribe/{token}", notifications.unsubscribe, Access.FILE),
    Route("GET", "/avatars/{name}", picture.show, Access.FILE),
    Route("GET", "/account", account.show, Access.ACCOUNT),
    Route("POST", "/account", account.save, Access.ACCOUNT),
    Route("POST", "/account/picture", account.save_picture, Access.ACCOUNT),
    Route("POST", "/account/picture/remove", account.remove_picture, Access.ACCOUNT),
    Route("GET", "/account/delete", account.ask_to_delete, Access.ACCOUNT),
    Route("POST", "/account/delete", account.delete, Access.ACCOUNT),
    Route("GET", "/account/sign-in", access.show, Access.ACCOUNT),
    Route("POST", "/account/email", access.change_email, Access.ACCOUNT),
    Route("POST", "/account/password", access.change_password, Access.ACCOUNT),
    Route("POST", "/account/password-link", access.mail_password_link, Access.ACCOUNT),
    Route("POST", "/account/logins/end-others", access.revoke_others, Access.ACCOUNT),
    Route("POST", "/account/logins/{login}/end", access.revoke, Access.ACCOUNT),
    Route("POST", "/account/identities/{provider}", oauth.connect, Access.ACCOUNT),
    Route("POST", "/account/identities/{provider}/remove", oauth.disconnect, Access.ACCOUNT),
    Route("GET", "/account/notifications", notifications.show, Access.ACCOUNT),
    Route("POST", "/account/notifications", notifications.save, Access.ACCOUNT),
    Route("GET", "/account/letters", letters.show, Access.ACCOUNT),
    Route("GET", "/account/letters/{letter}", letters.show_one, Access.ACCOUNT),
    Route("GET", "/admin", queues.overview, Access.OPERATOR),
    Route("POST", "/admin", queues.change_all, Access.OPERATOR),
    Route("GET", "/admin/queues/{queue}", queues.show, Access.OPERATOR),
    Route("POST", "/admin/queues/{queue}", queues.change, Access.OPERATOR),
    Route("GET", "/admin/queues/{queue}/empty", queues.ask_to_empty, Access.OPERATOR),
    Route("POST", "/admin/queues/{queue}/empty", queues.empty, Access.OPERATOR),
    Route("GET", "/admin/queues/{queue}/jobs/{job}", job.show, Access.OPERATOR),
    Route("POST", "/admin/queues/{queue}/jobs/{job}", job.change, Access.OPERATOR),
    Route("GET", "/admin/queues/{queue}/jobs/{job}/history", job.show_history, Access.OPERATOR),
    Route("GET", "/admin/queues/{queue}/dead/{job}", job.show_dead, Access.OPERATOR),
    Route("GET", "/admin/queues/{queue}/dead/{job}/history", job.show_dead_history, Access.OPERATOR),
    Route("POST", "/admin/queues/{queue}/dead/{job}", job.change_dead, Access.OPERATOR),
    Route("GET", "/admin/dead", job.all_dead, Access.OPERATOR),
    Route("POST", "/admin/dead", job.retry_all_dead, Access.OPERATOR),
    Route("GET", "/admin/schedule", schedule.show, Access.OPERATOR),
    Route("POST", "/admin/schedule/{entry}", schedule.run, Access.OPERATOR),
    Route("GET", "/admin/mail", mail.show, Access.OPERATOR),
    Route("GET", "/admin/mail/{letter}", mail.show_one, Access.OPERATOR),
    Route("GET", "/admin/system", system.show, Access.OPERATOR),
    Route("POST", "/theme", theme.choose, Access.ANYBODY),
    Route("GET", "/", overview.home, Access.ACCOUNT),
    Route("GET", "/o/{organization}", overview.show, Access.ACCOUNT),
    Route("GET", "/o/{organization}/projects/new", overview.new_project, Access.ACCOUNT),
    Route("POST", "/o/{organization}/projects/new", overview.create_project, Access.ACCOUNT),
    Route("GET", "/organizations/new", creation.show, Access.ACCOUNT),
    Route("POST", "/organizations/new", creation.create, Access.ACCOUNT),
    Route("GET", "/o/{organization}/settings", organization.show, Access.ACCOUNT),
    Route("POST", "/o/{organization}/settings", organization.save, Access.ACCOUNT),
    Route("GET", "/o/{organization}/leave", organization.ask_to_leave, Access.ACCOUNT),
    Route("POST", "/o/{organization}/leave", organization.leave, Access.ACCOUNT),
    Route("GET", "/o/{organization}/delete", organization.ask_to_delete, Access.ACCOUNT),
    Route("POST", "/o/{organization}/delete", organization.delete, Access.ACCOUNT),
    Route("GET", "/o/{organization}/settings/members", people.show, Access.ACCOUNT),
    Route("GET", "/o/{organization}/settings/members/{account}", people.show_member, Access.ACCOUNT),
    Route("POST", "/o/{organization}/settings/members/{account}", people.change_member, Access.ACCOUNT),
    Route("GET", "/o/{organization}/settings/members/{account}/remove", people.ask_to_remove, Access.ACCOUNT),
    Route("POST", "/o/{organization}/settings/members/{account}/remove", people.remove, Access.ACCOUNT),
    Route("POST", "/o/{organization}/settings/invitations", people.invite, Access.ACCOUNT),
    Route("POST", "/o/{organization}/settings/invitations/{token}/revoke", people.revoke, Access.ACCOUNT),
    Route("GET", "/o/{organization}/settings/usage", usage.show, Access.ACCOUNT),
    Route("POST", "/o/{organization}/settings/usage", usage.save, Access.ACCOUNT),
    Route("GET", "/o/{organization}/settings/billing/plans/{price}", plan.ask, Access.ACCOUNT),
    Route("POST", "/o/{organization}/settings/billing/plans/{price}", plan.take, Access.ACCOUNT),
    Route("POST", "/o/{organization}/settings/billing/portal", plan.portal, Access.ACCOUNT),
    Route("POST", "/o/{organization}/settings/billing/keep", plan.keep, Access.ACCOUNT),
    Route("GET", "/o/{organization}/settings/features", features.show, Access.ACCOUNT),
    Route("POST", "/o/{organization}/settings/features", features.save, Access.ACCOUNT),
    Route("GET", "/invite/{token}", invitation.show, Access.ANYBODY),
    Route("POST", "/invite/{token}", invitation.accept, Access.ACCOUNT),
    Route("GET", "/public/{domain}", public.show, Access.ANYBODY),
    Route("GET", "/public/{domain}/panels/{panel}", public.show_panel, Access.ANYBODY),
    Route("GET", "/public/{domain}/filter", public.show_filter, Access.ANYBODY),
    Route("GET", "/public/{domain}/filter/apply", public.apply_filter, Access.ANYBODY),
    Route("POST", "/public/{domain}/password", public.unlock, Access.ANYBODY),
    # The same by a secret link.
    Route("GET", "/public/{domain}/{token}", public.show, Access.ANYBODY),
    Route("GET", "/public/{domain}/{token}/panels/{panel}", public.show_panel, Access.ANYBODY),
    Route("GET", "/public/{domain}/{token}/filter", public.show_filter, Access.ANYBODY),
    Route("GET", "/public/{domain}/{token}/filter/apply", public.apply_filter, Access.ANYBODY),
    Route("POST", "/public/{domain}/{token}/password", public.unlock, Access.ANYBODY),
    Route("GET", "/p/{project}", dashboard.show, Access.ACCOUNT),
    Route("GET", "/p/{project}/panels/{panel}", panels.show, Access.ACCOUNT),
    Route("GET", "/p/{project}/export/users.{format}", users.export, Access.ACCOUNT),
    Route("GET", "/p/{project}/export/funnels.{format}", funnels.export, Access.ACCOUNT),
    Route("GET", "/p/{project}/export/{panel}.{format}", exports.send, Access.ACCOUNT),
    Route("GET", "/p/{project}/live", live.watch, Access.ACCOUNT),
    Route("GET", "/p/{project}/events", events.show, Access.ACCOUNT),
    Route("GET", "/p/{project}/events/export.{format}", events.export, Access.ACCOUNT),
    Route("GET", "/p/{project}/filter", filter_pages.show, Access.ACCOUNT),
    Route("GET", "/p/{project}/filter/apply", filter_pages.apply, Access.ACCOUNT),
    Route("POST", "/p/{project}/filters", filter_pages.change_saved, Access.ACCOUNT),
    Route("GET", "/p/{project}/users", users.show, Access.ACCOUNT),
    Route("GET", "/p/{project}/users/{user}", user.show, Access.ACCOUNT),
    Route("GET", "/p/{project}/user/{identifier:.+}", users.jump, Access.ACCOUNT),
    Route("GET", "/p/{project}/funnels", funnels.show, Access.ACCOUNT),
    Route("GET", "/p/{project}/funnels/new", funnel_editor.show_new, Access.ACCOUNT),
    Route("POST", "/p/{project}/funnels/new", funnel_editor.create, Access.ACCOUNT),
    Route("GET", "/p/{project}/funnels/{funnel}", funnels.show_one, Access.ACCOUNT),
    Route("GET", "/p/{project}/funnels/{funnel}/edit", funnel_editor.show, Access.ACCOUNT),
    Route("POST", "/p/{project}/funnels/{funnel}/edit", funnel_editor.change, Access.ACCOUNT),
    Route("GET", "/p/{project}/funnels/{funnel}/delete", funnel_editor.ask_to_delete, Access.ACCOUNT),
    Route("POST", "/p/{project}/funnels/{funnel}/delete", funnel_editor.delete, Access.ACCOUNT),
    Route("GET", "/p/{project}/waiting", install.watch, Access.ACCOUNT),
    Route("GET", "/p/{project}/settings", general.show, Access.ACCOUNT),
    Route("POST", "/p/{project}/settings", general.save, Access.ACCOUNT),
    Route("POST", "/p/{project}/settings/counting", general.count, Access.ACCOUNT),
    Route("POST", "/p/{project}/settings/retention", general.keep, Access.ACCOUNT),
    Route("POST", "/p/{project}/settings/public", general.publish, Access.ACCOUNT),
    Route("POST", "/p/{project}/settings/public/link", general.renew_link, Access.ACCOUNT),
    Route("GET", "/p/{project}/settings/token", general.ask_for_token, Access.ACCOUNT),
    Route("POST", "/p/{project}/settings/token", general.rotate_token, Access.ACCOUNT),
    Route("GET", "/p/{project}/settings/installation", installation.show, Access.ACCOUNT),
    Route("GET", "/p/{project}/settings/exclusions", exclusions.show, Access.ACCOUNT),
    Route("POST", "/p/{project}/settings/exclusions", exclusions.change, Access.ACCOUNT),
    Route("GET", "/p/{project}/settings/icons", icons.show, Access.ACCOUNT),
    Route("POST", "/p/{project}/settings/icons", icons.save, Access.ACCOUNT),
    Route("GET", "/p/{project}/settings/keys", keys.show, Access.ACCOUNT),
    Route("POST", "/p/{project}/settings/keys", keys.create, Access.ACCOUNT),
    Route("GET", "/p/{project}/settings/keys/{key}/revoke", keys.ask_to_revoke, Access.ACCOUNT),
    Route("POST", "/p/{project}/settings/keys/{key}/revoke", keys.revoke, Access.ACCOUNT),
    Route("GET", "/p/{project}/settings/people", tracked.show, Access.ACCOUNT),
    Route("GET", "/p/{project}/settings/people/{user}/export", tracked.export, Access.ACCOUNT),
    Route("GET", "/p/{project}/settings/people/{user}/erase", tracked.ask_to_erase, Access.ACCOUNT),
    Route("POST", "/p/{project}/settings/people/{user}/erase", tracked.erase, Access.ACCOUNT),
    Route("POST", "/p/{project}/demo/remove", deletion.remove_demo, Access.ACCOUNT),
    Route("GET", "/p/{project}/delete", deletion.ask, Access.ACCOUNT),
    Route("POST", "/p/{project}/delete", deletion.take, Access.ACCOUNT),
    Route("GET", "/p/{project}/delete/{token}", deletion.ask_by_link, Access.ACCOUNT),
    Route("POST", "/p/{project}/delete/{token}", deletion.delete_by_link, Access.ACCOUNT),
)
# Whom these answer, and with what, is said in web/api; what they do not know is a JSON of theirs, whatever the method.
API_ROUTES = (
    Route("GET", "/api", api.to_docs, Access.KEY),
    Route("GET", "/api/", api.to_docs, Access.KEY),
    Route("GET", "/api/docs", api.to_docs, Access.KEY),
    Route("GET", "/api/openapi.json", api_docs.document, Access.KEY),
    Route("*", "/api/v1", api.answer, Access.KEY),
    Route("*", "/api/v1/{path:(?s:.*)}", api.answer, Access.KEY),
    Route("*", "/api", api.nowhere, Access.KEY),
    Route("*", "/api/{path:(?s:.*)}", api.nowhere, Access.KEY),
)
BY_HANDLER = {route.handler: route.access for route in (*ROUTES, *API_ROUTES)}


def access_of(request: web.Request) -> Access:
    """Who may ask what this request asks; anybody may be told that there is nothing."""
    return BY_HANDLER.get(request.match_info.handler, Access.ANYBODY)


def add_to(app: web.Application) -> None:
    """Make the application answer every route; GET routes answer HEAD too."""
    for route in (*ROUTES, *API_ROUTES):
        app.router.add_route(route.method, route.path, route.handler)
        if route.method == "GET":
            app.router.add_route("HEAD", route.path, route.handler)
