"""Answers about cases whose throughput is given."""

from collections.abc import Mapping, Sequence

from loopwise.analysis.conclusions import answer_all
from loopwise.analysis.figures import CaseFigures, RunFigures
from loopwise.analysis.paired import explain, within_blocks
from loopwise.analysis.verdicts import judge_family
from loopwise.model import Case, Load, Suite, Verdict
from support.fakes import case_of, experiment_of


def figures_of(case: Case, values: Sequence[float], reason: str = "") -> CaseFigures:
    name = case.endpoints[0].name
    runs = {
        replicate: RunFigures(endpoint=name, metrics={(name, "throughput_rps"): value})
        for replicate, value in enumerate(values, start=1)
    }
    return CaseFigures(case=case, runs=runs, spoilt={}, reason="" if values else reason)


def answers(suite: Suite, values: Mapping[str, Sequence[float]], pairs: Sequence[tuple[str, str]] = ()) -> list[str]:
    cases = {case.case_id: figures_of(case, values[case.case_id], "users: 9 of 10 users ran") for case in suite.cases}
    return list(answer_all(experiment_of(suite), cases, tuple(verdict_of(cases, *pair, values) for pair in pairs)))


def verdict_of(
    cases: Mapping[str, CaseFigures], baseline: str, candidate: str, values: Mapping[str, Sequence[float]]
) -> Verdict:
    rates = {case_id: sum(each) / len(each) for case_id, each in values.items() if each}
    sides = cases[baseline], cases[candidate]
    comparison = within_blocks(*sides, "throughput_rps", explain(sides[0].case, sides[1].case, rates, 2))
    assert comparison is not None
    return judge_family([comparison], margin=0.05, confidence=0.95)[0]


LOAD = Load(users=200, measure_s=1)
SYNC, ASYNC, THREAD = (case_of(mode, mode, load=LOAD) for mode in ("sync", "async", "to_thread"))
SLOW, FAST, CLOSE = (790.0, 791.0, 792.0), (1600.0, 1610.0, 1620.0), (1601.0, 1609.0, 1621.0)
