"""Measures pairs again in slices that blocks left undecided: both servers are up and loaded by turns."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from loopwise.analysis.paired import MIN_ROUNDS
from loopwise.analysis.summary import summarise
from loopwise.analysis.verdicts import judge_rounds, undecided_pairs
from loopwise.generator.protocol import ABBA
from loopwise.measure.pairs import Pair
from loopwise.model import Case, Comparison, Round
from loopwise.results.folder import ResultFolder

SLICE_MIN_S, SLICE_MAX_S = 0.1, 2.0
"""Shorter slices hold too few answers; longer ones don't follow disturbances of the machine, which last for seconds."""
CYCLES = 2
"""A slice lasts so many service times: every user is answered in it more than once."""
START_S = 1.5
"""Start and stop of two servers, about; only used to estimate a round's length."""
PRECISE = 0.5
"""Of the margin: an interval whose half-width is below this decides unless the difference lies at the margin itself."""


def sliced(baseline: Case, candidate: Case, throughputs: Mapping[str, float]) -> Pair | None:
    """Pair two cases for slices; None where they can't be loaded by turns.

    Slices need one closed load for both, made from declared endpoints: a script's users keep their own pace, a shape
    its own time, and an open load goes on whatever the answers do.

    Args:
        baseline: one side.
        candidate: the other.
        throughputs: requests a second by case_id, from the blocks: they give the service time.
    """
    load = baseline.load
    is_declared = not (baseline.scenario or candidate.scenario)
    if load.fixed_users is None or load != candidate.load or not is_declared:
        return None
    slowest_rps = min(throughputs.get(case.case_id, 0.0) for case in (baseline, candidate))
    if slowest_rps <= 0:
        return None
    slice_s = min(max(SLICE_MIN_S, CYCLES * load.users / slowest_rps), SLICE_MAX_S)
    # One round counts as long as a run does, over both sides together, in whole sets of four slices.
    sets = max(1, round(load.measure_s / (len(ABBA) * slice_s)))
    return Pair(baseline, candidate, pairing="slices", slice_s=slice_s, slices=sets * len(ABBA))


def round_s(pair: Pair, throughputs: Mapping[str, float]) -> float:
    """Estimate the time of a round: each slice waits for all users before it, and for what is in flight after it."""
    assert pair.slice_s is not None
    cycles_s = sum(pair.baseline.load.users / throughputs[case_id] for case_id in pair.names)
    return START_S + pair.slices * (pair.slice_s + cycles_s) + cycles_s


def undecided(result: ResultFolder) -> list[tuple[Pair, float]]:
    """List the pairs of a result that are worth slices, each with the time of a round in seconds.

    These are comparisons that blocks left undecided, and those whose slices were interrupted.
    """
    summary = summarise(result)
    pairs_on_disk = {(each.baseline_case, each.candidate_case) for each in result.rounds()[0]}
    begun = {names for names in pairs_on_disk if summary.cases.keys() >= set(names)}
    throughputs = {
        case_id: known.value
        for case_id, each in summary.cases.items()
        if (known := each.estimate("throughput_rps", summary.experiment.suite.compare.confidence))
    }
    pairs = []
    for names in dict.fromkeys([*undecided_pairs(summary.verdicts), *sorted(begun)]):
        baseline, candidate = (summary.cases[name].case for name in names)
        pair = sliced(baseline, candidate, throughputs)
        if pair is not None:
            pairs.append((pair, round_s(pair, throughputs)))
    return pairs


@dataclass
class Escalation:
    """Measures rounds of pairs, one pair after the other, until each is precise or the rounds or the time run out."""

    measure: Callable[[Pair, int], Round]
    """Measures a round by its number."""
    settings: Comparison
    on_round: Callable[[Round], None]
    """Receives each round that ended."""
    clock: Callable[[], float] = time.monotonic

    def run(self, pairs: Sequence[tuple[Pair, float]], done: Iterable[Round] = ()) -> None:
        """Measure pairs, the quickest first.

        Args:
            pairs: each with the time of a round in seconds.
            done: rounds of an interrupted escalation that are on disk already.
        """
        deadline_s = self.clock() + self.settings.slices_max_s
        by_names: dict[tuple[str, str], list[Round]] = {}
        for each in done:
            by_names.setdefault((each.baseline_case, each.candidate_case), []).append(each)
        # The same level for all of them: a bound of what Holm's step-down will ask.
        confidence = 1 - (1 - self.settings.confidence) / max(1, len(pairs))
        for pair, cost_s in sorted(pairs, key=lambda each: each[1]):
            rounds = by_names.get(pair.names, [])
            if self.clock() + cost_s * (MIN_ROUNDS - len(rounds)) > deadline_s:
                continue  # too little time for the fewest rounds that say something
            while not self._is_enough(rounds, confidence) and self.clock() + cost_s <= deadline_s:
                rounds.append(self.measure(pair, len(rounds) + 1))
                self.on_round(rounds[-1])

    def _is_enough(self, rounds: Sequence[Round], confidence: float) -> bool:
        """Whether to stop: depends on the width of throughput's interval alone, never on what it says."""
        good = [each for each in rounds if each.status == "ok"]
        if len(rounds) >= self.settings.slices_max or len(rounds) - len(good) >= 2:
            return True
        if len(good) < MIN_ROUNDS:
            return False
        margin = self.settings.margin
        verdicts = judge_rounds(good, margin=margin, confidence=confidence)
        widths = [each.half_width for each in verdicts if each.metric == "throughput_rps"]
        return any(width <= PRECISE * margin for width in widths[:1] if width is not None)
