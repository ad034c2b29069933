"""The whole relational schema in one place; migrations/ leads to it and a test holds the two equal.

Times are milliseconds since 1970 UTC. Random ids and tokens are text. What is secret is stored hashed, but for the
public project token and the invitation token, which its page shows again.
"""

from vemetric.database.tables.columns import UNSIGNED_64_MAX, JsonText, Unsigned64, metadata
from vemetric.database.tables.ingestion import erasure, identity, salt, user_merge
from vemetric.database.tables.letters import letter, mail_sequence, subscription
from vemetric.database.tables.people import (
    account,
    feature_flag,
    invitation,
    login,
    membership,
    oauth_identity,
    organization,
    password,
    setup_token,
    verification,
)
from vemetric.database.tables.projects import (
    api_key,
    event_icon,
    excluded_country,
    excluded_host,
    excluded_ip,
    excluded_path,
    funnel,
    invitation_project_access,
    project,
    project_access,
    public_access,
    saved_filter,
)

__all__ = [
    "UNSIGNED_64_MAX",
    "JsonText",
    "Unsigned64",
    "account",
    "api_key",
    "erasure",
    "event_icon",
    "excluded_country",
    "excluded_host",
    "excluded_ip",
    "excluded_path",
    "feature_flag",
    "funnel",
    "identity",
    "invitation",
    "invitation_project_access",
    "letter",
    "login",
    "mail_sequence",
    "membership",
    "metadata",
    "oauth_identity",
    "organization",
    "password",
    "project",
    "project_access",
    "public_access",
    "salt",
    "saved_filter",
    "setup_token",
    "subscription",
    "user_merge",
    "verification",
]
