"""The rules of the claims: right in a world that is known, and silent where nothing was measured."""

import math
from collections.abc import Callable

import pytest
from support.claim import CLAIM_IDS, World, suite_of_claim, summary_in, typical

from loopwise.claims.evidence import merged
from loopwise.claims.finding import DECIDED, Word
from loopwise.claims.table import CLAIMS
from loopwise.model import Case

EXPECTED: dict[str, Word] = {
    "C01": "refuted",
    "C02": "confirmed",
    "C03": "depends",
    "C04": "confirmed",
    "C05": "confirmed",
    "C06": "confirmed",
    "C07": "depends",
    "C08": "confirmed",
    "C09": "confirmed",
    "C10": "confirmed",
    "C11": "depends",
    "C12": "confirmed",
    "C13": "depends",
    "C14": "depends",
    "C15": "depends",
    "C16": "depends",
    "C17": "depends",
    "C18": "depends",
    "C19": "confirmed",
    "C20": "depends",
}
"""In the typical world."""


def always(value: float) -> World:
    """Every case has the same of everything."""
    return lambda _case, _metric, _endpoint: value


def scaled(metric: str, factor: Callable[[Case], float]) -> World:
    """The typical world but for one metric."""
    return lambda case, name, endpoint: typical(case, name, endpoint) * (factor(case) if name == metric else 1.0)


def faster(mode: str, by: float, metric: str = "throughput_rps") -> World:
    return scaled(metric, lambda case: by if case.mode == mode else 1.0)


def one_at_a_time(case: Case, metric: str, endpoint: str) -> float:
    """Whatever the mode, a worker serves one request at a time."""
    return 20.0 if metric == "throughput_rps" else typical(case, metric, endpoint)


def _without_server(case: Case) -> float:
    """Takes back what the server makes of a route that does nothing."""
    name = case.server.name if case.server else ""
    return {"hypercorn": 1 / 0.4, "granian": 1 / 1.5}.get(name, 1.0) if case.workload == "noop" else 1.0


OTHERWISE: dict[str, tuple[World, Word]] = {
    "C01": (one_at_a_time, "confirmed"),
    "C02": (one_at_a_time, "refuted"),
    "C03": (faster("async", 2.0), "confirmed"),
    "C04": (faster("async", 2.0), "refuted"),
    "C05": (faster("blocking", 100.0), "refuted"),
    "C06": (always(10.0), "refuted"),
    "C07": (faster("to_thread", 1 / 6), "refuted"),
    "C08": (always(10.0), "refuted"),
    "C09": (always(10.0), "refuted"),
    "C10": (faster("async", 2.0), "refuted"),
    "C11": (always(10.0), "refuted"),
    "C12": (always(10.0), "refuted"),
    "C13": (faster("process", 0.2), "refuted"),
    "C14": (always(10.0), "refuted"),
    "C15": (faster("async", 3.0), "confirmed"),
    "C16": (scaled("throughput_rps", lambda case: 0.1 if case.mode == "async" else 1.0), "refuted"),
    "C17": (always(10.0), "confirmed"),
    "C18": (always(10.0), "refuted"),
    "C19": (always(10.0), "refuted"),
    "C20": (scaled("throughput_rps", _without_server), "confirmed"),
}
"""Claim -> a world in which its verdict is another, and which."""


@pytest.mark.parametrize("claim_id", CLAIM_IDS)
def test_the_verdict_is_the_one_that_the_world_deserves(claim_id: str) -> None:
    finding = CLAIMS[claim_id].judge(summary_in(typical, suite_of_claim(claim_id), replicates=4))
    assert (finding.verdict, finding.claim_id) == (EXPECTED[claim_id], claim_id), finding.sentence
    assert finding.ratio is not None
    assert finding.ratio.low is not None
    assert finding.cause.startswith("seen in")
    assert finding.lesson is not None


@pytest.mark.parametrize("claim_id", CLAIM_IDS)
def test_in_another_world_the_verdict_is_another(claim_id: str) -> None:
    world, word = OTHERWISE[claim_id]
    finding = CLAIMS[claim_id].judge(summary_in(world, suite_of_claim(claim_id), replicates=4))
    assert finding.verdict == word, finding.sentence


def test_a_driver_without_gain_or_relief_does_not_help() -> None:
    assert CLAIMS["C15"].judge(summary_in(always(10.0), suite_of_claim("C15"))).verdict == "refuted"


def test_servers_that_differ_as_much_as_modes_refute_c20() -> None:
    def world(case: Case, metric: str, endpoint: str) -> float:
        slow = case.server is not None and case.server.name == "hypercorn"
        return 10.0 if slow else 100.0

    assert CLAIMS["C20"].judge(summary_in(world, suite_of_claim("C20"))).verdict == "refuted"


@pytest.mark.parametrize("claim_id", CLAIM_IDS)
@pytest.mark.parametrize("world", [typical, always(7.0)], ids=["typical", "all the same"])
def test_one_replicate_decides_nothing(claim_id: str, world: World) -> None:
    finding = CLAIMS[claim_id].judge(summary_in(world, suite_of_claim(claim_id), replicates=1))
    assert finding.verdict == "undecided"
    assert finding.sentence.endswith("to decide")


@pytest.mark.parametrize("claim_id", CLAIM_IDS)
def test_noise_decides_nothing(claim_id: str) -> None:
    verdicts = [
        CLAIMS[claim_id].judge(summary_in(always(10.0), suite_of_claim(claim_id), noise=3.0, seed=seed)).verdict
        for seed in range(20)
    ]
    assert sum(verdict in DECIDED for verdict in verdicts) <= 3, verdicts


@pytest.mark.parametrize("claim_id", CLAIM_IDS)
@pytest.mark.parametrize("value", [math.nan, math.inf, 0.0, -1.0])
def test_what_is_no_number_decides_nothing(claim_id: str, value: float) -> None:
    finding = CLAIMS[claim_id].judge(summary_in(always(value), suite_of_claim(claim_id)))
    assert finding.verdict not in DECIDED


@pytest.mark.parametrize("claim_id", CLAIM_IDS)
def test_a_result_without_a_valid_run_is_invalid_and_says_why(claim_id: str) -> None:
    suite = suite_of_claim(claim_id)
    finding = CLAIMS[claim_id].judge(summary_in(typical, suite, invalid=frozenset(c.case_id for c in suite.cases)))
    assert finding.verdict == "invalid"
    assert "valid run" in finding.sentence


@pytest.mark.parametrize("claim_id", CLAIM_IDS)
@pytest.mark.parametrize("how", ["invalid", "missing"])
def test_without_any_one_case_the_verdict_is_the_same_or_none(claim_id: str, how: str) -> None:
    suite = suite_of_claim(claim_id)
    for case in suite.cases:
        gone = frozenset({case.case_id})
        summary = summary_in(typical, suite, replicates=4, **{how: gone})  # type: ignore[arg-type]  # its two keywords
        verdict = CLAIMS[claim_id].judge(summary).verdict
        assert verdict in {EXPECTED[claim_id], "undecided", "invalid"}, case.case_id


def test_a_result_without_cases_is_invalid_for_every_rule() -> None:
    suite = suite_of_claim("C01")
    empty = summary_in(typical, suite, missing=frozenset(case.case_id for case in suite.cases))
    assert {CLAIMS[claim_id].judge(empty).verdict for claim_id in CLAIM_IDS} == {"invalid"}


@pytest.mark.parametrize("claim_id", [claim_id for claim_id, claim in CLAIMS.items() if claim.crossover])
def test_a_search_ends_in_a_bracket_around_what_the_world_has(claim_id: str) -> None:
    suite = suite_of_claim(claim_id)
    summary = summary_in(typical, suite, noise=0.002)
    found: list[tuple[str, object]] = []
    for step in range(8):
        sweep = CLAIMS[claim_id].sweep(summary)
        assert sweep is not None
        value = sweep.next_value
        if value is None:
            break
        cases = tuple(
            case.model_copy(update={"case_id": f"{case.case_id}-{value:g}"}) for case in sweep.cases_at(value)
        )
        found.append((f"step-{step}", summary_in(typical, suite.model_copy(update={"cases": cases}), noise=0.002)))
        summary = merged(summary_in(typical, suite, noise=0.002), found)  # type: ignore[arg-type]  # pairs, as it wants
    bracket = CLAIMS[claim_id].judge(summary).crossover
    if claim_id == "C02":
        assert bracket is None  # in this world one worker has the time for all
        return
    assert bracket is not None
    assert bracket.low is not None
    assert bracket.high is not None
    assert bracket.low < TRUE[claim_id] <= bracket.high * 1.001
    assert bracket.high - bracket.low <= 0.6 * bracket.high
    assert bracket.point is not None
    assert bracket.low <= bracket.point <= bracket.high


TRUE = {
    "C01": 40 / 0.93,  # users at which 40 places are 93 % of what is wanted
    "C03": 44.0,  # 1.1 × 40 places
    "C07": 6.6,  # 1.1 × 6 places
    "C11": 7.0,
    "C13": 0.533,  # 2 / (ms + 0.8) = 1.1 / (ms + 0.2)
    "C14": 427.2,  # ms + 2 + 1500 × (rate / 400 − 1) = 2 × (ms + 2)
    "C19": 0.858,  # 1.1 (2 (1 − h) + 0.3) = (1 − h) + 0.5
}
"""Where it begins in the typical world."""
