"""The table of all settings, in the order in which they are shown; the documentation is made of it."""

from vemetric.config import people, process, stores
from vemetric.config.option import Option

OPTIONS: tuple[Option, ...] = (*process.OPTIONS, *stores.OPTIONS, *people.OPTIONS)
# Settings that make sense only together.
TOGETHER = (
    ("VEMETRIC_TLS_CERTIFICATE", "VEMETRIC_TLS_KEY"),
    ("GOOGLE_CLIENT_ID", "GOOGLE_CLIENT_SECRET"),
    ("GITHUB_CLIENT_ID", "GITHUB_CLIENT_SECRET"),
    ("OIDC_ISSUER", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET"),
    ("AWS_S3_ENDPOINT", "AWS_S3_AVATARS_BUCKET"),
    ("BULLBOARD_USERNAME", "BULLBOARD_PASSWORD"),
)


def as_markdown() -> str:
    """The text of docs/configuration.md."""
    lines = [
        "# Configuration",
        "",
        "Settings are environment variables. None is needed. This page is made from `vemetric/config/`; "
        "`vemetric config` prints the values in force.",
        "",
        "A value that is not allowed, or a name that is nearly a known one, stops the start with a sentence that says "
        "what is wrong. Other unknown `VEMETRIC_*` names are only warned about.",
        "",
        "| variable | default | allowed | what it does |",
        "| --- | --- | --- | --- |",
    ]
    lines += [
        # An address in angle brackets would become a link.
        f"| `{o.name}` | {f'`{o.default}`' if o.default else 'none'} | {o.allowed.replace('<', '&lt;')} | {o.doc} |"
        for o in OPTIONS
    ]
    return "\n".join(lines) + "\n"
