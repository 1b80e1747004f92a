"""What blocks leave undecided is measured in slices: bounded, to the end of its interval, and resumable."""

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from fake_pairs import PairBench, carry_out_all, on_fakes
from fakes import Conduct, case_of, new_result, suite_with
from rich.console import Console

from loopwise import commands
from loopwise.contest import COMPARED
from loopwise.errors import Interrupted, ServerError
from loopwise.escalation import ROUNDS_MIN, Escalation, round_s, sliced, undecided
from loopwise.generator.order import ABBA
from loopwise.model import SIDES, TOTAL, Comparison, Experiment, Load, Round, Side, Suite, Verdict
from loopwise.pairs import Pair
from loopwise.progress import Quiet
from loopwise.report.build import build
from loopwise.store import ResultFolder
from loopwise.summary import summarise

DEAD = ServerError("the server ended with status 1 before it answered")
NOISE, CALM = 0.25, 0.004
"""Of runs apart, and of two servers asked by turns."""
FASTER_BY = 1.12


def noisy(throughput_rps: float, **options: Any) -> Conduct:
    """A case that blocks can't tell from its like, and slices can."""
    calm = Conduct(throughput_rps, noise_ratio=CALM, **options)
    return Conduct(throughput_rps, noise_ratio=NOISE, in_pairs=calm)


CONDUCTS = {"sync": noisy(400.0), "async": noisy(400.0 * FASTER_BY)}
TWO, THREE = ("sync", "async"), ("sync", "async", "to_thread")


def suite_of(modes: tuple[str, ...] = TWO, **compare: Any) -> Suite:
    return suite_with(
        *(case_of(mode, mode) for mode in modes),
        compare=Comparison(baseline={"mode": "sync"}, **{"slices_max": 6, "slices_max_s": 86_400} | compare),
    )


def escalated(
    folder: Path, conducts: dict[str, Conduct] | None = None, modes: tuple[str, ...] = TWO, **compare: Any
) -> tuple[ResultFolder, PairBench]:
    result, experiment = new_result(folder / "r", suite_of(modes, **compare))
    bench = PairBench(CONDUCTS | (conducts or {}))
    carry_out_all(result, experiment, bench)
    return result, bench


def verdict_on(result: ResultFolder, metric: str = "throughput_rps", candidate: str = "async") -> Verdict:
    return next(
        each
        for each in summarise(result).verdicts
        if (each.metric, each.candidate_case) == (metric, candidate)
    )


def test_slices_decide_what_blocks_leave_undecided_and_the_verdict_says_so(tmp_path: Path) -> None:
    left = verdict_on(escalated(tmp_path / "none", slices_max=0)[0])
    assert (left.verdict, left.pairing) == ("undecided", "blocks")
    result, _ = escalated(tmp_path / "some")
    found = verdict_on(result)
    assert (found.verdict, found.pairing) == ("better", "slices")
    assert found.ratio == pytest.approx(FASTER_BY, rel=0.02)
    assert "measured in alternating slices" in found.reason
    rounds, damaged = result.rounds()
    assert not damaged
    assert found.replicates == len(rounds) >= ROUNDS_MIN
    assert {each.status for each in rounds} == {"ok"}
    assert {verdict_on(result, metric).pairing for metric in COMPARED} == {"slices"}


def test_a_round_is_on_disk_with_its_rows_the_logs_of_both_servers_and_what_each_side_gave(
    tmp_path: Path,
) -> None:
    result, bench = escalated(tmp_path)
    first = result.rounds()[0][0]
    folder = result.round_folder("sync", "async", 1)
    assert {path.name for path in folder.iterdir()} == {
        "round.json",
        "samples.parquet",
        "baseline.log",
        "candidate.log",
    }
    rows = result.round_samples(first)
    assert rows.num_rows == first.baseline.counts["rows"] + first.candidate.counts["rows"]
    order = next(order for order in bench.orders if order.rival is not None)
    assert order.rival is not None
    assert order.rival.slices % len(ABBA) == 0
    assert first.slice_s is not None
    assert first.slice_s == order.rival.slice_s
    assert first.duration_s == pytest.approx(order.rival.slices / 2 * first.slice_s)
    for side in (first.baseline, first.candidate):
        assert side.metrics[TOTAL]["cpu_ms_per_request"] == pytest.approx(1.0, rel=0.02)
        assert side.server["argv"] == ["fake"]
    assert first.candidate.cpu_share == pytest.approx(FASTER_BY / (1 + FASTER_BY), abs=0.02)


def test_reported_again_from_disk_it_says_the_same_in_every_view(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result, _ = escalated(tmp_path)
    first = build(result)
    written = (result.path / "verdicts.json").read_bytes()
    rows = [row for row in json.loads(written) if row["metric"] == "throughput_rps"]
    assert [(row["pairing"], row["verdict"]) for row in rows] == [("slices", "better")]
    assert commands.report(Console(), result.path, as_json=True) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["verdicts"] == json.loads(written)
    assert "measured in alternating slices" in (result.path / "report.html").read_text(encoding="utf-8")
    assert build(ResultFolder(result.path)).verdicts == first.verdicts
    assert (result.path / "verdicts.json").read_bytes() == written


def test_without_its_rounds_on_disk_a_comparison_is_what_blocks_say(tmp_path: Path) -> None:
    result, _ = escalated(tmp_path)
    for path in result.path.glob("pairs/*/*/*/round.json"):
        path.unlink()
    assert verdict_on(result).pairing == "blocks"
    assert "slices" not in verdict_on(result).reason


def test_only_what_is_undecided_is_escalated(tmp_path: Path) -> None:
    decided = {"sync": replace(CONDUCTS["sync"], noise_ratio=0.003), "to_thread": noisy(420.0)}
    result, bench = escalated(tmp_path, decided | {"async": Conduct(900.0, noise_ratio=0.003)}, THREE)
    assert verdict_on(result).pairing == "blocks"
    assert verdict_on(result).verdict == "better"
    assert {(baseline, candidate) for baseline, candidate, _ in bench.rounds} == {("sync", "to_thread")}
    assert verdict_on(result, candidate="to_thread").pairing == "slices"


@pytest.mark.parametrize("bound", [{"slices_max": 0}, {"slices_max_s": 0}], ids=str)
def test_no_slices_are_measured_where_none_are_allowed(tmp_path: Path, bound: dict[str, Any]) -> None:
    result, bench = escalated(tmp_path, **bound)
    assert not bench.rounds
    assert not (result.path / "pairs").exists()
    assert result.experiment().finished_at is not None


def test_a_suite_without_a_baseline_has_nothing_to_escalate(tmp_path: Path) -> None:
    suite = suite_of().model_copy(update={"compare": Comparison()})
    result, experiment = new_result(tmp_path / "r", suite)
    bench = PairBench(CONDUCTS)
    carry_out_all(result, experiment, bench)
    assert not bench.rounds


@pytest.mark.parametrize("most", [1, 2, 3, 5])
def test_a_pair_that_stays_wide_gets_as_many_rounds_as_are_allowed(tmp_path: Path, most: int) -> None:
    wild = {
        mode: replace(conduct, in_pairs=Conduct(400.0, noise_ratio=NOISE))
        for mode, conduct in CONDUCTS.items()
    }
    result, bench = escalated(tmp_path, wild, slices_max=most)
    assert [number for *_, number in bench.rounds] == list(range(1, most + 1))
    # One round has no interval: then blocks, which have one, say more.
    assert verdict_on(result).pairing == ("slices" if most > 1 else "blocks")


def test_sides_swap_their_places_from_round_to_round(tmp_path: Path) -> None:
    result, bench = escalated(tmp_path, slices_max=4, margin=0.001)
    firsts = [each.first for each in result.rounds()[0]]
    assert firsts == [SIDES[index % 2] for index in range(len(firsts))]
    assert len(firsts) == 4
    rivals = [order.rival.first for order in bench.orders if order.rival is not None]
    assert rivals == firsts
    starts = [case_id for case_id, _ in bench.served[-8:]]
    assert starts == ["sync", "async", "async", "sync"] * 2


def test_two_rounds_that_fail_end_a_pair_and_leave_the_word_to_blocks(tmp_path: Path) -> None:
    dying = replace(CONDUCTS["async"], in_pairs=Conduct(448.0, faults=dict.fromkeys(range(1, 9), DEAD)))
    result, _ = escalated(tmp_path, {"async": dying, "to_thread": noisy(480.0)}, THREE)
    tried = [each for each in result.rounds()[0] if each.candidate_case == "async"]
    assert [(each.status, each.error) for each in tried] == [("failed", str(DEAD))] * 2
    assert (verdict_on(result).pairing, verdict_on(result).verdict) == ("blocks", "undecided")
    assert verdict_on(result, candidate="to_thread").pairing == "slices"
    assert result.experiment().finished_at is not None


def test_a_round_in_which_the_generator_dies_keeps_its_rows_and_counts_for_nothing(tmp_path: Path) -> None:
    cut = replace(CONDUCTS["async"], in_pairs=Conduct(448.0, noise_ratio=CALM, deaths=frozenset({2})))
    result, _ = escalated(tmp_path, {"async": cut})
    failed = [each for each in result.rounds()[0] if each.status == "failed"]
    assert [each.number for each in failed] == [2]
    assert "the generator ended with status -9" in str(failed[0].error)
    assert result.round_samples(failed[0]).num_rows > 20
    assert verdict_on(result).replicates == len(result.rounds()[0]) - 1


BROKEN: dict[str, tuple[dict[str, Any], str, str]] = {
    "errors": ({"error_ratio": 0.5}, "invalid", "requests failed"),
    "generator_cpu": ({"generator_cpu_ratio": 0.97}, "invalid", "the generator used 97% of a core"),
    "no window": ({"is_windowless": True}, "failed", "the generator ended without a window"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_rounds_that_cannot_be_used_are_kept_and_settle_nothing(tmp_path: Path, name: str) -> None:
    options, status, sentence = BROKEN[name]
    result, _ = escalated(tmp_path, {"async": noisy(448.0, **options)})
    rounds = result.rounds()[0]
    assert [each.status for each in rounds] == [status] * 2
    assert all(sentence in str(each.error) for each in rounds)
    assert all(result.round_samples(each).num_rows for each in rounds)
    assert verdict_on(result).pairing == "blocks"


class Cut(Quiet):
    """Ends everything after so many rounds."""

    def __init__(self, after: int, error: BaseException) -> None:
        self.left = after
        self.error = error

    def round_ended(self, found: Round) -> None:
        del found
        self.left -= 1
        if not self.left:
            raise self.error


class Crash(BaseException):
    """The power goes."""


def on_disk(result: ResultFolder) -> list[dict[str, Any]]:
    return [each.model_dump(exclude={"started_at"}) for each in result.rounds()[0]]


SLOWER = {"to_thread": noisy(350.0)}


@pytest.mark.parametrize("error", [Interrupted("interrupted by SIGINT"), Crash()], ids=["signal", "crash"])
@pytest.mark.parametrize("after", range(1, 7))
def test_an_interrupted_escalation_keeps_its_rounds_and_goes_on_where_it_was(
    tmp_path: Path, after: int, error: BaseException
) -> None:
    whole, _ = escalated(tmp_path / "whole", SLOWER, THREE)
    assert len(whole.rounds()[0]) > max(2 * ROUNDS_MIN, after)
    result, experiment = new_result(tmp_path / "cut" / "r", suite_of(THREE))
    first, second = PairBench(CONDUCTS | SLOWER), PairBench(CONDUCTS | SLOWER)
    with pytest.raises(type(error)):
        carry_out_all(result, experiment, first, Cut(after, error))
    assert len(result.rounds()[0]) == after
    assert result.experiment().finished_at is None
    carry_out_all(result, result.experiment(), second)
    assert on_disk(result) == on_disk(whole)
    assert summarise(result).verdicts == summarise(whole).verdicts
    assert not [order for order in second.orders if order.rival is None]
    asked = first.rounds + second.rounds
    assert len(asked) == len(set(asked)) == len(whole.rounds()[0])


def test_a_round_that_was_cut_short_is_measured_anew_and_nothing_of_it_remains(tmp_path: Path) -> None:
    stopped = replace(
        CONDUCTS["async"], in_pairs=Conduct(448.0, faults={2: Interrupted("interrupted by SIGTERM")})
    )
    result, experiment = new_result(tmp_path / "r", suite_of())
    with pytest.raises(Interrupted):
        carry_out_all(result, experiment, PairBench(CONDUCTS | {"async": stopped}))
    folder = result.round_folder("sync", "async", 2)
    (folder / "samples.arrow").write_bytes(b"half a batch")
    assert [each.number for each in result.rounds()[0]] == [1]
    carry_out_all(result, result.experiment(), PairBench(CONDUCTS))
    assert not (folder / "samples.arrow").exists()
    assert [each.number for each in result.rounds()[0]] == list(range(1, len(result.rounds()[0]) + 1))
    assert verdict_on(result).pairing == "slices"


def test_the_command_goes_on_with_an_interrupted_escalation_and_says_how_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result, experiment = new_result(tmp_path / "r", suite_of())
    with pytest.raises(Crash):
        carry_out_all(result, experiment, PairBench(CONDUCTS), Cut(1, Crash()))
    with on_fakes(PairBench(CONDUCTS)) as bench:
        assert commands.resume(Console(width=200), result.path, quiet=False) == 0
    assert [number for *_, number in bench.rounds] == [2, 3]
    printed = capsys.readouterr().out
    assert "slices #2: async ÷ sync: requests/s ×1.1" in printed
    assert "slices #1" not in printed
    assert result.experiment().finished_at is not None


def test_what_is_finished_is_not_escalated_again(tmp_path: Path) -> None:
    result, _ = escalated(tmp_path, slices_max=2)
    before = on_disk(result)
    bench = PairBench(CONDUCTS)
    carry_out_all(result, result.experiment(), bench)
    assert not bench.orders
    assert on_disk(result) == before


# What can be sliced, and how long a slice is.


def pair_with(load: dict[str, Any] | None = None, other: dict[str, Any] | None = None) -> Pair | None:
    loads = [{"users": 10, "measure_s": 2.0} | each for each in (load or {}, other or load or {})]
    sides = [case_of(name, name, load=Load(**each)) for name, each in zip(TWO, loads, strict=True)]
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
def test_a_slice_lasts_for_two_answers_of_each_user_within_bounds(
    load: dict[str, Any], slice_s: float, slices: int
) -> None:
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


def test_what_is_worth_slices_is_found_on_disk_each_pair_once(tmp_path: Path) -> None:
    result, experiment = new_result(tmp_path / "r", suite_of(THREE))
    with pytest.raises(Crash):
        carry_out_all(result, experiment, PairBench(CONDUCTS | SLOWER), Cut(1, Crash()))
    found = undecided(result)
    names = sorted((pair.baseline.case_id, pair.candidate.case_id) for pair, _ in found)
    assert names == [("sync", "async"), ("sync", "to_thread")]
    assert all(cost_s > 0 for _, cost_s in found)


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
        sides = {
            name: Side(metrics={TOTAL: {"throughput_rps": rate_rps}}) for name, rate_rps in rates.items()
        }
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
    escalation = Escalation(cast(Any, script), Comparison(**compare), told.append, clock=script.clock)
    pairs = [
        (Pair(case_of("sync"), case_of(name, "async"), "slices", 0.1, 4), cost_s) for name, cost_s in costs
    ]
    before = [script.measure(pair, number) for pair, _ in pairs for number in range(1, done + 1)]
    script.measured.clear()
    escalation.run(pairs, before)
    return told


def scattered(number: int) -> float:
    return 1.5 if number % 2 else 0.7


# seconds allowed, rounds of 10 s: one is begun only if it will end in time
CLOCKS = [(0.0, 0), (9.9, 0), (10.0, 1), (29.9, 2), (30.0, 3), (1000.0, 8)]


@pytest.mark.parametrize(("allowed_s", "rounds"), CLOCKS)
def test_no_round_is_begun_that_would_end_too_late(allowed_s: float, rounds: int) -> None:
    script = Scripted(scattered)
    told = measured_by(script, ("async", 10.0), slices_max=8, slices_max_s=allowed_s)
    assert len(told) == len(script.measured) == rounds


def test_the_time_is_for_all_pairs_together_the_quickest_first_and_each_to_its_end() -> None:
    script = Scripted(scattered)
    measured_by(script, ("slow", 12.0), ("quick", 10.0), ("slower", 13.0), slices_max=4, slices_max_s=65)
    assert script.measured == [*(("quick", k) for k in range(1, 5)), ("slow", 1), ("slow", 2)]


def test_rounds_of_an_earlier_escalation_count() -> None:
    script = Scripted(scattered)
    measured_by(script, ("a", 1.0), ("b", 2.0), done=3, slices_max=5, slices_max_s=1000)
    assert script.measured == [("a", 4), ("a", 5), ("b", 4), ("b", 5)]


@pytest.mark.parametrize("seed", range(8))
def test_when_to_stop_depends_on_the_width_alone_whatever_the_ratio_is(seed: int) -> None:
    dice = random.Random(seed)
    noises = [dice.lognormvariate(0.0, 0.03) for _ in range(12)]
    counts = set()
    for ratio in (0.5, 0.9, 1.0, 1.05, 1.1, 3.0):
        script = Scripted(lambda number, ratio=ratio: ratio * noises[number - 1])  # type: ignore[misc]
        counts.add(len(measured_by(script, ("async", 1.0), slices_max=12, slices_max_s=1e4)))
    assert len(counts) == 1
    assert counts.pop() >= ROUNDS_MIN


def test_equal_ratios_are_precise_after_the_fewest_rounds_that_decide() -> None:
    script = Scripted(lambda _: 1.3)
    assert len(measured_by(script, ("async", 1.0), slices_max=9, slices_max_s=1e4)) == ROUNDS_MIN


def test_more_pairs_ask_for_narrower_intervals_as_holm_will() -> None:
    noises = [1.0, 1.02, 1.01, 1.03, 1.0, 1.02, 1.01, 1.03, 1.0, 1.02, 1.01, 1.03]
    alone, among = (Scripted(lambda number: noises[number - 1]) for _ in range(2))
    measured_by(alone, ("a", 1.0), slices_max=12, slices_max_s=1e4)
    measured_by(among, *((name, 1.0) for name in "abcdef"), slices_max=12, slices_max_s=1e4)
    of_a = [number for name, number in among.measured if name == "a"]
    assert ROUNDS_MIN <= len(alone.measured) < len(of_a) < 12


def test_an_experiment_and_its_twin_give_the_same_rounds(tmp_path: Path) -> None:
    def given(folder: Path, seed: int) -> list[dict[str, Any]]:
        result, experiment = new_result(folder / "r", suite_of())
        assert isinstance(experiment, Experiment)
        carry_out_all(result, experiment.model_copy(update={"seed": seed}), PairBench(CONDUCTS))
        return on_disk(result)

    assert given(tmp_path / "a", 1) == given(tmp_path / "b", 1)
    assert given(tmp_path / "a", 1) != given(tmp_path / "c", 2)
