"""The truth table of the one function that decides, and the sentences that say it."""

import math
from typing import Any

import pytest
from fakes import case_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loopwise.metrics import METRICS
from loopwise.model import Case, Cost, Estimate, Load, Server
from loopwise.verdicts import COMPARED, RULES, SAYS, Contest, decide, judge, tell_apart, times

NAN, INF = math.nan, math.inf
MARGIN = 0.05
HIGHER, LOWER = "throughput_rps", "service_time_p99_ms"


def ratio_of(value: float, low: float | None, high: float | None, replicates: int = 5) -> Estimate:
    return Estimate(value=value, low=low, high=high, replicates=replicates)


# low, high of candidate ÷ baseline -> verdict where higher is better, where lower is better
TABLE: list[tuple[float | None, float | None, str, str]] = [
    (1.06, 1.20, "better", "worse"),
    (2.30, 2.50, "better", "worse"),
    (0.80, 0.94, "worse", "better"),
    (0.01, 0.02, "worse", "better"),
    (0.97, 1.03, "same", "same"),
    (1.00, 1.00, "same", "same"),
    (1.05, 1.05, "same", "same"),
    (1 / 1.05, 1.05, "same", "same"),
    (1 / 1.05, 1 / 1.05, "same", "same"),
    (1.05, 1.20, "undecided", "undecided"),
    (0.80, 1 / 1.05, "undecided", "undecided"),
    (1.04, 1.20, "undecided", "undecided"),
    (0.90, 1.02, "undecided", "undecided"),
    (0.50, 2.00, "undecided", "undecided"),
    (None, None, "undecided", "undecided"),
    (NAN, NAN, "undecided", "undecided"),
    (NAN, 1.20, "undecided", "undecided"),
    (1.20, NAN, "undecided", "undecided"),
    (1.20, INF, "undecided", "undecided"),
    (INF, INF, "undecided", "undecided"),
    (0.0, 0.5, "undecided", "undecided"),
    (0.0, 0.0, "undecided", "undecided"),
    (-2.0, -1.0, "undecided", "undecided"),
    (1.50, 1.20, "undecided", "undecided"),
]


@pytest.mark.parametrize(("low", "high", "higher", "lower"), TABLE)
def test_the_whole_interval_decides(low: float | None, high: float | None, higher: str, lower: str) -> None:
    ratio = ratio_of(1.0, low, high)
    assert decide(ratio, HIGHER, MARGIN) == higher
    assert decide(ratio, LOWER, MARGIN) == lower


def test_every_rule_and_both_other_verdicts_have_rows_above() -> None:
    for column in (2, 3):
        assert {row[column] for row in TABLE} == {*RULES, "undecided"}
    assert decide(None, HIGHER, MARGIN) == "invalid"


@pytest.mark.parametrize("metric", COMPARED)
def test_every_compared_metric_has_a_direction_and_a_sentence(metric: str) -> None:
    ratio = ratio_of(2.0, 1.9, 2.1)
    assert decide(ratio, metric, MARGIN) == ("better" if METRICS[metric].better == "higher" else "worse")
    assert metric in SAYS


steady = settings(
    deadline=None, derandomize=True, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
ends = st.floats(min_value=0.01, max_value=100.0)


@steady
@given(low=ends, high=ends, margin=st.floats(min_value=0.0, max_value=0.9))
def test_at_most_one_rule_holds_and_swapped_sides_swap_the_words(
    low: float, high: float, margin: float
) -> None:
    low, high = sorted((low, high))
    assert sum(holds(low, high, margin) for holds in RULES.values()) <= 1
    forth = decide(ratio_of(1.0, low, high), HIGHER, margin)
    back = decide(ratio_of(1.0, low, high), LOWER, margin)
    assert back == {"better": "worse", "worse": "better"}.get(forth, forth)


@steady
@given(low=ends, high=ends, value=ends)
def test_the_point_of_an_estimate_never_decides(low: float, high: float, value: float) -> None:
    low, high = sorted((low, high))
    assert decide(ratio_of(value, low, high), HIGHER, MARGIN) == decide(
        ratio_of(1.0, low, high), HIGHER, MARGIN
    )


def contest(ratio: Estimate | None, metric: str = HIGHER, **options: Any) -> Contest:
    fields: dict[str, Any] = {"baseline": case_of("s", "sync"), "candidate": case_of("a", "async")}
    return Contest(metric=metric, ratio=ratio, **(fields | options))


@pytest.mark.parametrize(
    ("given_", "sentence"),
    [
        (
            contest(ratio_of(2.41, 2.3, 2.5)),
            "async serves 2.41 times [2.3, 2.5] the requests of sync",
        ),
        (
            contest(ratio_of(0.5, 0.4, 0.6), LOWER),
            "async takes 0.5 times [0.4, 0.6] the p99 time of sync",
        ),
        (
            contest(ratio_of(1.0, 0.99, 1.01)),
            "async serves 1 times [0.99, 1.01] the requests of sync: the same within ±5%",
        ),
        (
            contest(ratio_of(1.5, 0.9, 2.5)),
            "async serves 1.5 times [0.9, 2.5] the requests of sync: undecided, too wide to decide at ±5%",
        ),
        (
            contest(ratio_of(1.5, None, None, replicates=1)),
            "async serves 1.5 times the requests of sync: undecided, one replicate has no interval",
        ),
        (
            contest(None, invalid_because="users: 9 of 10 users ran"),
            "async and sync can't be compared: users: 9 of 10 users ran",
        ),
        (contest(None), "async and sync can't be compared: no valid run"),
    ],
)
def test_a_verdict_says_what_a_person_would(given_: Contest, sentence: str) -> None:
    assert judge(given_, MARGIN).reason == sentence


@pytest.mark.parametrize(
    ("sync_rps", "ratio", "because"),
    [
        (790.0, ratio_of(2.0, 1.9, 2.1), ", because sync waits for its 40 threads"),
        (640.0, ratio_of(2.0, 1.9, 2.1), ", because sync waits for its 40 threads"),
        (630.0, ratio_of(2.0, 1.9, 2.1), ""),
        (790.0, ratio_of(1.0, 0.99, 1.01), ""),
    ],
    ids=["at its bound", "just near enough", "below its bound", "nobody is slower"],
)
def test_the_slower_side_is_explained_where_it_runs_at_its_own_bound(
    sync_rps: float, ratio: Estimate, because: str
) -> None:
    sides: dict[str, Any] = {
        "baseline": case_of("s", "sync", load=Load(users=200), cost=Cost(wait_ms=50)),
        "candidate": case_of("a", "async", load=Load(users=200), cost=Cost(wait_ms=50)),
    }
    reason = judge(contest(ratio, measured_rps={"s": sync_rps}, cores=2, **sides), MARGIN).reason
    assert reason.partition(", because ")[2] == because.removeprefix(", because ")


def test_a_slower_candidate_is_the_one_explained() -> None:
    candidate = case_of("b", "blocking")
    given_ = contest(ratio_of(0.02, 0.019, 0.021), candidate=candidate, measured_rps={"b": 19.5})
    assert judge(given_, MARGIN).reason.endswith(
        "because blocking serves one request at a time on its event loop"
    )


def test_a_bound_that_both_sides_share_explains_nothing() -> None:
    cost = Cost(cpu_ms=10.0)
    sides: dict[str, Any] = {
        "baseline": case_of("a", "async", load=Load(users=200), cost=cost),
        "candidate": case_of("s", "sync", load=Load(users=200), cost=cost),
    }
    given_ = contest(ratio_of(0.88, 0.86, 0.9), measured_rps={"a": 100.0, "s": 88.0}, cores=2, **sides)
    assert judge(given_, MARGIN).reason == "sync serves 0.88 times [0.86, 0.9] the requests of async"


def test_latency_verdicts_and_unknown_throughput_claim_no_cause() -> None:
    assert (
        "because" not in judge(contest(ratio_of(2.0, 1.9, 2.1), LOWER, measured_rps={"s": 1e9}), 0.05).reason
    )
    assert "because" not in judge(contest(ratio_of(2.0, 1.9, 2.1)), MARGIN).reason


def test_a_verdict_carries_its_numbers() -> None:
    found = judge(contest(ratio_of(2.0, 1.9, 2.1)), MARGIN)
    assert (found.baseline_case, found.candidate_case, found.metric) == ("s", "a", HIGHER)
    assert (found.ratio, found.ci_low, found.ci_high, found.verdict) == (2.0, 1.9, 2.1, "better")
    invalid = judge(contest(None), MARGIN)
    assert (invalid.ratio, invalid.ci_low, invalid.ci_high, invalid.verdict) == (None, None, None, "invalid")


def on_url(case_id: str) -> Case:
    return case_of(case_id, "own", server=None, url="http://127.0.0.1:9", params={}, workload="GET /")


@pytest.mark.parametrize(
    ("first", "second", "names"),
    [
        (case_of("1", "sync"), case_of("2", "async"), ("sync", "async")),
        (
            case_of("1", "sync"),
            case_of("2", "sync", server=Server(workers=2)),
            ("sync on 1 worker", "sync on 2 workers"),
        ),
        (
            case_of("1", "sync"),
            case_of("2", "sync", server=Server(name="gunicorn")),
            ("sync under uvicorn", "sync under gunicorn"),
        ),
        (
            case_of("1", "sync", load=Load(users=1)),
            case_of("2", "async", load=Load(users=9)),
            ("sync at 1 user", "async at 9 users"),
        ),
        (
            case_of("1", "sync"),
            case_of("2", "sync", params={"ms": 5}),
            ("sleep(ms=50)", "sleep(ms=5)"),
        ),
        (
            on_url("1"),
            case_of("2", "sync"),
            ("GET / own on the running server", "sleep(ms=50) sync on 1 worker"),
        ),
        (case_of("1", "sync"), case_of("2", "sync", server=Server(threads=9)), ("1", "2")),
    ],
)
def test_cases_are_told_apart_by_what_differs(first: Case, second: Case, names: tuple[str, str]) -> None:
    assert tell_apart(first, second) == names


def test_a_ratio_reads_with_its_interval_if_it_has_one() -> None:
    assert times(ratio_of(2.414, 2.3, 2.5)) == "2.41 times [2.3, 2.5]"
    assert times(ratio_of(2.414, None, None)) == "2.41 times"
