"""A machine disturbed in bursts, simulated over seeds: equal cases stay equal, large differences are found."""

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.fake_pairs import PairBench, carry_out_all
from support.fakes import Conduct, case_of, new_result, suite_with

from loopwise.analysis.checks.machine import MAX_STEAL_RATIO
from loopwise.analysis.summary import Summary, summarise
from loopwise.measure.plan import REPEATED_PART
from loopwise.model import Comparison, Run
from loopwise.report.words import case_name, trouble
from loopwise.results.folder import ResultFolder

SEEDS = range(10)
LASTS = 0.7
"""Chance that a burst goes on in the next run."""
BEGINS = 0.2
EQUAL, LARGE = "to_thread", "async"
NOISE = 0.015
CONDUCTS = {
    "sync": Conduct(400.0, noise_ratio=NOISE),
    EQUAL: Conduct(400.0, noise_ratio=NOISE),
    LARGE: Conduct(800.0, noise_ratio=NOISE),
}
REPLICATES = 4


def bursts(seed: int) -> Iterator[float]:
    """What the hypervisor takes in run after run and slice after slice: little, or for a while a lot."""
    dice, taken = random.Random(f"machine/{seed}"), 0.0
    while True:
        is_burst = dice.random() < (LASTS if taken else BEGINS)
        taken = (taken or dice.uniform(0.12, 0.5)) if is_burst else 0.0
        yield taken + dice.uniform(0.0, 0.03)


@dataclass(frozen=True)
class Measured:
    """An experiment on such a machine."""

    result: ResultFolder
    summary: Summary
    bench: PairBench

    def word(self, candidate: str) -> str:
        return next(
            verdict.verdict
            for verdict in self.summary.verdicts
            if (verdict.metric, verdict.candidate_case) == ("throughput_rps", candidate)
        )

    @property
    def disturbed(self) -> list[Run]:
        return [run for run in self.summary.runs if run.status == "disturbed"]


def measure(folder: Path, seed: int, slices_max: int = 7) -> Measured:
    suite = suite_with(
        *(case_of(mode, mode) for mode in CONDUCTS),
        replicates=(REPLICATES, REPLICATES),
        compare=Comparison(baseline={"mode": "sync"}, slices_max=slices_max, slices_max_s=86_400),
        seed=seed,
    )
    result, experiment = new_result(folder / f"{seed}-{slices_max}", suite)
    bench = PairBench(CONDUCTS, bursts(seed))
    carry_out_all(result, experiment, bench)
    return Measured(result, summarise(result), bench)


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> list[Measured]:
    """The same experiment on as many machines as there are seeds."""
    folder = tmp_path_factory.mktemp("machines")
    return [measure(folder, seed) for seed in SEEDS]


def stolen(run: Run) -> float:
    """Share of the CPU that the hypervisor took."""
    assert run.host.steal_ratio is not None
    return run.host.steal_ratio


def test_the_machines_are_disturbed_indeed(machines: list[Measured]) -> None:
    steals = [stolen(run) for each in machines for run in each.summary.runs]
    share = sum(steal > MAX_STEAL_RATIO for steal in steals) / len(steals)
    assert 0.25 < share < 0.55
    assert all(each.disturbed for each in machines if any(r.attempt > 1 for r in each.summary.runs))


def test_equal_cases_are_never_better_or_worse(machines: list[Measured]) -> None:
    words = [each.word(EQUAL) for each in machines]
    assert not {"better", "worse"} & set(words)
    assert "same" in words


def test_a_large_difference_is_found_in_nine_of_ten_machines(machines: list[Measured]) -> None:
    words = [each.word(LARGE) for each in machines]
    assert words.count("better") >= 0.9 * len(words)
    assert "worse" not in words
    assert "same" not in words


def test_the_worst_runs_of_a_block_are_repeated_up_to_a_third(
    machines: list[Measured],
) -> None:
    repeated = 0
    for each in machines:
        plan = each.result.experiment().plan
        for block in range(1, REPLICATES + 1):
            mine = [run for run in each.summary.runs if run.replicate == block]
            firsts = [run for run in mine if run.attempt == 1]
            agains = [run for run in mine if run.attempt > 1]
            over = [run for run in firsts if stolen(run) > MAX_STEAL_RATIO]
            assert len(agains) == min(len(over), max(1, len(firsts) // REPEATED_PART))
            assert len(mine) == sum(planned.replicate == block for planned in plan)
            for again in agains:
                worst = max(over, key=stolen)
                assert again.case.case_id == worst.case.case_id
                assert again.attempt == 2
                assert again.order == max(run.order for run in mine)
            repeated += len(agains)
    assert repeated > len(machines)


def test_a_repeated_run_is_kept_and_named_and_never_counts(
    machines: list[Measured],
) -> None:
    for each in machines:
        named, cases = trouble(each.summary), each.summary.experiment.suite.cases
        for run in each.disturbed:
            case_id, replicate = run.case.case_id, run.replicate
            assert each.result.samples(run).num_rows == run.counts["rows"] > 0
            assert each.result.folder_of(run).name == f"{replicate}-disturbed-1"
            name, taken = case_name(run.case, cases), f"{100 * stolen(run):.0f} %"
            which = rf"{re.escape(name)}, replicates? [^a-z]*\b{replicate}\b[^a-z]*"
            words = rf"{which}, disturbed and repeated: .* took {taken} "
            assert any(re.match(words, line) for line in named)
            counted = next(
                other
                for other in each.summary.runs
                if (other.case.case_id, other.replicate, other.attempt) == (case_id, replicate, 2)
            )
            rate_rps = each.summary.cases[case_id].values("throughput_rps")[replicate]
            window = counted.window
            assert window is not None
            assert rate_rps == pytest.approx(counted.counts["ok"] / window.duration_s)


def test_runs_in_a_burst_that_count_all_the_same_are_flagged(machines: list[Measured]) -> None:
    counted = [run for each in machines for run in each.summary.runs if run.status == "ok"]
    flagged = [run for run in counted if any(c.name == "steal" and not c.ok for c in run.checks)]
    assert flagged
    assert {stolen(run) > MAX_STEAL_RATIO for run in flagged} == {True}
    assert not [run for run in counted if run not in flagged and stolen(run) > MAX_STEAL_RATIO]


def test_slices_are_bounded_and_only_for_what_blocks_left_open(machines: list[Measured]) -> None:
    for each in machines:
        rounds = each.result.rounds()[0]
        pairs = {(found.baseline_case, found.candidate_case) for found in rounds}
        assert all(sum(found.candidate_case == name for found in rounds) <= 7 for _, name in pairs)
        by_slices = {v.candidate_case for v in each.summary.verdicts if v.pairing == "slices"}
        assert by_slices == {name for _, name in pairs}
    assert any(each.bench.rounds for each in machines)
    assert any(not c.ok for m in machines for found in m.result.rounds()[0] for c in found.checks)


def test_slices_decide_more_than_blocks_alone_do(machines: list[Measured], tmp_path: Path) -> None:
    alone = [measure(tmp_path, seed, slices_max=0) for seed in SEEDS[:6]]
    for before, after in zip(alone, machines[:6], strict=True):
        for name in (EQUAL, LARGE):
            assert before.word(name) in {after.word(name), "undecided"}
    undecided = [
        sum(each.word(name) == "undecided" for each in group for name in (EQUAL, LARGE))
        for group in (alone, machines[:6])
    ]
    assert undecided[1] < undecided[0]
