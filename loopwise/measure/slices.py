"""Comparisons that blocks left undecided are measured again in slices: both servers up, asked by turns. Bounded."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from loopwise.analysis.contest import MIN_ROUNDS
from loopwise.analysis.summary import summarise
from loopwise.analysis.verdicts import judge_rounds, undecided_pairs
from loopwise.generator.protocol import ABBA
from loopwise.measure.pairs import Pair, Rounds
from loopwise.model import Case, Comparison, Round
from loopwise.results.folder import ResultFolder

SLICE_MIN_S, SLICE_MAX_S = 0.1, 2.0
"""Shorter slices hold too few answers; longer ones don't follow the machine's moods, which last for seconds."""
CYCLES = 2
"""A slice lasts so many service times: every user is answered in it more than once."""
START_S = 1.5
"""Start and stop of two servers, about; it only feeds the estimate of a round's length."""
PRECISE = 0.5
"""Of the margin: an interval whose half-width is below this decides unless the difference lies at the margin itself."""


def sliced(baseline: Case, candidate: Case, throughputs: Mapping[str, float]) -> Pair | None:
    """The two cases as a pair of slices; None where they can't be asked by turns.

    Slices need one closed load for both, made from declared endpoints: a script's users keep their own pace, and an
    open load goes on whatever the answers do.

    Args:
        baseline: one side.
        candidate: the other.
        throughputs: requests a second by case_id, from the blocks: they give the service time.
    """
    load = baseline.load
    is_declared = not (baseline.scenario or candidate.scenario)
    if load.model != "closed" or load != candidate.load or not is_declared:
        return None
    slowest_rps = min(throughputs.get(case.case_id, 0.0) for case in (baseline, candidate))
    if slowest_rps <= 0:
        return None
    slice_s = min(max(SLICE_MIN_S, CYCLES * load.users / slowest_rps), SLICE_MAX_S)
    # One round counts as long as a run does, over both sides together, in whole sets of four slices.
    sets = max(1, round(load.measure_s / (len(ABBA) * slice_s)))
    return Pair(baseline, candidate, pairing="slices", slice_s=slice_s, slices=sets * len(ABBA))


def round_s(pair: Pair, throughputs: Mapping[str, float]) -> float:
    """How long a round takes, about: each slice waits for all users before, and for what is in flight after."""
    assert pair.slice_s is not None
    cycles_s = sum(
        pair.baseline.load.users / throughputs[case.case_id] for case in (pair.baseline, pair.candidate)
    )
    return START_S + pair.slices * (pair.slice_s + cycles_s) + cycles_s


def undecided(result: ResultFolder) -> list[tuple[Pair, float]]:
    """What of a result is worth slices, each with the seconds that a round takes, about.

    Comparisons that blocks left undecided, and those whose slices an interruption cut short.
    """
    summary = summarise(result)
    begun = {(each.baseline_case, each.candidate_case) for each in result.rounds()[0]}
    throughputs = {
        case_id: known.value
        for case_id, each in summary.cases.items()
        if (known := each.estimate("throughput_rps", summary.experiment.suite.compare.confidence))
    }
    found = []
    for names in dict.fromkeys([*undecided_pairs(summary.verdicts), *sorted(begun)]):
        baseline, candidate = (summary.cases[name].case for name in names)
        pair = sliced(baseline, candidate, throughputs)
        if pair is not None:
            found.append((pair, round_s(pair, throughputs)))
    return found


@dataclass
class Escalation:
    """Measures pairs in slices, one after the other, until each is precise, has enough rounds, or the time is over."""

    rounds: Rounds
    settings: Comparison
    tell: Callable[[Round], None]
    clock: Callable[[], float] = time.monotonic

    def run(self, pairs: Sequence[tuple[Pair, float]], done: Iterable[Round] = ()) -> None:
        """Measure pairs, the quickest first.

        Args:
            pairs: each with the seconds that a round of it takes, about.
            done: rounds that are on disk already, of an interrupted escalation.
        """
        deadline_s = self.clock() + self.settings.slices_max_s
        known = list(done)
        # The same level for all of them: a bound of what Holm's step-down will ask.
        confidence = 1 - (1 - self.settings.confidence) / max(1, len(pairs))
        for pair, cost_s in sorted(pairs, key=lambda each: each[1]):
            names = (pair.baseline.case_id, pair.candidate.case_id)
            found = [each for each in known if (each.baseline_case, each.candidate_case) == names]
            if self.clock() + cost_s * (MIN_ROUNDS - len(found)) > deadline_s:
                continue  # there is no time for as many rounds as say something
            while not self._is_enough(found, confidence) and self.clock() + cost_s <= deadline_s:
                found.append(self.rounds.measure(pair, len(found) + 1))
                self.tell(found[-1])

    def _is_enough(self, found: Sequence[Round], confidence: float) -> bool:
        """Looks at the width of throughput's interval alone, never at what it says."""
        good = [each for each in found if each.status == "ok"]
        if len(found) >= self.settings.slices_max or len(found) - len(good) >= 2:
            return True
        if len(good) < MIN_ROUNDS:
            return False
        margin = self.settings.margin
        for verdict in judge_rounds(good, margin=margin, confidence=confidence):
            if verdict.metric == "throughput_rps" and verdict.ratio and verdict.ci_low and verdict.ci_high:
                return bool((verdict.ci_high - verdict.ci_low) / 2 / verdict.ratio <= PRECISE * margin)
        return False
