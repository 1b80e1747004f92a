"""The truth table of the one function that decides, and the sentences that say it."""

import math
from typing import Any

import numpy as np
import pytest
from fakes import case_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.special import stdtrit

from loopwise.contest import COMPARED, Contest, explain, pair_up
from loopwise.factors import tell_apart
from loopwise.metrics import METRICS
from loopwise.model import Case, Check, Cost, Estimate, Load, Round, Server, Side, Verdict
from loopwise.sentences import SAYS, times
from loopwise.stats import LogRatio, paired
from loopwise.verdicts import (
    RULES,
    confidences,
    decide,
    judge_family,
    judge_rounds,
    smallest_alpha,
    undecided_pairs,
)

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


def known(value: float, low: float | None, high: float | None = None, replicates: int = 5) -> LogRatio:
    """A log ratio whose 95 % interval begins at `low`; the other end follows from the symmetry of logs."""
    del high
    if low is None:
        return LogRatio(math.log(value), NAN, 0, 1)
    half = math.log(value) - math.log(low)
    return LogRatio(math.log(value), half / float(stdtrit(replicates - 1, 0.975)), replicates - 1, replicates)


def contest(ratio: LogRatio | None, metric: str = HIGHER, **options: Any) -> Contest:
    fields: dict[str, Any] = {"baseline_case": "s", "candidate_case": "a", "names": ("async", "sync")}
    return Contest(metric=metric, ratio=ratio, **(fields | options))


def judge(given_: Contest, margin: float = MARGIN) -> Verdict:
    return judge_family([given_], margin=margin, confidence=0.95)[0]


@pytest.mark.parametrize(
    ("given_", "sentence"),
    [
        (contest(known(2.41, 2.3)), "async serves 2.41 times [2.3, 2.53] the requests of sync"),
        (contest(known(0.5, 0.4), LOWER), "async takes 0.5 times [0.4, 0.625] the p99 time of sync"),
        (
            contest(known(1.003, 0.99), pairing="duel", endpoint="GET /x"),
            "async serves 1.003 times [0.99, 1.016] the requests of sync on GET /x, measured side by side: "
            "the same within ±5%",
        ),
        (
            contest(known(1.5, 0.9)),
            "async serves 1.5 times [0.9, 2.5] the requests of sync: undecided, too wide to decide at ±5%",
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
            contest(known(4.8, 4.6), pairing="slices", explains={"better": "sync waits for its 40 threads"}),
            "async serves 4.8 times [4.6, 5.01] the requests of sync here, measured in alternating slices, "
            "because sync waits for its 40 threads",
        ),
    ],
)
def test_a_verdict_says_what_a_person_would(given_: Contest, sentence: str) -> None:
    assert judge(given_).reason == sentence


@pytest.mark.parametrize(
    ("sync_rps", "because"), [(790.0, True), (640.0, True), (630.0, False)], ids=["at", "near", "below"]
)
def test_the_slower_side_is_explained_where_it_runs_at_its_own_bound(sync_rps: float, because: bool) -> None:
    sides = [
        case_of(mode[0], mode, load=Load(users=200), cost=Cost(wait_ms=50)) for mode in ("sync", "async")
    ]
    found = explain(sides[0], sides[1], {"s": sync_rps}, 2)
    assert found == ({"better": "sync waits for its 40 threads"} if because else {})


def test_a_slower_candidate_is_the_one_explained() -> None:
    found = explain(case_of("s", "sync"), case_of("b", "blocking"), {"b": 19.5}, 1)
    assert found == {"worse": "blocking serves one request at a time on its event loop"}
    assert judge(contest(known(1.0, 0.99), explains=found)).reason.endswith("the same within ±5%")


def test_a_bound_that_both_sides_share_explains_nothing() -> None:
    sides = [
        case_of(mode[0], mode, load=Load(users=200), cost=Cost(cpu_ms=10.0)) for mode in ("async", "sync")
    ]
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
def test_an_impossible_test_is_never_significant_and_takes_nothing_from_the_others(
    ratio: LogRatio | None,
) -> None:
    alone = judge(contest(known(2.0, 1.9)))
    impossible, beside = judge_family(
        [contest(ratio), contest(known(2.0, 1.9))], margin=MARGIN, confidence=0.95
    )
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


logs = st.lists(st.floats(min_value=-1.0, max_value=1.0), min_size=2, max_size=8)


def ratio_from(values: list[float]) -> LogRatio:
    return paired([1.0] * len(values), [math.exp(value) for value in values])


@steady
@given(values=logs, margin=st.floats(min_value=0.001, max_value=0.5))
def test_the_smallest_alpha_is_where_the_interval_begins_to_decide(
    values: list[float], margin: float
) -> None:
    ratio = ratio_from(values)
    alpha = smallest_alpha(ratio, margin)
    assert 0 <= alpha <= 1
    if 1e-6 < alpha < 0.98 and ratio.error > 1e-6:
        assert decide(ratio.estimate(1 - alpha * 1.01), HIGHER, margin) != "undecided"
        assert decide(ratio.estimate(1 - alpha * 0.99), HIGHER, margin) == "undecided"


@steady
@given(families=st.lists(logs, min_size=1, max_size=8), data=st.data())
def test_holm_is_monotone_and_blind_to_order_and_its_intervals_decide(
    families: list[list[float]], data: st.DataObject
) -> None:
    contests = [contest(ratio_from(values), candidate_case=str(k)) for k, values in enumerate(families)]
    found = judge_family(contests, margin=MARGIN, confidence=0.95)
    shuffled = judge_family(data.draw(st.permutations(contests)), margin=MARGIN, confidence=0.95)
    assert {v.candidate_case: v.verdict for v in found} == {v.candidate_case: v.verdict for v in shuffled}
    alphas = [smallest_alpha(ratio_from(values), MARGIN) for values in families]
    order = sorted(range(len(families)), key=lambda k: (alphas[k], k))
    levels = [found[k].confidence for k in order]
    assert levels == sorted(levels, reverse=True)
    decided = [found[k].verdict != "undecided" for k in order]
    assert decided == sorted(decided, reverse=True)
    for verdict in found:
        assert verdict.ratio is not None
        shown = Estimate(value=verdict.ratio, low=verdict.ci_low, high=verdict.ci_high, replicates=2)
        assert decide(shown, HIGHER, MARGIN) == verdict.verdict
        assert 0.95 <= verdict.confidence <= 1 - 0.05 / len(families) + 1e-12


def test_each_metric_is_a_family_of_its_own() -> None:
    ratio = known(1.5, 0.9)
    found = judge_family([contest(ratio), contest(ratio, LOWER)], margin=MARGIN, confidence=0.95)
    assert [verdict.confidence for verdict in found] == [0.95, 0.95]
    assert confidences([ratio, ratio], HIGHER, MARGIN, 0.95) == pytest.approx([0.975, 0.975])


@pytest.mark.parametrize("truth", [0.0, math.log1p(MARGIN), -0.1])
def test_at_most_one_family_in_twenty_holds_a_wrong_verdict_although_all_share_a_baseline(
    truth: float,
) -> None:
    rng = np.random.default_rng(40_000 + round(truth * 1000))
    families, candidates, blocks, wrong = 300, 6, 5, 0
    right = {"undecided", {0.0: "same", -0.1: "worse"}.get(truth, "same")}
    for _ in range(families):
        baseline = rng.normal(0, 0.05, blocks)
        ratios = [ratio_from(list(truth + rng.normal(0, 0.05, blocks) - baseline)) for _ in range(candidates)]
        found = judge_family([contest(ratio) for ratio in ratios], margin=MARGIN, confidence=0.95)
        wrong += any(verdict.verdict not in right for verdict in found)
    assert wrong / families <= 0.07  # 0.05 and twice the error of 300 draws


def round_of(number: int, rps: tuple[float, float], **options: Any) -> Round:
    sides = [
        Side(metrics={"GET /x": {"throughput_rps": value, "cpu_ms_per_request": 1000 / value}})
        for value in rps
    ]
    fields: dict[str, Any] = {
        "pairing": "duel",
        "number": number,
        "baseline_case": "main",
        "candidate_case": "mine",
        "status": "ok",
        "started_at": "2026-01-02T03:04:05Z",
        "baseline": sides[0],
        "candidate": sides[1],
    }
    return Round(**(fields | options))


def test_rounds_are_judged_per_metric_and_endpoint_and_broken_ones_do_not_count() -> None:
    rounds = [round_of(k, (100.0 + k, 97.0 + k), status="ok") for k in range(1, 6)]
    rounds += [round_of(6, (1.0, 900.0), status="invalid"), round_of(7, (1.0, 900.0), status="failed")]
    found = judge_rounds(reversed(rounds), margin=0.01, confidence=0.95)
    assert [(v.metric, v.endpoint, v.verdict, v.replicates) for v in found] == [
        ("throughput_rps", "GET /x", "worse", 5),
        ("cpu_ms_per_request", "GET /x", "worse", 5),
    ]
    assert {v.pairing for v in found} == {"duel"}
    assert "mine serves 0.97" in found[0].reason
    assert "of main on GET /x, measured side by side" in found[0].reason


def test_a_pair_without_a_valid_round_is_invalid_and_says_why() -> None:
    check = Check(name="steal", value=1, limit=0, effect="void", ok=False, detail="too much was taken")
    for options, reason in (
        ({"status": "failed", "error": "the server died"}, "the server died"),
        ({"status": "invalid", "checks": (check,)}, "steal: too much was taken"),
    ):
        (found,) = judge_rounds([round_of(1, (1.0, 2.0), **options)], margin=0.01, confidence=0.95)
        assert (found.verdict, found.ratio) == ("invalid", None)
        assert reason in found.reason
    assert judge_rounds([], margin=0.01, confidence=0.95) == []


def test_what_blocks_leave_undecided_in_throughput_is_named_for_slices() -> None:
    contests = [
        contest(known(1.5, 0.9)),
        contest(known(3.0, 2.9), candidate_case="far"),
        contest(known(1.5, 0.9), LOWER, candidate_case="latency"),
        contest(known(1.5, 0.9), candidate_case="sliced", pairing="slices"),
        contest(None, candidate_case="void"),
    ]
    assert undecided_pairs(judge_family(contests, margin=MARGIN, confidence=0.95)) == [("s", "a")]


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
        (
            case_of("1", "sync"),
            case_of("2", "sync", server=Server(threads=9)),
            ("sync threads default", "sync threads 9"),
        ),
    ],
)
def test_cases_are_told_apart_by_what_differs(first: Case, second: Case, names: tuple[str, str]) -> None:
    assert tell_apart(first, second) == names


def test_a_ratio_reads_with_its_interval_if_it_has_one() -> None:
    assert times(ratio_of(2.414, 2.3, 2.5)) == "2.41 times [2.3, 2.5]"
    assert times(ratio_of(2.414, None, None)) == "2.41 times"
