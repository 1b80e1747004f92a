"""A summary as rules look at it: cases by their factors, ratios between them, and what slowed them down. Pure."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from scipy.special import stdtrit

from loopwise.analysis.causes import first_causes
from loopwise.analysis.figures import CaseFigures
from loopwise.analysis.metrics import METRICS
from loopwise.analysis.paired import is_usable, pair_up
from loopwise.analysis.stats import LogRatio, unpaired
from loopwise.analysis.summary import Summary
from loopwise.claims.axes import Axis
from loopwise.claims.questions import Unmeasured
from loopwise.model import Case, Run, Verdict
from loopwise.model.factors import matches

APART = 1000
"""Replicates of a search's results are numbered from so many on, each result on its own: no block holds two of them."""


def _threads(run: Run) -> float | None:
    return run.host.server_threads


def _switches(run: Run) -> float | None:
    switches, requests = run.host.server_context_switches, run.counts.get("ok", 0)
    return None if switches is None or not requests else switches / requests


VICTIM = ("victim_p50_ms", "victim_p99_ms")
OF_RUNS: dict[str, Callable[[Run], float | None]] = {
    "threads": _threads,
    "context_switches_per_request": _switches,
}
"""Figures that summary.csv lacks: name -> how a run gives them."""


@dataclass(frozen=True)
class Look:
    """A summary, and the questions rules put to it."""

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
        found = self.all(factors, **more)
        if len(found) != 1:
            told = ", ".join(f"{key} {value}" for key, value in {**(factors or {}), **more}.items())
            raise Unmeasured(f"the result has {len(found) or 'no'} cases with {told}, and the rule needs one")
        return measured(found[0])

    def largest(self, axis: Axis, beyond: CaseFigures, **factors: Any) -> CaseFigures:
        """Of the cases that have these factors, the one with the largest value, which has a valid run.

        Raises:
            Unmeasured: none lies beyond the given case, or that one has no valid run.
        """
        found = [
            each for each in self.all(factors) if (axis.get(each.case) or 0) > (axis.get(beyond.case) or 0)
        ]
        if not found:
            told = ", ".join(f"{key} {value}" for key, value in factors.items())
            raise Unmeasured(
                f"the result has no case with {told} and more {axis.words} than {axis.get(beyond.case):g}, and the "
                "rule needs one"
            )
        return measured(max(found, key=lambda each: axis.get(each.case) or 0.0))

    def mixes(self) -> list[CaseFigures]:
        """The cases that mix several workloads."""
        return [each for each in self.summary.cases.values() if each.case.parts]

    def values(self, case: CaseFigures, metric: str, endpoint: str | None = None) -> dict[int, float]:
        """A metric of METRICS or OF_RUNS by replicate, over valid runs."""
        if metric in VICTIM:
            return {**self._unanswered(case), **case.values(metric)}
        if metric in METRICS:
            return case.values(metric, endpoint)
        figure = OF_RUNS[metric]
        mine = [
            run
            for run in self.summary.runs
            if run.case.case_id == case.case.case_id and run.status == "ok" and run.replicate in case.runs
        ]
        return {run.replicate: value for run in mine if (value := figure(run)) is not None}

    def _unanswered(self, case: CaseFigures) -> dict[int, float]:
        """Window of each valid run in which the victim had no answer at all: it took that long, or longer."""
        if case.case.load.victim is None:
            return {}
        windows = {
            run.replicate: run.window.duration_s * 1e3
            for run in self.summary.runs
            if run.case.case_id == case.case.case_id and run.status == "ok" and run.window is not None
        }
        return {
            replicate: windows[replicate]
            for replicate, run in case.runs.items()
            if run.counts.get("victim_rows") == 0 and replicate in windows
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
        one = self.values(baseline, metric, baseline_endpoint or None)
        other = self.values(candidate, metric, endpoint)
        blocks = pair_up(one, other)
        if blocks is not None and blocks.replicates > 1:
            return blocks
        usable = [[each for each in side.values() if is_usable(each)] for side in (one, other)]
        return unpaired(*usable) if all(usable) else None

    def _sliced(self, candidate: Case, baseline: Case, metric: str) -> LogRatio | None:
        """The ratio of a verdict that slices gave, whichever way round it was measured."""
        for each in self.summary.verdicts:
            if each.pairing != "slices" or each.metric != metric:
                continue
            if (each.candidate_case, each.baseline_case) == (candidate.case_id, baseline.case_id):
                return log_ratio(each)
            if (each.candidate_case, each.baseline_case) == (baseline.case_id, candidate.case_id):
                found = log_ratio(each)
                return None if found is None else replace(found, mean=-found.mean)
        return None

    def cause(self, case: CaseFigures) -> str:
        """What the telemetry of most of the case's valid runs saw first; empty where it saw nothing."""
        return first_causes(self.summary.runs).get(case.case.case_id, "")


def measured(case: CaseFigures) -> CaseFigures:
    """The case, which has a valid run.

    Raises:
        Unmeasured: it has none.
    """
    if not case.runs:
        raise Unmeasured(f"{case.case.case_id} has no valid run: {case.reason or 'not measured'}")
    return case


def log_ratio(verdict: Verdict) -> LogRatio | None:
    """What a verdict's interval was made from: its mean log ratio and error."""
    low, high, ratio = verdict.ci_low, verdict.ci_high, verdict.ratio
    if ratio is None or low is None or high is None or verdict.replicates < 2 or not 0 < low <= high:
        return None
    freedom = verdict.replicates - 1
    width = float(stdtrit(freedom, 0.5 + verdict.confidence / 2))
    return LogRatio(math.log(ratio), math.log(high / low) / 2 / width, freedom, verdict.replicates)


def merged(summary: Summary, searched: Sequence[tuple[str, Summary]]) -> Summary:
    """A summary with the cases of further results beside its own, each under the name of its result.

    Their replicates get numbers of their own: runs of two results were never in one block.
    """
    cases, runs = dict(summary.cases), list(summary.runs)
    for number, (name, other) in enumerate(searched, start=1):
        shift = APART * number
        for case_id, each in other.cases.items():
            renamed = each.case.model_copy(update={"case_id": f"{name}/{case_id}"})
            cases[renamed.case_id] = CaseFigures(
                case=renamed,
                runs={shift + replicate: run for replicate, run in each.runs.items()},
                spoilt={shift + replicate: run for replicate, run in each.spoilt.items()},
                reason=each.reason,
            )
        runs += [
            run.model_copy(
                update={
                    "case": run.case.model_copy(update={"case_id": f"{name}/{run.case.case_id}"}),
                    "replicate": shift + run.replicate,
                }
            )
            for run in other.runs
        ]
    return replace(summary, cases=cases, runs=tuple(runs))
