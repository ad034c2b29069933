"""Every letter we write, in words. layout.html and layout.txt make a mail of each, so that both always say the same."""

from collections.abc import Sequence
from pathlib import Path

import jinja2
import msgspec

from vemetric.enrich import page
from vemetric.model.letter import Draft

TEMPLATES = Path(__file__).parent / "templates"


class Button(msgspec.Struct, frozen=True):
    """What a letter is for. is_grave: it destroys something."""

    label: str
    url: str
    is_grave: bool = False


class Words(msgspec.Struct, frozen=True):
    """What a letter says, in its order. after: small print below the button. heading: the subject where it is ''."""

    kind: str
    subject: str
    paragraphs: tuple[str, ...]
    code: str = ""
    button: Button | None = None
    bullets: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    heading: str = ""


NOT_YOU = "If this was not you, there is nothing to do: without the link nothing happens."
DO_NOT_FORWARD = "Do not forward this letter: whoever has the link can use it."


def verify_email(url: str, code: str, code_minutes: int, link_hours: int) -> Words:
    """To a new address: the code to type, or the link."""
    return Words(
        "verify-email",
        f"{code} is your code for Vemetric",
        ("Thank you for signing up. Type this code on the page that asks for it:",),
        code=code,
        button=Button("Confirm this address", url),
        after=(
            f"The code is valid for {code_minutes} minutes. The button does the same, for {_hours(link_hours)}.",
            "If you did not sign up, there is nothing to do.",
        ),
        heading="Confirm your address",
    )


def address_is_taken(login_url: str, forgot_url: str) -> Words:
    """To somebody who signs up with an address that has an account."""
    return Words(
        "address-taken",
        "You have an account already",
        (
            "Somebody, probably you, wanted to make an account with this address. There is one already, so nothing "
            "was made or changed.",
        ),
        button=Button("Sign in", login_url),
        after=(f"If you forgot the password, set a new one: {forgot_url}",),
    )


def confirm_new_address(name: str, url: str, hours: int) -> Words:
    """To the address that an account shall have from now on."""
    return Words(
        "change-email",
        "Confirm your new address",
        (f"Hello {name},", "You asked for letters and logins of your account to use this address."),
        button=Button("Use this address", url),
        after=(f"The link is valid for {_hours(hours)}.", NOT_YOU),
    )


def address_was_changed(name: str, new_email: str) -> Words:
    """To the address that an account had until now."""
    return Words(
        "email-changed",
        "Your address was changed",
        (
            f"Hello {name},",
            f"Your account now has the address {new_email}. This one is not used any more.",
            "If this was not you, tell whoever runs this server at once.",
        ),
    )


def reset_password(name: str, url: str, hours: int) -> Words:
    """To somebody who forgot the password, or never had one."""
    return Words(
        "reset-password",
        "Set a new password",
        (f"Hello {name},", "Here is the link to set a new password for your account."),
        button=Button("Set a new password", url),
        after=(f"It works once, within {_hours(hours)}. {DO_NOT_FORWARD}", NOT_YOU),
    )


def password_was_changed(name: str, forgot_url: str, connected: Sequence[str], settings_url: str) -> Words:
    """To the account's owner, after a new password was set. connected: the services that still let somebody in."""
    services = (
        f"Signing in with {' and '.join(connected)} works as before. Disconnect what is not yours: {settings_url}",
    )
    return Words(
        "password-changed",
        "Your password was changed",
        (f"Hello {name},", "The password of your account was changed, and its other logins have ended."),
        after=(*(services if connected else ()), f"If this was not you, set another one now: {forgot_url}"),
    )


def service_was_connected(name: str, service: str, settings_url: str) -> Words:
    """To the account's owner, after it was connected with a service: that is another way in."""
    return Words(
        "service-connected",
        f"You can sign in with {service} now",
        (f"Hello {name},", f"Your account was connected with {service}: from now on it is a way to sign in."),
        button=Button("See how you sign in", settings_url),
        after=("If this was not you, disconnect it there and change your password.",),
    )


def invitation(organization: str, inviter: str, inviter_email: str, url: str, days: int) -> Words:
    """To somebody who is asked to join an organization. The address says who it is whatever the names pretend."""
    return Words(
        "invitation",
        f"Join {organization} on Vemetric",
        (f"{inviter} ({_told(inviter_email)}) invites you to {organization}, to look at its web analytics together.",),
        button=Button("See the invitation", url),
        after=(
            f"The invitation is valid for {days} days. {DO_NOT_FORWARD}",
            "If you do not know who this is, there is nothing to do.",
        ),
    )


def project_deletion(name: str, project: str, domain: str, url: str, hours: int) -> Words:
    """To an admin who asked for a project to be deleted: the link leads to a page that asks once more."""
    return Words(
        "project-deletion",
        f"Delete {project}?",
        (
            f"Hello {name},",
            f"You asked for the project {project} ({domain}) to be deleted, with every event, visitor and funnel in "
            "it. That cannot be undone.",
        ),
        button=Button("Delete this project", url, is_grave=True),
        after=(f"The link asks once more, and is valid for {_hours(hours)}. {NOT_YOU}",),
    )


def subscription_started(organization: str, url: str) -> Words:
    """To the admins, after a subscription was bought."""
    return Words(
        "subscription-started",
        "Thank you for subscribing",
        (f"The subscription of {organization} has begun. Thank you for keeping this service going.",),
        button=Button("See plan and usage", url),
    )


def subscription_cancelled(organization: str, url: str) -> Words:
    """To the admins, after a subscription was cancelled."""
    return Words(
        "subscription-cancelled",
        "Your subscription was cancelled",
        (
            f"The subscription of {organization} was cancelled. What was counted stays, and counting goes on.",
            "Would you tell us what was missing? An answer to this letter reaches a person.",
        ),
        button=Button("See plan and usage", url),
    )


def no_project_yet(name: str, url: str) -> Words:
    """A day after signing up, to somebody who has no project."""
    return Words(
        "no-project-1",
        "Your first project",
        (f"Hello {name},", "Your account is ready, and only a site is missing. A project takes a minute:"),
        bullets=(
            "make a project with the domain of your site",
            "copy one line into its pages",
            "open the dashboard: the first visit shows at once",
        ),
        button=Button("Make a project", url),
    )


def no_project_still(name: str, url: str) -> Words:
    """Three days later, if there is none still."""
    return Words(
        "no-project-2",
        "Is something in the way?",
        (
            f"Hello {name},",
            "You have no project yet. If something is unclear, answer this letter: it reaches whoever runs this "
            "server, who can set it up together with you.",
        ),
        button=Button("Make a project", url),
    )


def no_events_yet(name: str, project: str, url: str) -> Words:
    """Two days after a project was made that has seen no event."""
    return Words(
        "no-events-1",
        f"{project} has no visits yet",
        (f"Hello {name},", f"The project {project} waits for its first event. What is usually in the way:"),
        bullets=(
            "the line of script is missing on the live site, or has the token of another project",
            "the site forbids it with a content security policy",
            "the only visits were from localhost, which are not counted",
        ),
        button=Button("See what arrives", url),
    )


def no_events_still(name: str, project: str, url: str) -> Words:
    """Three days later, if there is none still."""
    return Words(
        "no-events-2",
        f"May we help with {project}?",
        (
            f"Hello {name},",
            f"{project} still waits for its first event. Answer this letter, and whoever runs this server looks into "
            "it with you.",
        ),
        button=Button("Open the set-up page", url),
    )


def first_event_feedback(name: str, project: str, url: str) -> Words:
    """A week after a project's first event."""
    return Words(
        "first-event-feedback",
        f"How is it going with {project}?",
        (f"Hello {name},", f"{project} has been counting for a week. Three questions, if you have a minute:"),
        bullets=(
            "What did you want to find out, and did you?",
            "What took you longer than it should have?",
            "What is missing?",
        ),
        button=Button("Open the dashboard", url),
        after=("An answer to this letter reaches whoever runs this server.",),
    )


def try_out() -> Words:
    """To whoever runs this server, who wants to see whether mail is set up rightly."""
    return Words("try-out", "Mail works", ("This server can send letters, and this is how they look.",))


def draft(words: Words, site_url: str, unsubscribe_url: str = "") -> Draft:
    """The letter as text and as HTML. site_url: of this instance, for the foot."""
    values = {"words": words, "site_url": site_url, "unsubscribe_url": unsubscribe_url}
    return Draft(
        words.kind,
        " ".join(words.subject.split()),
        _templates.get_template("layout.txt").render(values),
        _templates.get_template("layout.html").render(values),
        unsubscribe_url,
    )


def _told(address: str) -> str:
    """An address that may look like another one, with how it is written in plain letters."""
    if address.isascii():
        return address
    local, _, domain = address.rpartition("@")
    if not local.isascii():
        return f"{address}, with letters other than a to z"
    return f"{address}, which is {local}@{page.normalized_domain(f'https://{domain}')}"


def _hours(count: int) -> str:
    return "an hour" if count == 1 else f"{count} hours"


_templates = jinja2.Environment(
    loader=jinja2.FileSystemLoader(TEMPLATES),
    autoescape=jinja2.select_autoescape(["html"]),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
