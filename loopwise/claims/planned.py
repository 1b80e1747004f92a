"""What running claims will measure, before it does."""

from collections.abc import Iterable
from typing import NamedTuple

from loopwise.claims.claim import Text
from loopwise.claims.examine import SEARCH_UNTIL_S, needs_more, suite_path
from loopwise.claims.rules import SWEEPS
from loopwise.machine import cores
from loopwise.measure.plan import duration, plan
from loopwise.suite import load_suite


class Planned(NamedTuple):
    """One claim of the plan."""

    claim_id: str
    cases: int
    runs: int
    least_s: float
    most_s: float
    """With all repetitions, slices and the search."""
    note: str


def planned(texts: Iterable[Text]) -> list[Planned]:
    """The plan of each claim.

    Raises:
        SuiteError: a suite is wrong.
    """
    return [_planned(text) for text in texts]


def _planned(text: Text) -> Planned:
    missing = needs_more(text, cores())
    if missing is not None:
        return Planned(text.claim_id, 0, 0, 0.0, 0.0, missing.sentence)
    suite = load_suite(str(suite_path(text.claim_id)))
    least_s, most_s = duration(suite, cores())
    note = "a search for where it begins" if text.claim_id in SWEEPS else ""
    if note:
        most_s = max(most_s, SEARCH_UNTIL_S)
    return Planned(text.claim_id, len(suite.cases), len(plan(suite, suite.seed)), least_s, most_s, note)
