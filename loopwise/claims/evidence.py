"""A summary as rules read it: cases by their factors, ratios between them, and the causes of slowness."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from loopwise.analysis.causes import first_causes
from loopwise.analysis.figures import CaseFigures
from loopwise.analysis.metrics import METRICS
from loopwise.analysis.paired import is_usable, pair_up
from loopwise.analysis.stats import LogRatio, estimate, student_quantile, unpaired
from loopwise.analysis.summary import Summary
from loopwise.claims.crossover import Axis, Sweep, sweep
from loopwise.claims.questions import CONFIDENCE, Question, Unmeasured
from loopwise.model import Case, Estimate, Run, Verdict
from loopwise.model.factors import matches

RPS, VICTIM, RESPONSE_P99 = "throughput_rps", "victim_p99_ms", "response_time_p99_ms"
VICTIM_P50 = "victim_p50_ms"
"""Of twenty probes a second, it separates two waits that scatter: their p99 is the slowest single probe."""
SEARCH_OFFSET = 1000
"""Replicates of a search's results are numbered from multiples of this on, so that no block holds two results."""


def _switches(run: Run) -> float | None:
    switches, requests = run.host.server_context_switches, run.counts.get("ok", 0)
    return None if switches is None or not requests else switches / requests


OF_RUNS: dict[str, Callable[[Run], float | None]] = {
    "threads": lambda run: run.host.server_threads,
    "context_switches_per_request": _switches,
}
"""Metrics that summary.csv lacks: name -> how a run gives them."""


@dataclass(frozen=True)
class Evidence:
    """A summary, and the questions that rules put to it."""

    summary: Summary

    def all(self, factors: Mapping[str, Any] | None = None, **more: Any) -> list[CaseFigures]:
        """The cases that have these factors, in the suite's order, measured or not."""
        wanted = {**(factors or {}), **more}
        return [each for each in self.summary.cases.values() if matches(each.case, wanted)]

    def one(self, factors: Mapping[str, Any] | None = None, **more: Any) -> CaseFigures:
        """The one case that has these factors, with a valid run.

        Raises:
            Unmeasured: there is none, there are several, or it has no valid run.
        """
        wanted = {**(factors or {}), **more}
        cases = self.all(wanted)
        if len(cases) != 1:
            raise Unmeasured(
                f"the result has {len(cases) or 'no'} cases with {_listed(wanted)}, and the rule needs one"
            )
        return measured(cases[0])

    def modes(self, *modes: str, **factors: Any) -> tuple[CaseFigures, ...]:
        """The one case in each of these modes that has the factors, with a valid run.

        Raises:
            Unmeasured: as of `one`.
        """
        return tuple(self.one(factors, mode=mode) for mode in modes)

    def largest(self, axis: Axis, beyond: CaseFigures, **factors: Any) -> CaseFigures:
        """Of the cases that have these factors, the one with the largest value of an axis, with a valid run.

        Raises:
            Unmeasured: none lies beyond the given case, or that one has no valid run.
        """

        def value(each: CaseFigures) -> float:
            return axis.get(each.case) or 0.0

        cases = [each for each in self.all(factors) if value(each) > value(beyond)]
        if not cases:
            raise Unmeasured(
                f"the result has no case with {_listed(factors)} and more {axis.words} than {axis.get(beyond.case):g}, "
                "and the rule needs one"
            )
        return measured(max(cases, key=value))

    def mixes(self) -> list[CaseFigures]:
        """The cases that mix several workloads."""
        return [each for each in self.summary.cases.values() if each.case.parts]

    def values(self, case: CaseFigures, metric: str, endpoint: str | None = None) -> dict[int, float]:
        """A metric of METRICS or OF_RUNS by replicate, over valid runs."""
        if metric in (VICTIM, VICTIM_P50):
            return {**self._unanswered(case), **case.values(metric)}
        if metric in METRICS:
            return case.values(metric, endpoint)
        figures = {run.replicate: OF_RUNS[metric](run) for run in self._runs(case)}
        return {replicate: value for replicate, value in figures.items() if value is not None}

    def estimate(self, case: CaseFigures, metric: str, endpoint: str | None = None) -> Estimate | None:
        """A metric of METRICS or OF_RUNS with its interval; None without a valid run."""
        values = list(self.values(case, metric, endpoint).values())
        return estimate(values, confidence=CONFIDENCE) if values else None

    def _runs(self, case: CaseFigures) -> list[Run]:
        return [
            run
            for run in self.summary.runs
            if run.case.case_id == case.case.case_id and run.status == "ok" and run.replicate in case.runs
        ]

    def _unanswered(self, case: CaseFigures) -> dict[int, float]:
        """Window of each valid run in which the canary had no answer at all: it took that long, or longer."""
        if case.case.load.victim is None:
            return {}
        return {
            run.replicate: run.window.duration_s * 1e3
            for run in self._runs(case)
            if run.window is not None and case.runs[run.replicate].counts.get("victim_rows") == 0
        }

    def ratio(
        self,
        candidate: CaseFigures,
        baseline: CaseFigures,
        metric: str,
        *,
        endpoint: str | None = None,
        baseline_endpoint: str | None = None,
    ) -> LogRatio | None:
        """The ratio candidate ÷ baseline: by slices where they were measured, else within blocks, else unpaired.

        None where a side has no valid measurement.
        """
        if endpoint is None and (sliced := self._sliced(candidate.case, baseline.case, metric)) is not None:
            return sliced
        one = self.values(baseline, metric, baseline_endpoint)
        other = self.values(candidate, metric, endpoint)
        blocks = pair_up(one, other)
        if blocks is not None and blocks.replicates > 1:
            return blocks
        usable = [[each for each in side.values() if is_usable(each)] for side in (one, other)]
        return unpaired(*usable) if all(usable) else None

    def sweep(
        self,
        axis: Axis,
        workload: str,
        modes: tuple[str, str],
        ask: Callable[[LogRatio | None], Question],
        begins: str,
        *,
        metric: str = RPS,
        least: float | None = None,
    ) -> Sweep:
        """Ask about the ratio of two modes of a workload, first ÷ second, at every value of a factor."""
        candidate, baseline = modes
        return sweep(
            axis,
            [each for mode in modes for each in self.all(workload=workload, mode=mode)],
            lambda _, group: ask(self.ratio(group[candidate], group[baseline], metric)),
            begins,
            modes=modes,
            least=least,
        )

    def _sliced(self, candidate: Case, baseline: Case, metric: str) -> LogRatio | None:
        """The ratio of a verdict that slices gave, in either order of the sides."""
        for each in self.summary.verdicts:
            if each.pairing != "slices" or each.metric != metric:
                continue
            if (each.candidate_case, each.baseline_case) == (candidate.case_id, baseline.case_id):
                return log_ratio(each)
            if (each.candidate_case, each.baseline_case) == (baseline.case_id, candidate.case_id):
                inverse = log_ratio(each)
                return None if inverse is None else replace(inverse, mean=-inverse.mean)
        return None

    def cause(self, case: CaseFigures) -> str:
        """The first cause in the telemetry of most of the case's valid runs; empty where there is none."""
        found = first_causes(self.summary.runs).get(case.case.case_id)
        return found.evidence if found else ""


def _listed(factors: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in factors.items())


def measured(case: CaseFigures) -> CaseFigures:
    """The case, which has a valid run.

    Raises:
        Unmeasured: it has none.
    """
    if not case.runs:
        raise Unmeasured(f"{case.case.case_id} has no valid run: {case.reason or 'not measured'}")
    return case


def log_ratio(verdict: Verdict) -> LogRatio | None:
    """The mean log ratio and error from which a verdict's interval was made."""
    low, high, ratio = verdict.ci_low, verdict.ci_high, verdict.ratio
    if ratio is None or low is None or high is None or verdict.replicates < 2 or not 0 < low <= high:
        return None
    freedom = verdict.replicates - 1
    width = student_quantile(freedom, 0.5 + verdict.confidence / 2)
    return LogRatio(math.log(ratio), math.log(high / low) / 2 / width, freedom, verdict.replicates)


def merged(summary: Summary, searched: Sequence[tuple[str, Summary]]) -> Summary:
    """A summary with the cases of further results beside its own, each under the name of its result.

    Their replicates are renumbered: runs of two results were never in one block.
    """
    cases, runs = dict(summary.cases), list(summary.runs)
    for number, (name, other) in enumerate(searched, start=1):
        shift = SEARCH_OFFSET * number
        for case_id, each in other.cases.items():
            renamed = each.case.model_copy(update={"case_id": f"{name}/{case_id}"})
            cases[renamed.case_id] = replace(
                each,
                case=renamed,
                runs={shift + replicate: run for replicate, run in each.runs.items()},
                spoilt={shift + replicate: run for replicate, run in each.spoilt.items()},
            )
        for run in other.runs:
            case = run.case.model_copy(update={"case_id": f"{name}/{run.case.case_id}"})
            runs.append(run.model_copy(update={"case": case, "replicate": shift + run.replicate}))
    return replace(summary, cases=cases, runs=tuple(runs))
