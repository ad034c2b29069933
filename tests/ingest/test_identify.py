"""What an identification comes to, by what is known: every combination."""

import pytest

from vemetric.ingest.identify import Decision, Step, decide


@pytest.mark.parametrize(
    ("visitor_id", "visitors_identifier", "known_id", "decision"),
    [
        # nobody yet
        (None, None, None, Decision(Step.CREATE, None)),
        (None, None, 5, Decision(Step.ADOPT, 5)),
        # an anonymous visitor
        (7, None, None, Decision(Step.CREATE, 7)),
        (7, None, 5, Decision(Step.ADOPT, 5, merged_id=7)),
        (7, None, 7, Decision(Step.ADOPT, 7)),
        # the same person again
        (7, "kim", 7, Decision(Step.UPDATE, 7)),
        # somebody else at the browser of a known user, who is left alone
        (7, "ann", None, Decision(Step.CREATE, None)),
        (7, "ann", 5, Decision(Step.ADOPT, 5)),
    ],
)
def test_decision(
    visitor_id: int | None, visitors_identifier: str | None, known_id: int | None, decision: Decision
) -> None:
    assert decide(visitor_id, "kim", visitors_identifier, known_id) == decision
