"""Who gets what from every route: data that test_matrix.py holds the product to. A route without a row fails there.

A row's answers are those to, in this order: nobody, a stranger, a member with access to the project, a member without,
an admin, the operator. `login` stands for being sent there. An API key, of this project or of another one, opens no
page: whoever sends one with nothing else is nobody, unless the row says otherwise under `key` and `other_key`.

The names in braces of a path stand for things of the organization Acme, its project and its people (see PLACES in
test_matrix.py); a row may name others under `places`. `form` is filled in well enough to be taken.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

NOTHING: Mapping[str, str] = MappingProxyType({})
ASKERS = ("nobody", "stranger", "member", "member without", "admin", "operator")


class Row(NamedTuple):
    """What a route answers. `answers`: one word per asker."""

    answers: str
    form: Mapping[str, str] = NOTHING
    places: Mapping[str, str] = NOTHING
    key: str = ""
    other_key: str = ""
    # Streams without an end are asked for their head only.
    is_stream: bool = False


# A name in braces with the pattern of what may stand for it, which may have braces itself.
_PATTERN = re.compile(r"\{(\w+):(?:[^{}]|\{[^{}]*\})*\}")


def plain(path: str) -> str:
    """A route's path with nothing but names in its braces."""
    return _PATTERN.sub(r"{\1}", path)


# Of whom a page asks nothing.
OPEN = "200 200 200 200 200 200"
# Where everybody is sent to the login once set-up is done.
TO_LOGIN = "login login login login login login"
# What every account may do for itself: the answer is a page, or another page afterwards.
OWN = "login 200 200 200 200 200"
DONE = "login 303 303 303 303 303"
# What an organization's members see and its admins change.
MEMBERS = "login 404 200 200 200 200"
ADMINS = "login 404 403 403 200 200"
CHANGE = "login 404 403 403 303 303"
# The same of a project, which a member without access to it does not see.
SEEN = "login 404 200 404 200 200"
PROJECT_ADMINS = "login 404 403 404 200 200"
PROJECT_CHANGE = "login 404 403 404 303 303"
# What everybody who sees a project may change.
MEMBER_CHANGE = "login 404 303 404 303 303"
OPERATOR = "login 404 404 404 404 200"
OPERATOR_CHANGE = "login 404 404 404 404 303"
# What an operator would see if it were there.
OPERATOR_GONE = "login 404 404 404 404 404"

# A link or a service that there is none of.
GONE = "404 404 404 404 404 404"
OWN_GONE = "login 404 404 404 404 404"
# A form that asks for proof, without it.
UNPROVED = "login 400 400 400 400 400"

# The secret link of a public dashboard, with a token that is none.
LINK = {"token": "A" * 24}
ACCOUNT_FORM = {"role": "member"}
PROJECT_FORM = {"name": "Blog", "domain": "blog.example.com", "time_zone": "UTC"}
FUNNEL_FORM = {"name": "Sign-up", "amount": "7", "unit": "days", "step.0.id": "a", "step.0.path": "/pricing"}

ROWS = {
    "GET /static/{version}/{name:.+}": Row(OPEN),
    "GET /robots.txt": Row(OPEN),
    "GET /docs": Row("303 303 303 303 303 303"),
    "GET /docs/{name:.*}": Row(OPEN, places={"name": ""}),
    "GET /docs/reference": Row(OPEN),
    "GET /docs/reference/": Row("308 308 308 308 308 308"),
    "POST /csp-report": Row("204 204 204 204 204 204"),
    # Billing is off unless a setting switches it on.
    "POST /webhooks/paddle": Row(GONE),
    "GET /setup": Row(TO_LOGIN),
    "GET /setup/{token}": Row(TO_LOGIN),
    "POST /setup/{token}": Row(TO_LOGIN),
    "GET /login": Row("200 303 303 303 303 303"),
    "POST /login": Row("401 401 401 401 401 401", {"email": "alice@example.com", "password": "wrong password"}),
    "POST /logout": Row(TO_LOGIN),
    # Sign-up is closed unless a setting opens it.
    "GET /signup": Row("403 303 303 303 303 303"),
    "POST /signup": Row("403 403 403 403 403 403", {"name": "Eve", "email": "e@example.com", "password": "12345678"}),
    "GET /verify": Row(TO_LOGIN),
    "POST /verify": Row("400 400 400 400 400 400", {"email": "alice@example.com", "code": "123456"}),
    "POST /verify-again": Row("303 303 303 303 303 303", {"email": "alice@example.com"}),
    "GET /verify/{token}": Row(GONE),
    "POST /verify/{token}": Row(GONE),
    "GET /forgot": Row(OPEN),
    "POST /forgot": Row(OPEN, {"email": "alice@example.com"}),
    "GET /reset/{token}": Row(GONE),
    "POST /reset/{token}": Row(GONE, {"password": "a new password"}),
    "GET /new-address/{token}": Row(OWN_GONE),
    "POST /new-address/{token}": Row(OWN_GONE),
    "POST /oauth/{provider}": Row(GONE, {"next": "/"}),
    "GET /oauth/{provider}/callback": Row(GONE),
    "GET /unsubscribe/{token}": Row(GONE),
    "POST /unsubscribe/{token}": Row(GONE),
    "GET /avatars/{name}": Row(GONE, places={"name": "x.png"}),
    "GET /account": Row(OWN),
    "POST /account": Row(DONE, {"name": "Olga Another"}),
    "POST /account/picture": Row(UNPROVED),
    "POST /account/picture/remove": Row(DONE),
    "GET /account/delete": Row(OWN),
    "POST /account/delete": Row(UNPROVED, {"typed": "alice@example.com", "password": "wrong password"}),
    "GET /account/sign-in": Row(OWN),
    "POST /account/email": Row(UNPROVED, {"email": "new@example.com", "email_password": "wrong password"}),
    "POST /account/password": Row(UNPROVED, {"current_password": "wrong", "new_password": "a new password"}),
    "POST /account/password-link": Row(DONE),
    "POST /account/logins/end-others": Row(DONE),
    "POST /account/logins/{login}/end": Row(DONE),
    "POST /account/identities/{provider}": Row(OWN_GONE),
    "POST /account/identities/{provider}/remove": Row(OWN_GONE),
    "GET /account/notifications": Row(OWN),
    "POST /account/notifications": Row(DONE, {"tips": "on"}),
    "GET /account/letters": Row(OPERATOR),
    "GET /account/letters/{letter}": Row(OWN_GONE),
    "GET /admin": Row(OPERATOR),
    "POST /admin": Row(OPERATOR_CHANGE, {"action": "resume"}),
    "GET /admin/queues/{queue}": Row(OPERATOR),
    "POST /admin/queues/{queue}": Row(OPERATOR_CHANGE, {"action": "resume"}),
    "GET /admin/queues/{queue}/empty": Row(OPERATOR_GONE),
    "POST /admin/queues/{queue}/empty": Row(OPERATOR_CHANGE, {"action": "delayed"}),
    # There is no such job.
    "GET /admin/queues/{queue}/jobs/{job}": Row(OPERATOR_GONE),
    "POST /admin/queues/{queue}/jobs/{job}": Row(OPERATOR_GONE, {"action": "remove"}),
    "GET /admin/queues/{queue}/jobs/{job}/history": Row(OPERATOR_GONE),
    "GET /admin/queues/{queue}/dead/{job}": Row(OPERATOR_GONE),
    "GET /admin/queues/{queue}/dead/{job}/history": Row(OPERATOR_GONE),
    "POST /admin/queues/{queue}/dead/{job}": Row(OPERATOR_GONE, {"action": "retry"}),
    "GET /admin/dead": Row(OPERATOR),
    "POST /admin/dead": Row(OPERATOR_CHANGE),
    "GET /admin/schedule": Row(OPERATOR),
    # Nobody has looked at the schedule.
    "POST /admin/schedule/{entry}": Row(OPERATOR_GONE),
    "GET /admin/mail": Row(OPERATOR),
    "GET /admin/mail/{letter}": Row(OPERATOR_GONE),
    "GET /admin/system": Row(OPERATOR),
    "POST /theme": Row("303 303 303 303 303 303", {"theme": "dark", "next": "/"}),
    "GET /": Row(DONE),
    "GET /organizations/new": Row(OWN),
    "POST /organizations/new": Row(DONE, {"name": "Another"}),
    "GET /o/{organization}": Row(MEMBERS),
    "GET /o/{organization}/projects/new": Row(ADMINS),
    "POST /o/{organization}/projects/new": Row(CHANGE, PROJECT_FORM),
    "GET /o/{organization}/settings": Row(MEMBERS),
    "POST /o/{organization}/settings": Row(CHANGE, {"name": "Acme 2"}),
    "GET /o/{organization}/leave": Row(MEMBERS),
    # The last admin cannot, and the operator is in no organization.
    "POST /o/{organization}/leave": Row("login 404 303 303 409 404"),
    "GET /o/{organization}/delete": Row(ADMINS),
    "POST /o/{organization}/delete": Row(CHANGE, {"typed": "Acme"}),
    "GET /o/{organization}/settings/members": Row(ADMINS),
    "GET /o/{organization}/settings/members/{account}": Row(ADMINS),
    "POST /o/{organization}/settings/members/{account}": Row(CHANGE, ACCOUNT_FORM),
    "GET /o/{organization}/settings/members/{account}/remove": Row(ADMINS),
    "POST /o/{organization}/settings/members/{account}/remove": Row(CHANGE),
    "POST /o/{organization}/settings/invitations": Row(CHANGE, ACCOUNT_FORM),
    "POST /o/{organization}/settings/invitations/{token}/revoke": Row(CHANGE, places={"token": "{invitation}"}),
    "GET /o/{organization}/settings/usage": Row(ADMINS),
    "POST /o/{organization}/settings/usage": Row(CHANGE, {"limit": "1000"}),
    # Nor is anything asked of who bills, unless another one does.
    "GET /o/{organization}/settings/billing/plans/{price}": Row(OWN_GONE),
    "POST /o/{organization}/settings/billing/plans/{price}": Row(OWN_GONE),
    "POST /o/{organization}/settings/billing/portal": Row(OWN_GONE),
    "POST /o/{organization}/settings/billing/keep": Row(OWN_GONE),
    "GET /o/{organization}/settings/features": Row(OPERATOR),
    "POST /o/{organization}/settings/features": Row(OPERATOR_CHANGE, {"flags": "beta"}),
    "GET /invite/{token}": Row(OPEN, places={"token": "{invitation}"}),
    "POST /invite/{token}": Row("login 303 409 409 409 303", places={"token": "{invitation}"}),
    # No project is public unless a setting makes it so.
    "GET /public/{domain}": Row(GONE),
    "GET /public/{domain}/panels/{panel}": Row(GONE),
    "GET /public/{domain}/filter": Row(GONE),
    "GET /public/{domain}/filter/apply": Row(GONE),
    "POST /public/{domain}/password": Row(GONE),
    "GET /public/{domain}/{token}": Row(GONE, places=LINK),
    "GET /public/{domain}/{token}/panels/{panel}": Row(GONE, places=LINK),
    "GET /public/{domain}/{token}/filter": Row(GONE, places=LINK),
    "GET /public/{domain}/{token}/filter/apply": Row(GONE, places=LINK),
    "POST /public/{domain}/{token}/password": Row(GONE, places=LINK),
    "GET /p/{project}": Row(SEEN),
    "GET /p/{project}/panels/{panel}": Row(SEEN),
    "GET /p/{project}/export/{panel}.{format}": Row(SEEN, places={"panel": "pages", "format": "csv"}),
    "GET /p/{project}/export/users.{format}": Row(SEEN, places={"format": "csv"}),
    "GET /p/{project}/export/funnels.{format}": Row(SEEN, places={"format": "csv"}),
    "GET /p/{project}/funnels": Row(SEEN),
    "GET /p/{project}/funnels/new": Row(PROJECT_ADMINS),
    "POST /p/{project}/funnels/new": Row(PROJECT_CHANGE, FUNNEL_FORM),
    "GET /p/{project}/funnels/{funnel}": Row(SEEN),
    "GET /p/{project}/funnels/{funnel}/edit": Row(PROJECT_ADMINS),
    "POST /p/{project}/funnels/{funnel}/edit": Row(PROJECT_CHANGE, FUNNEL_FORM),
    "GET /p/{project}/funnels/{funnel}/delete": Row(PROJECT_ADMINS),
    "POST /p/{project}/funnels/{funnel}/delete": Row(PROJECT_CHANGE),
    "GET /p/{project}/users": Row(SEEN),
    # There is no user yet.
    "GET /p/{project}/users/{user}": Row(OWN_GONE),
    "GET /p/{project}/user/{identifier:.+}": Row(OWN_GONE),
    "GET /p/{project}/live": Row(SEEN, is_stream=True),
    "GET /p/{project}/events": Row(SEEN),
    "GET /p/{project}/events/export.{format}": Row(SEEN, places={"format": "csv"}),
    "GET /p/{project}/filter": Row(SEEN),
    # Without a type there is no form that could be taken.
    "GET /p/{project}/filter/apply": Row(OWN_GONE),
    "POST /p/{project}/filters": Row(MEMBER_CHANGE, {"action": "keep", "name": "New", "f": "user(anonymous)"}),
    "GET /p/{project}/waiting": Row(SEEN, is_stream=True),
    "GET /p/{project}/settings": Row(SEEN),
    "POST /p/{project}/settings": Row(PROJECT_CHANGE, {"name": "Shop 2", "domain": "two.example", "time_zone": "UTC"}),
    "POST /p/{project}/settings/counting": Row(PROJECT_CHANGE, {"events_prevent_bounce": "on"}),
    "POST /p/{project}/settings/retention": Row(PROJECT_CHANGE, {"retention_days": "90"}),
    "POST /p/{project}/settings/public": Row(PROJECT_CHANGE, {"is_public": "on"}),
    "POST /p/{project}/settings/public/link": Row(PROJECT_CHANGE),
    "GET /p/{project}/settings/token": Row(PROJECT_ADMINS),
    "POST /p/{project}/settings/token": Row(PROJECT_CHANGE),
    "GET /p/{project}/settings/installation": Row(SEEN),
    "GET /p/{project}/settings/exclusions": Row(SEEN),
    "POST /p/{project}/settings/exclusions": Row(
        PROJECT_CHANGE, {"action": "exclude", "kind": "ip", "value": "203.0.113.9"}
    ),
    "GET /p/{project}/settings/icons": Row(SEEN),
    "POST /p/{project}/settings/icons": Row(PROJECT_CHANGE, {"event_name": "Signup", "icon": "🎉"}),
    "GET /p/{project}/settings/keys": Row(PROJECT_ADMINS),
    # The new key is in the answer itself.
    "POST /p/{project}/settings/keys": Row(PROJECT_ADMINS, {"name": "Reports"}),
    "GET /p/{project}/settings/keys/{key}/revoke": Row(PROJECT_ADMINS),
    "POST /p/{project}/settings/keys/{key}/revoke": Row(PROJECT_CHANGE),
    "GET /p/{project}/settings/people": Row(PROJECT_ADMINS),
    "GET /p/{project}/settings/people/{user}/export": Row(PROJECT_ADMINS),
    "GET /p/{project}/settings/people/{user}/erase": Row(PROJECT_ADMINS),
    "POST /p/{project}/settings/people/{user}/erase": Row(PROJECT_CHANGE, {"typed": "7"}),
    # The project is no demo.
    "POST /p/{project}/demo/remove": Row("login 404 403 404 404 404"),
    "GET /p/{project}/delete": Row(PROJECT_ADMINS),
    "POST /p/{project}/delete": Row(PROJECT_CHANGE, {"typed": "shop.example.com"}),
    # The link of a letter, of which there is none.
    "GET /p/{project}/delete/{token}": Row("login 404 403 404 404 404"),
    "POST /p/{project}/delete/{token}": Row("login 404 403 404 404 404"),
}
