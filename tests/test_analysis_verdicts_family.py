"""Many verdicts at once: Holm's step-down, families by metric, rounds of pairs."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.verdict import HIGHER, LOWER, MARGIN, contest, known, steady

from loopwise.analysis.stats import LogRatio, paired
from loopwise.analysis.verdicts import (
    confidences,
    decide,
    judge_family,
    judge_rounds,
    smallest_alpha,
    undecided_pairs,
)
from loopwise.model import Check, Estimate, Round, Side

logs = st.lists(st.floats(min_value=-1.0, max_value=1.0), min_size=2, max_size=8)


def ratio_from(values: list[float]) -> LogRatio:
    return paired([1.0] * len(values), [math.exp(value) for value in values])


@steady
@given(values=logs, margin=st.floats(min_value=0.001, max_value=0.5))
def test_at_the_smallest_alpha_the_interval_begins_to_decide(values: list[float], margin: float) -> None:
    ratio = ratio_from(values)
    alpha = smallest_alpha(ratio, margin)
    assert 0 <= alpha <= 1
    if 1e-6 < alpha < 0.98 and ratio.error > 1e-6:
        assert decide(ratio.estimate(1 - alpha * 1.01), HIGHER, margin) != "undecided"
        assert decide(ratio.estimate(1 - alpha * 0.99), HIGHER, margin) == "undecided"


@steady
@given(families=st.lists(logs, min_size=1, max_size=8), data=st.data())
def test_holm_is_monotone_and_blind_to_order(families: list[list[float]], data: st.DataObject) -> None:
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
def test_one_family_in_twenty_at_most_has_a_wrong_verdict(
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
    sides = [Side(metrics={"GET /x": {"throughput_rps": value, "cpu_ms_per_request": 1000 / value}}) for value in rps]
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


def test_valid_rounds_are_judged_per_metric_and_endpoint() -> None:
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


def test_pairs_undecided_in_throughput_are_named_for_slices() -> None:
    contests = [
        contest(known(1.5, 0.9)),
        contest(known(3.0, 2.9), candidate_case="far"),
        contest(known(1.5, 0.9), LOWER, candidate_case="latency"),
        contest(known(1.5, 0.9), candidate_case="sliced", pairing="slices"),
        contest(None, candidate_case="void"),
    ]
    assert undecided_pairs(judge_family(contests, margin=MARGIN, confidence=0.95)) == [("s", "a")]
