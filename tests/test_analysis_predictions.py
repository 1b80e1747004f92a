"""Measured ÷ predicted, which cases are off, and the reason that is named: truth tables."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from support.fakes import case_of, run_of

from loopwise.analysis.figures import CaseFigures, RunFigures
from loopwise.analysis.predictions import Prediction, judge, predict, sentence
from loopwise.model import Case, Cause, Check, Cost, Estimate, Load, Part, Run

BOUND = 200.0
"""10 users ÷ 50 ms."""
FULL = Cause(cause="thread_pool_full", share=0.9, evidence="thread pool full 90 % of the window")
BUSY = Cause(cause="cpu_saturated", share=0.9, evidence="CPU saturated: 1 worker computed 97 %")
LATE = Cause(cause="generator_bound", share=0.9, evidence="the generator used 97 % of its core")
NOTHING = "nothing that was recorded explains it"


def flag(name: str, value: float) -> Check:
    return Check(name=name, value=value, limit=0.1, effect="flag", ok=False, detail=f"{name} was {value:g}")


def figures_of(case: Case, ratios: Sequence[float], others: Mapping[str, float], bound: float = BOUND) -> CaseFigures:
    name = case.endpoints[0].name
    more = {(name, metric): value for metric, value in others.items()}
    runs = {
        number: RunFigures(endpoint=name, metrics={(name, "throughput_rps"): ratio * bound, **more})
        for number, ratio in enumerate(ratios, start=1)
    }
    return CaseFigures(case=case, runs=runs, spoilt={}, reason="" if ratios else "users: 9 of 10 ran")


def found_of(
    *ratios: float,
    case: Case | None = None,
    bound: float = BOUND,
    runs: Sequence[Mapping[str, Any]] = (),
    others: Mapping[str, float] | None = None,
) -> Prediction | None:
    case = case or case_of("c", "async")
    made: list[Run] = [run_of(case, replicate=number, **fields) for number, fields in enumerate(runs, start=1)]
    return predict(figures_of(case, ratios, others or {}, bound), made, 2, 0.95)


# low, value, high -> verdict
WORDS: list[tuple[float | None, float, float | None, str]] = [
    (0.97, 0.98, 0.99, "near"),
    (0.60, 0.62, 0.64, "below"),
    (0.60, 0.70, 0.81, "near"),
    (0.78, 0.79, 0.7999, "below"),
    (1.04, 1.06, 1.08, "near"),
    (1.051, 1.06, 1.07, "above"),
    (None, 0.79, None, "below"),
    (None, 0.81, None, "near"),
    (None, 1.06, None, "above"),
]


@pytest.mark.parametrize(("low", "value", "high", "word"), WORDS)
def test_a_case_is_off_if_its_whole_interval_is(low: float | None, value: float, high: float | None, word: str) -> None:
    assert judge(Estimate(value=value, low=low, high=high, replicates=3)) == word
    assert judge(None) == "invalid"


def test_without_a_known_cost_nothing_is_predicted() -> None:
    assert found_of(0.5, 0.5, case=case_of("c", "async", cost=None)) is None
    assert found_of(0.5, 0.5, case=case_of("c", "own", server=None, url="http://127.0.0.1:9")) is None


def test_an_invalid_case_has_a_bound_and_no_ratio() -> None:
    found = found_of()
    assert found is not None
    assert (found.verdict, found.ratio, found.ci_low, found.reason) == ("invalid", None, None, "")
    assert found.predicted_rps == pytest.approx(BOUND)
    assert sentence(found, "async") == ""


def test_one_replicate_has_no_interval_and_says_so() -> None:
    found = found_of(0.5)
    assert found is not None
    assert (found.verdict, found.ci_low, found.ci_high) == ("below", None, None)
    assert found.ratio == pytest.approx(0.5)
    assert sentence(found, "async") == (
        f"async reaches 0.50 of the 200 requests/s that arithmetic gives it (10 users), in one replicate: {NOTHING}"
    )


def test_a_case_near_its_bound_is_not_spoken_of() -> None:
    found = found_of(0.97, 0.98, 0.99, runs=[{"causes": (BUSY,)}] * 3)
    assert found is not None
    assert (found.verdict, found.reason, sentence(found, "async")) == ("near", "", "")


def test_the_sentence_has_interval_bound_and_reason() -> None:
    found = found_of(0.61, 0.62, 0.63, runs=[{"causes": (BUSY,)}] * 3)
    assert found is not None
    said = sentence(found, "async × 1")
    assert said.startswith("async × 1 reaches 0.62 [0.")
    assert said.endswith(
        "] of the 200 requests/s that arithmetic gives it (10 users): CPU saturated: 1 worker computed 97 %"
    )


STEAL, SMALL_STEAL, OTHERS = flag("steal", 0.4), flag("steal", 0.15), flag("other_cpu", 0.9)
DRIFT = flag("drift", 0.2)
OK = STEAL.model_copy(update={"ok": True})
COMPUTES = case_of("c", "async", cost=Cost(cpu_ms=5.0), load=Load(users=100))
SYNC = case_of("c", "sync", load=Load(users=100))

# runs of the case, ratio, more figures, how the reason begins
REASONS: dict[str, tuple[Sequence[Mapping[str, Any]], float, dict[str, float], str]] = {
    "a cause": ([{"causes": (BUSY,)}] * 3, 0.5, {}, "CPU saturated"),
    "a cause of half the runs": ([{"causes": (BUSY,)}, {}], 0.5, {}, "CPU saturated"),
    "a cause of few runs": ([{"causes": (BUSY,)}, {}, {}], 0.5, {}, NOTHING),
    "a generator that is full, first": ([{"causes": (LATE, BUSY), "checks": (STEAL,)}] * 2, 0.5, {}, "the generator"),
    "steal that suffices, before a cause": ([{"causes": (BUSY,), "checks": (STEAL,)}] * 2, 0.5, {}, "steal was 0.4"),
    "steal that is too little, after it": ([{"causes": (BUSY,), "checks": (SMALL_STEAL,)}] * 2, 0.5, {}, "CPU sat"),
    "steal that is too little, alone": ([{"checks": (SMALL_STEAL,)}] * 2, 0.5, {}, "steal was 0.15"),
    "other processes on one core of two": ([{"checks": (OTHERS,)}] * 2, 0.5, {}, "other_cpu was 0.9"),
    "a check that is fine": ([{"checks": (OK,)}] * 2, 0.5, {}, NOTHING),
    "any other mark": ([{"checks": (DRIFT,)}] * 2, 0.5, {}, "drift was 0.2"),
    "a late generator": ([{}], 0.5, {"generator_lag_mean_ms": 40, "service_time_mean_ms": 60}, "the generator read"),
    "a generator in time": ([{}], 0.5, {"generator_lag_mean_ms": 1, "service_time_mean_ms": 90}, NOTHING),
    "runs that don't count": ([{"causes": (BUSY,), "status": "invalid"}] * 2, 0.5, {}, NOTHING),
}  # fmt: skip


@pytest.mark.parametrize(("runs", "ratio", "others", "begins"), REASONS.values(), ids=REASONS)
def test_the_likeliest_reason_for_less_is_named(
    runs: Sequence[Mapping[str, Any]], ratio: float, others: dict[str, float], begins: str
) -> None:
    found = found_of(ratio, ratio, runs=runs, others=others)
    assert found is not None
    assert found.verdict == "below"
    assert found.reason.startswith(begins)


def test_a_cause_that_is_the_bound_explains_nothing_below_it() -> None:
    found = found_of(0.5, 0.5, case=SYNC, bound=800.0, runs=[{"causes": (FULL,)}] * 2)
    assert found is not None
    assert (found.bound, found.reason) == ("sync: 40 at a time", NOTHING)
    found = found_of(0.5, 0.5, case=SYNC, bound=800.0, runs=[{"causes": (BUSY, FULL)}] * 2)
    assert found is not None
    assert found.reason == BUSY.evidence


def test_dearer_requests_explain_less_than_the_cpu_bound() -> None:
    options: dict[str, Any] = {"case": COMPUTES, "bound": 200.0, "runs": [{"causes": (BUSY,)}] * 2}
    found = found_of(0.5, 0.5, others={"cpu_ms_per_request": 9.0}, **options)
    assert found is not None
    assert found.bound == "CPU of 1 core"
    assert found.reason == "a request took 9 ms of CPU, where the workload's own is 5 ms"
    found = found_of(0.5, 0.5, others={"cpu_ms_per_request": 5.2}, **options)
    assert found is not None
    assert found.reason == NOTHING


def test_the_cpu_of_a_mix_is_weighted() -> None:
    parts = (
        Part(workload="cpu", mode="async", weight=3, cost=Cost(cpu_ms=4.0)),
        Part(workload="cpu", mode="async", weight=1, cost=Cost(cpu_ms=8.0)),
    )
    mix = case_of("c", "mix", parts=parts, load=Load(users=100))
    found = found_of(0.5, 0.5, case=mix, bound=200.0, others={"cpu_ms_per_request": 10.0})
    assert found is not None
    assert found.reason.endswith("where the workload's own is 5 ms")


def test_more_than_a_bound_allows_says_which_assumption_is_wrong() -> None:
    found = found_of(1.2, 1.2, case=COMPUTES, bound=200.0, others={"cpu_ms_per_request": 4.0})
    assert found is not None
    assert found.reason.endswith("the machine was slower during the calibration")
    found = found_of(1.2, 1.2)
    assert found is not None
    assert (found.verdict, found.reason.startswith("a request costs less")) == ("above", True)
    asked = case_of("c", "async", load=Load(model="open", rate_rps=100))
    found = found_of(1.2, 1.2, case=asked, bound=100.0)
    assert found is not None
    assert found.reason.startswith("more arrived in the window")
