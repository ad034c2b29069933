"""The page that asks before something grave. Its form is posted to its own address."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from aiohttp import web

from vemetric.web import render


class Question(NamedTuple):
    """What is asked.

    sentences: what will happen. button: what the button says. back: where Cancel leads. typed: what has to be typed
    before it is done, '' for nothing; label: what that is called. is_grave: it cannot be undone.
    """

    title: str
    sentences: Sequence[str]
    button: str
    back: str
    typed: str = ""
    label: str = ""
    is_grave: bool = True


def ask(request: web.Request, frame: Mapping[str, Any], question: Question, problem: str = "") -> web.Response:
    """The page. problem: what was wrong with what was typed."""
    problems = {"typed": problem} if problem else {}
    status = 400 if problem else 200
    form = {"typed": ""}
    return render.page(
        request, "pages/confirm.html", status=status, question=question, form=form, problems=problems, **frame
    )


def is_typed(question: Question, text: str) -> bool:
    """Whether what was typed is what was asked for."""
    return not question.typed or text.strip().casefold() == question.typed.casefold()
