"""Questions about a ratio, and the three answers they can have. Pure.

A question is answered by the whole interval or not at all: yes, it lies beyond the threshold; no, it lies on the other
side; open, anything else. What was measured once, failed, or is no number, answers nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from loopwise.analysis.stats import LogRatio, step_down
from loopwise.analysis.verdicts import is_better, is_same, is_worse
from loopwise.model import Estimate
from loopwise.report.format import number

Answer = Literal["yes", "no", "open"]
CONFIDENCE = 0.95


class Unmeasured(Exception):  # noqa: N818 - it ends a rule, and is no failure of the program
    """A case that a rule needs is missing or has no valid run; says which and why."""


@dataclass(frozen=True)
class Question:
    """Whether a ratio lies between two ends."""

    ratio: LogRatio | None
    """candidate ÷ baseline; None where a side has no valid measurement."""
    low: float
    """0: the region has no lower end."""
    high: float
    """Infinite: the region has no upper end."""

    @property
    def smallest_alpha(self) -> float:
        """The smallest 1 − confidence at which the ratio's interval answers."""
        if self.ratio is None:
            return 1.0
        ends = [end for end in (self.low, self.high) if 0 < end < math.inf]
        return self.ratio.alpha_beyond(min(abs(self.ratio.mean - math.log(end)) for end in ends))


def at_least(ratio: LogRatio | None, threshold: float) -> Question:
    """Whether the candidate has so many times what the baseline has, or more."""
    return Question(ratio, threshold, math.inf)


def at_most(ratio: LogRatio | None, threshold: float) -> Question:
    """Whether the candidate has no more than so many times what the baseline has."""
    return Question(ratio, 0.0, threshold)


def same(ratio: LogRatio | None, margin: float) -> Question:
    """Whether both have the same within a margin; 0.1 for ±10 %."""
    return Question(ratio, 1 / (1 + margin), 1 + margin)


def over(ratio: LogRatio | None, factor: float) -> LogRatio | None:
    """The ratio ÷ a known factor: throughput at 40 users over 40 times that at one."""
    return None if ratio is None else replace(ratio, mean=ratio.mean - math.log(factor))


@dataclass(frozen=True)
class Judged:
    """A question with its answer, and the interval that gave it."""

    question: Question
    answer: Answer
    estimate: Estimate | None

    @property
    def yes(self) -> bool:
        """It is so."""
        return self.answer == "yes"

    @property
    def no(self) -> bool:
        """It is not so."""
        return self.answer == "no"

    @property
    def times(self) -> str:
        """`2.41 times [2.3, 2.5]`, for sentences."""
        return "an unknown number of times" if self.estimate is None else times(self.estimate)

    @property
    def depth(self) -> float:
        """How far inside the region the value lies, as a log ratio; negative outside, NaN where it is not known."""
        if self.question.ratio is None:
            return math.nan
        mean, ends = self.question.ratio.mean, (self.question.low, self.question.high)
        low, high = (math.log(end) if 0 < end < math.inf else None for end in ends)
        return min(math.inf if low is None else mean - low, math.inf if high is None else high - mean)


def times(ratio: Estimate) -> str:
    """`1,650 times [1,010, 2,700]`: a claim's ratios reach from thousandths to thousands."""
    interval = "" if ratio.low is None else f" [{number(ratio.low)}, {number(ratio.high)}]"
    return f"{number(ratio.value)} times{interval}"


def answer(question: Question, estimate: Estimate | None) -> Answer:
    """What an interval says to a question; the same rules decide as in every verdict, moved to its threshold."""
    if estimate is None or estimate.low is None or estimate.high is None:
        return "open"
    low, high = estimate.low, estimate.high
    if not 0 < low <= high < math.inf:  # NaN fails every comparison
        return "open"
    if question.low > 0 and question.high < math.inf:
        margin = question.high - 1
        if is_same(low, high, margin):
            return "yes"
        return "no" if is_better(low, high, margin) or is_worse(low, high, margin) else "open"
    threshold = question.low or question.high
    above, below = (rule(low / threshold, high / threshold, 0.0) for rule in (is_better, is_worse))
    if question.low:
        return "yes" if above else "no" if below else "open"
    return "yes" if below else "no" if above else "open"


def judge(questions: Sequence[Question], confidence: float = CONFIDENCE) -> list[Judged]:
    """Answer questions that decide a claim together, so that with this confidence none is answered wrongly.

    Holm's step-down: the easiest is answered at alpha ÷ n, the next at alpha ÷ (n − 1), and so on.
    """
    alphas = [
        each.smallest_alpha if each.ratio is not None and each.ratio.has_interval else None
        for each in questions
    ]

    def is_answered(index: int, level: float) -> bool:
        return _judged(questions[index], level).answer != "open"

    levels = step_down(alphas, confidence, is_answered)
    return [_judged(question, level) for question, level in zip(questions, levels, strict=True)]


def _judged(question: Question, confidence: float) -> Judged:
    estimate = None if question.ratio is None else question.ratio.estimate(confidence)
    return Judged(question, answer(question, estimate), estimate)
