"""What can be asked in slices, how long they are, and when there are enough of them: arithmetic without a bench."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from support.docs import text_of
from support.fakes import case_of

from loopwise.analysis.paired import MIN_ROUNDS
from loopwise.measure.pairs import Pair
from loopwise.measure.slices import Escalation, round_s, sliced
from loopwise.model import TOTAL, Comparison, Load, Round, Side

MODES = ("sync", "async")


def pair_with(load: dict[str, Any] | None = None, other: dict[str, Any] | None = None) -> Pair | None:
    loads = [{"users": 10, "measure_s": 2.0} | each for each in (load or {}, other or load or {})]
    sides = [case_of(name, name, load=Load(**each)) for name, each in zip(MODES, loads, strict=True)]
    return sliced(sides[0], sides[1], {"sync": 100.0, "async": 1000.0})


# load -> length of a slice, slices of a round
LENGTHS: list[tuple[dict[str, Any], float, int]] = [
    ({"users": 10}, 0.2, 8),  # two cycles of the slower side, which takes 0.1 s for all of its users
    ({"users": 10, "measure_s": 8.0}, 0.2, 40),
    ({"users": 2}, 0.1, 20),  # not shorter, whatever the service time
    ({"users": 500}, 2.0, 4),  # nor longer
    ({"users": 25}, 0.5, 4),
    ({"users": 25, "measure_s": 0.5}, 0.5, 4),  # one set of four at least
]


@pytest.mark.parametrize(("load", "slice_s", "slices"), LENGTHS)
def test_a_slice_lasts_for_two_answers_of_each_user(load: dict[str, Any], slice_s: float, slices: int) -> None:
    pair = pair_with(load)
    assert pair is not None
    assert pair.slice_s == pytest.approx(slice_s)
    assert pair.slices == slices
    assert pair.pairing == "slices"


def test_what_cannot_be_asked_by_turns_is_not_sliced() -> None:
    assert pair_with() is not None
    assert pair_with({"model": "open", "rate_rps": 10.0, "users": 50}) is None
    assert pair_with({"users": 10}, {"users": 20}) is None
    sides = case_of("sync"), case_of("async", "async", scenario="/srv/locustfile.py")
    assert sliced(*sides, {"sync": 100.0, "async": 100.0}) is None
    assert sliced(case_of("sync"), case_of("async", "async"), {"sync": 100.0}) is None
    assert sliced(case_of("sync"), case_of("async", "async"), {"sync": 100.0, "async": 0.0}) is None


def test_a_round_costs_its_slices_and_the_waits_between_them() -> None:
    pair = pair_with()
    assert pair is not None
    assert pair.slice_s is not None
    cost_s = round_s(pair, {"sync": 100.0, "async": 1000.0})
    waits_s = 10 / 100 + 10 / 1000
    assert cost_s == pytest.approx(1.5 + pair.slices * (pair.slice_s + waits_s) + waits_s)
    assert round_s(pair, {"sync": 50.0, "async": 1000.0}) > cost_s


# When to stop: scripted rounds and a clock that only moves with them.


class Scripted:
    """Rounds whose throughputs are given, each of which takes its time."""

    def __init__(self, ratio_of: Callable[[int], float], takes_s: float = 10.0) -> None:
        self.ratio_of = ratio_of
        self.takes_s = takes_s
        self.now_s = 1000.0
        self.measured: list[tuple[str, int]] = []

    def clock(self) -> float:
        return self.now_s

    def measure(self, pair: Pair, number: int) -> Round:
        self.now_s += self.takes_s
        self.measured.append((pair.candidate.case_id, number))
        rates = {"baseline": 100.0, "candidate": 100.0 * self.ratio_of(number)}
        sides = {name: Side(metrics={TOTAL: {"throughput_rps": rate_rps}}) for name, rate_rps in rates.items()}
        return Round(
            pairing="slices",
            number=number,
            baseline_case=pair.baseline.case_id,
            candidate_case=pair.candidate.case_id,
            status="ok",
            started_at="2026-01-02T03:04:05.000+00:00",
            slice_s=pair.slice_s,
            baseline=sides["baseline"],
            candidate=sides["candidate"],
        )


def measured_by(script: Scripted, *costs: tuple[str, float], done: int = 0, **compare: Any) -> list[Round]:
    told: list[Round] = []
    escalation = Escalation(script.measure, Comparison(**compare), told.append, clock=script.clock)
    pairs = [(Pair(case_of("sync"), case_of(name, "async"), "slices", 0.1, 4), cost_s) for name, cost_s in costs]
    before = [script.measure(pair, number) for pair, _ in pairs for number in range(1, done + 1)]
    script.measured.clear()
    escalation.run(pairs, before)
    return told


def scattered(number: int) -> float:
    return 1.5 if number % 2 else 0.7


# seconds allowed, rounds of 10 s: one is begun only if it will end in time, and the first only if three will
CLOCKS = [(0.0, 0), (10.0, 0), (29.9, 0), (30.0, 3), (39.9, 3), (40.0, 4), (1000.0, 8)]


@pytest.mark.parametrize(("allowed_s", "rounds"), CLOCKS)
def test_no_round_is_begun_that_would_end_too_late(allowed_s: float, rounds: int) -> None:
    script = Scripted(scattered)
    told = measured_by(script, ("async", 10.0), slices_max=8, slices_max_s=allowed_s)
    assert len(told) == len(script.measured) == rounds


def test_all_pairs_share_the_time_and_the_quickest_comes_first() -> None:
    script = Scripted(scattered)
    measured_by(script, ("slow", 12.0), ("quick", 10.0), ("slower", 13.0), slices_max=4, slices_max_s=77)
    assert script.measured == [*(("quick", k) for k in range(1, 5)), *(("slow", k) for k in range(1, 4))]


def test_rounds_of_an_earlier_escalation_count() -> None:
    script = Scripted(scattered)
    measured_by(script, ("a", 1.0), ("b", 2.0), done=3, slices_max=5, slices_max_s=1000)
    assert script.measured == [("a", 4), ("a", 5), ("b", 4), ("b", 5)]


@pytest.mark.parametrize("seed", range(8))
def test_when_to_stop_depends_on_the_width_alone(seed: int) -> None:
    dice = random.Random(seed)
    noises = [dice.lognormvariate(0.0, 0.03) for _ in range(12)]
    counts = set()
    for ratio in (0.5, 0.9, 1.0, 1.05, 1.1, 3.0):
        script = Scripted(lambda number, ratio=ratio: ratio * noises[number - 1])  # type: ignore[misc]
        counts.add(len(measured_by(script, ("async", 1.0), slices_max=12, slices_max_s=1e4)))
    assert len(counts) == 1
    assert counts.pop() >= MIN_ROUNDS


def test_equal_ratios_are_precise_after_the_fewest_rounds() -> None:
    script = Scripted(lambda _: 1.3)
    assert len(measured_by(script, ("async", 1.0), slices_max=9, slices_max_s=1e4)) == MIN_ROUNDS


def test_more_pairs_ask_for_narrower_intervals_as_holm_will() -> None:
    noises = [1.0, 1.02, 1.01, 1.03, 1.0, 1.02, 1.01, 1.03, 1.0, 1.02, 1.01, 1.03]
    alone, among = (Scripted(lambda number: noises[number - 1]) for _ in range(2))
    measured_by(alone, ("a", 1.0), slices_max=12, slices_max_s=1e4)
    measured_by(among, *((name, 1.0) for name in "abcdef"), slices_max=12, slices_max_s=1e4)
    of_a = [number for name, number in among.measured if name == "a"]
    assert MIN_ROUNDS <= len(alone.measured) < len(of_a) < 12


def test_the_method_page_says_how_many_rounds_slices_need() -> None:
    number = {2: "two", 3: "three", 4: "four"}[MIN_ROUNDS]
    page = text_of("method.md")
    assert f"{number} valid rounds or more" in page
    assert f"gets at least {number} rounds" in page
