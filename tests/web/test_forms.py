"""Every form of every page, as the server sends it: with a button of its own, a token, and a label to each field.

What makes it work without scripts and by keyboard; how it looks and feels is tried in tests/browser.
"""

from html.parser import HTMLParser
from typing import Any

import pytest

from tests.web.matrix import ROWS
from tests.web.test_matrix import Stage, stage
from vemetric.mail import letters

__all__ = ["stage"]

FIELDS = ("input", "select", "textarea")
# What is no field to be filled in.
UNSEEN = ("hidden", "submit", "button", "image")


class Forms(HTMLParser):
    """Reads a page: its forms with their buttons, the fields nobody named, elements that leave the order of Tab."""

    def __init__(self) -> None:
        super().__init__()
        self.problems: list[str] = []
        self.count = 0
        self._labels: set[str] = set()
        self._fields: list[tuple[str, str]] = []
        self._in_label = 0
        self._form: dict[str, Any] | None = None
        self._buttons_of: set[str] = set()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attributes}
        if found.get("tabindex", "0").lstrip("-").isdigit() and int(found.get("tabindex", "0")) > 0:
            self.problems.append(f"{tag} has a place of its own in the order of Tab")
        self.problems += [f"{tag} has {name}" for name in found if name.startswith("on")]
        if tag == "form":
            self.count += 1
            self._form = {"found": found, "button": False, "token": False}
        elif tag == "label":
            self._in_label += 1
            self._labels.add(found.get("for", ""))
        elif tag == "button" and found.get("type", "submit") == "submit":
            self._buttons_of.add(found.get("form", ""))
            if self._form is not None:
                self._form["button"] = True
        elif tag in FIELDS and found.get("type", "text") not in UNSEEN:
            is_named = self._in_label > 0 or found.get("aria-label") or found.get("aria-labelledby")
            if not is_named:
                self._fields.append((tag, found.get("id", "")))
        elif tag == "input" and found.get("name") == "csrf" and self._form is not None:
            self._form["token"] = True

    def handle_endtag(self, tag: str) -> None:
        if tag == "label":
            self._in_label -= 1
        elif tag == "form" and self._form is not None:
            self._check(self._form)
            self._form = None

    def _check(self, form: dict[str, Any]) -> None:
        found = form["found"]
        what = f"the form of {found.get('action', 'the page itself')}"
        if not form["button"] and found.get("id", "-") not in self._buttons_of:
            self.problems.append(f"{what} has no button")
        if found.get("method", "get").lower() == "post" and not form["token"]:
            self.problems.append(f"{what} has no token")

    def close(self) -> None:
        super().close()
        self.problems += [
            f"{tag} {name or 'without id'} has no label" for tag, name in self._fields if name not in self._labels
        ]


@pytest.mark.parametrize("asker", ["nobody", "admin", "operator"])
async def test_every_form_can_be_sent_without_scripts(stage: Stage, asker: str) -> None:
    browser, _ = await stage.browser(asker)
    letter = await stage.site.services.post.send(letters.try_out(), "new@example.com")
    stage.places["letter"] = letter.id
    problems, forms = {}, 0
    for name, row in ROWS.items():
        method, _, path = name.partition(" ")
        if method != "GET" or row.is_stream:
            continue
        page = await browser.get(stage.path(path, row))
        if page.status != 200 or not page.headers["Content-Type"].startswith("text/html"):
            continue
        reader = Forms()
        reader.feed(page.text)
        reader.close()
        forms += reader.count
        if reader.problems:
            problems[path] = reader.problems
    assert problems == {}
    assert forms > (3 if asker == "nobody" else 30)
