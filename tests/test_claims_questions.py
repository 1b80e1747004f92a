"""Questions about a ratio: the whole interval answers, or nothing does."""

import math
import random

import pytest

from loopwise.analysis.stats import LogRatio, paired
from loopwise.claims.finding import times
from loopwise.claims.questions import Answer, Question, at_least, at_most, judge, over, same
from loopwise.model import Estimate


def ratio(value: float, half: float) -> LogRatio:
    """A ratio whose 95 % interval is value ÷ and × exp(half)."""
    return LogRatio(math.log(value), half / 12.706204736, 1, 2)


NOTHING = LogRatio(math.log(5.0), math.nan, 0, 1)
TABLE: list[tuple[Question, Answer]] = [
    (at_least(ratio(4.0, 0.1), 2.0), "yes"),
    (at_least(ratio(1.0, 0.1), 2.0), "no"),
    (at_least(ratio(4.0, 1.0), 2.0), "open"),
    (at_least(ratio(1.9, 0.2), 2.0), "open"),
    (at_most(ratio(0.1, 0.1), 0.5), "yes"),
    (at_most(ratio(1.0, 0.1), 0.5), "no"),
    (at_most(ratio(0.1, 3.0), 0.5), "open"),
    (same(ratio(1.0, 0.05), 0.1), "yes"),
    (same(ratio(1.5, 0.05), 0.1), "no"),
    (same(ratio(0.5, 0.05), 0.1), "no"),
    (same(ratio(1.0, 0.5), 0.1), "open"),
    (same(ratio(1.1, 0.05), 0.1), "open"),
    (at_least(None, 2.0), "open"),
    (at_most(None, 2.0), "open"),
    (same(None, 0.1), "open"),
    (at_least(NOTHING, 2.0), "open"),
    (at_most(NOTHING, 2.0), "open"),
    (at_least(LogRatio(math.nan, 0.1, 2, 3), 2.0), "open"),
    (at_least(LogRatio(math.inf, 0.1, 2, 3), 2.0), "open"),
    (at_most(LogRatio(0.0, math.inf, 2, 3), 2.0), "open"),
]


@pytest.mark.parametrize(("question", "answer"), TABLE)
def test_an_answer_needs_the_whole_interval(question: Question, answer: Answer) -> None:
    (found,) = judge([question])
    assert found.answer == answer
    assert (found.yes, found.no) == (answer == "yes", answer == "no")


def test_several_questions_are_answered_at_higher_confidence() -> None:
    questions = [
        at_least(ratio(5.0, 0.5), 2.0),
        at_least(ratio(4.0, 0.5), 2.0),
        at_least(ratio(2.1, 0.5), 2.0),
    ]
    levels = [each.estimate.confidence for each in judge(questions) if each.estimate]
    assert levels == pytest.approx([1 - 0.05 / 3, 1 - 0.05 / 2, 0.95]) or levels[0] > 0.95
    alone = judge(questions[:1])[0].estimate
    assert alone is not None
    assert alone.confidence == pytest.approx(0.95)


def test_what_has_no_interval_does_not_widen_the_others() -> None:
    found = judge([at_least(ratio(5.0, 0.5), 2.0), at_least(None, 2.0), at_least(NOTHING, 2.0)])
    assert found[0].estimate is not None
    assert found[0].estimate.confidence == pytest.approx(0.95)


def test_families_of_equal_pairs_rarely_get_a_wrong_answer() -> None:
    dice, wrong = random.Random(7), 0
    for _ in range(400):
        questions = []
        for _ in range(3):
            one, other = ([math.exp(dice.gauss(0, 0.1)) for _ in range(3)] for _ in range(2))
            questions.append(at_least(paired(one, other), 1.0))
        wrong += any(each.answer != "open" for each in judge(questions))
    assert wrong <= 36  # 5 % of 400 are 20; 36 is beyond the 99.9th percentile of that


def test_depth_is_how_far_inside_the_ratio_lies() -> None:
    assert judge([at_least(ratio(4.0, 0.1), 2.0)])[0].depth == pytest.approx(math.log(2))
    assert judge([at_most(ratio(4.0, 0.1), 2.0)])[0].depth == pytest.approx(-math.log(2))
    assert judge([same(ratio(1.0, 0.1), 0.5)])[0].depth == pytest.approx(math.log(1.5))
    assert math.isnan(judge([at_least(None, 2.0)])[0].depth)


def test_a_ratio_over_a_factor_is_that_much_smaller() -> None:
    scaled = over(ratio(40.0, 0.1), 40.0)
    assert scaled is not None
    assert scaled.estimate(0.95).value == pytest.approx(1.0)
    assert over(None, 40.0) is None


@pytest.mark.parametrize(
    ("known", "words"),
    [
        (Estimate(value=38.81, low=38.1, high=39.52, replicates=3), "38.8 times [38.1, 39.5]"),
        (Estimate(value=1650.0, low=1010.0, high=2700.0, replicates=3), "1,650 times [1,010, 2,700]"),
        (Estimate(value=2.5, replicates=1), "2.50 times"),
    ],
)
def test_a_ratio_reads_as_a_number_of_times(known: Estimate, words: str) -> None:
    assert times(known) == words
