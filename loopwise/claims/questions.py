"""Questions about a ratio, answered yes, no or open.

The whole interval answers or none of it does: yes, it lies beyond the threshold; no, it lies on the other side; open,
anything else. A value measured once, a failed measurement and a NaN answer nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from loopwise.analysis.stats import LogRatio, step_down
from loopwise.analysis.verdicts import is_better, is_same, is_worse
from loopwise.claims.finding import times
from loopwise.model import Estimate

Answer = Literal["yes", "no", "open"]
CONFIDENCE = 0.95

# Thresholds of several rules. They lie far from 1, where arithmetic expects a factor of two or more: noise leaves such
# a claim undecided, and does not reverse it.
SERVES_MORE = 1.1
"""From this ratio of throughput on, one side is said to serve more: twice the usual margin of 5 %, so that a search
does not end on a difference nobody would notice."""
GAIN = 1.2
"""Nobody rewrites a route for less than a fifth, and the hop to a thread costs 5 ms of work less than that."""
DOUBLED = 2.0
MANY = 5.0
"""What is done one at a time is 1; a factor of five is several at a time, whatever the noise."""


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
    def smallest_alpha(self) -> float | None:
        """The smallest 1 − confidence at which the ratio's interval answers; None without an interval."""
        if self.ratio is None or not self.ratio.has_interval:
            return None
        ends = [end for end in (self.low, self.high) if 0 < end < math.inf]
        return self.ratio.alpha_beyond(min(abs(self.ratio.mean - math.log(end)) for end in ends))


def at_least(ratio: LogRatio | None, threshold: float) -> Question:
    """Whether the candidate has at least `threshold` times what the baseline has."""
    return Question(ratio, threshold, math.inf)


def at_most(ratio: LogRatio | None, threshold: float) -> Question:
    """Whether the candidate has at most `threshold` times what the baseline has."""
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
        """The answer is yes."""
        return self.answer == "yes"

    @property
    def no(self) -> bool:
        """The answer is no."""
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


def judge(questions: Sequence[Question], confidence: float = CONFIDENCE) -> list[Judged]:
    """Answer questions that decide a claim together: with this confidence none is answered wrongly (Holm)."""

    def is_answered(index: int, level: float) -> bool:
        return _judged(questions[index], level).answer != "open"

    levels = step_down([each.smallest_alpha for each in questions], confidence, is_answered)
    return [_judged(question, level) for question, level in zip(questions, levels, strict=True)]


def _judged(question: Question, confidence: float) -> Judged:
    estimate = None if question.ratio is None else question.ratio.estimate(confidence)
    return Judged(question, _answer(question, estimate), estimate)


def _answer(question: Question, estimate: Estimate | None) -> Answer:
    """Decide by the rules of every verdict, moved to the question's threshold."""
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
    if not above and not below:
        return "open"
    return "yes" if above == (question.low > 0) else "no"
