"""The truth table of the one function that decides, and the sentences that say it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fakes import case_of
from support.verdict import HIGHER, INF, LOWER, MARGIN, NAN, contest, known, steady

from loopwise.analysis.bounds import Bound
from loopwise.analysis.metrics import COMPARED, METRICS
from loopwise.analysis.paired import PairedComparison, explain, pair_up
from loopwise.analysis.stats import LogRatio, paired
from loopwise.analysis.verdicts import (
    RULES,
    decide,
    judge_family,
    smallest_alpha,
)
from loopwise.analysis.wording import times
from loopwise.model import Case, Cost, Estimate, Load, Server, Verdict
from loopwise.model.naming import tell_apart


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


FORTY_THREADS = Bound("slots", 800, 40, "sync")


@pytest.mark.parametrize("metric", COMPARED)
def test_every_compared_metric_has_a_direction(metric: str) -> None:
    ratio = ratio_of(2.0, 1.9, 2.1)
    assert decide(ratio, metric, MARGIN) == ("better" if METRICS[metric].better == "higher" else "worse")


ends = st.floats(min_value=0.01, max_value=100.0)


@steady
@given(low=ends, high=ends, margin=st.floats(min_value=0.0, max_value=0.9))
def test_at_most_one_rule_holds_and_swapped_sides_swap_the_words(low: float, high: float, margin: float) -> None:
    low, high = sorted((low, high))
    assert sum(holds(low, high, margin) for holds in RULES.values()) <= 1
    forth = decide(ratio_of(1.0, low, high), HIGHER, margin)
    back = decide(ratio_of(1.0, low, high), LOWER, margin)
    assert back == {"better": "worse", "worse": "better"}.get(forth, forth)


@steady
@given(low=ends, high=ends, value=ends)
def test_the_point_of_an_estimate_never_decides(low: float, high: float, value: float) -> None:
    low, high = sorted((low, high))
    assert decide(ratio_of(value, low, high), HIGHER, MARGIN) == decide(ratio_of(1.0, low, high), HIGHER, MARGIN)


def judge(given_: PairedComparison, margin: float = MARGIN) -> Verdict:
    return judge_family([given_], margin=margin, confidence=0.95)[0]


@pytest.mark.parametrize(
    ("given_", "sentence"),
    [
        (contest(known(2.41, 2.3)), "async serves 2.41 times [2.3, 2.53] the requests of sync"),
        (contest(known(0.5, 0.4), LOWER), "async takes 0.5 times [0.4, 0.625] the p99 time of sync"),
        (
            contest(known(1.003, 0.99), pairing="duel", endpoint="GET /x"),
            "async serves 1.003 times [0.99, 1.016] the requests of sync on GET /x, measured side by side: "
            "the same within ±5 %",
        ),
        (
            contest(known(1.5, 0.9)),
            "async serves 1.5 times [0.9, 2.5] the requests of sync: undecided, too wide to decide at ±5 %",
        ),
        (
            contest(known(1.5, None)),
            "async serves 1.5 times the requests of sync: undecided, one replicate has no interval",
        ),
        (
            contest(None, invalid_because="users: 9 of 10 users ran"),
            "async and sync can't be compared: users: 9 of 10 users ran",
        ),
        (contest(None), "async and sync can't be compared: no valid run"),
        (
            contest(known(4.8, 4.6), pairing="slices", explained_by={"better": FORTY_THREADS}),
            "async serves 4.8 times [4.6, 5.01] the requests of sync here, measured in alternating slices, "
            "because sync waits for its 40 threads",
        ),
    ],
)
def test_a_verdict_says_what_a_person_would(given_: PairedComparison, sentence: str) -> None:
    assert judge(given_).reason == sentence


@pytest.mark.parametrize(
    ("sync_rps", "because"), [(790.0, True), (640.0, True), (630.0, False)], ids=["at", "near", "below"]
)
def test_a_slower_side_at_its_own_bound_is_explained(sync_rps: float, because: bool) -> None:
    sides = [case_of(mode[0], mode, load=Load(users=200), cost=Cost(wait_ms=50)) for mode in ("sync", "async")]
    found = explain(sides[0], sides[1], {"s": sync_rps}, 2)
    assert {word: (bound.mode, bound.count) for word, bound in found.items()} == (
        {"better": ("sync", 40)} if because else {}
    )


def test_a_slower_candidate_is_the_one_explained() -> None:
    found = explain(case_of("s", "sync"), case_of("b", "blocking"), {"b": 19.5}, 1)
    assert {word: bound.because for word, bound in found.items()} == {
        "worse": "serves one request at a time on its event loop"
    }
    assert judge(contest(known(1.0, 0.99), explained_by=found)).reason.endswith("the same within ±5 %")


def test_a_bound_that_both_sides_share_explains_nothing() -> None:
    sides = [case_of(mode[0], mode, load=Load(users=200), cost=Cost(cpu_ms=10.0)) for mode in ("async", "sync")]
    assert explain(sides[0], sides[1], {"a": 100.0, "s": 88.0}, 2) == {}


def test_a_verdict_carries_its_numbers() -> None:
    found = judge(contest(known(2.0, 1.9)))
    assert (found.baseline_case, found.candidate_case, found.metric) == ("s", "a", HIGHER)
    assert [found.ratio, found.ci_low] == pytest.approx([2.0, 1.9])
    assert found.verdict == "better"
    assert (found.replicates, found.confidence, found.pairing) == (5, 0.95, "blocks")
    invalid = judge(contest(None))
    assert (invalid.ratio, invalid.ci_low, invalid.replicates, invalid.verdict) == (None, None, 0, "invalid")


IMPOSSIBLE = [
    None,
    LogRatio(1.0, NAN, 4, 5),
    LogRatio(NAN, 0.1, 4, 5),
    LogRatio(1.0, INF, 4, 5),
    LogRatio(INF, 0.1, 4, 5),
    LogRatio(1.0, NAN, 0, 1),
    LogRatio(1.0, 0.0, 0, 1),
]


@pytest.mark.parametrize("ratio", IMPOSSIBLE)
def test_an_impossible_test_is_never_significant_nor_counted(
    ratio: LogRatio | None,
) -> None:
    alone = judge(contest(known(2.0, 1.9)))
    impossible, beside = judge_family([contest(ratio), contest(known(2.0, 1.9))], margin=MARGIN, confidence=0.95)
    assert impossible.verdict == ("invalid" if ratio is None else "undecided")
    assert beside == alone
    assert ratio is None or smallest_alpha(ratio, MARGIN) == 1.0


@pytest.mark.parametrize(
    ("one", "other", "pairs"),
    [
        ({1: 1.0, 2: 2.0}, {1: 1.0, 2: 2.0}, 2),
        ({1: 1.0, 2: 0.0}, {1: 1.0, 2: 2.0}, 1),
        ({1: 1.0, 2: NAN}, {1: 1.0, 2: 2.0}, 1),
        ({1: 1.0, 2: 2.0}, {1: INF, 2: -2.0}, 0),
        ({1: 1.0}, {2: 1.0}, 0),
    ],
)
def test_only_finite_positive_values_of_one_number_are_pairs(
    one: dict[int, float], other: dict[int, float], pairs: int
) -> None:
    found = pair_up(one, other)
    assert (found.replicates if found else 0) == pairs


def test_equal_ratios_are_a_point_that_decides() -> None:
    assert judge(contest(paired([1.0, 2.0], [1.0, 2.0]))).verdict == "same"
    assert judge(contest(paired([1.0, 2.0], [2.0, 4.0]))).verdict == "better"


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
            ("GET / on the running server", "sleep(ms=50) sync on 1 worker"),
        ),
        (
            case_of("1", "sync"),
            case_of("2", "sync", server=Server(threads=9)),
            ("sync default threads", "sync 9 threads"),
        ),
    ],
)
def test_cases_are_told_apart_by_what_differs(first: Case, second: Case, names: tuple[str, str]) -> None:
    assert tell_apart(first, second) == names


def test_a_ratio_reads_with_its_interval_if_it_has_one() -> None:
    assert times(ratio_of(2.414, 2.3, 2.5)) == "2.41 times [2.3, 2.5]"
    assert times(ratio_of(2.414, None, None)) == "2.41 times"
