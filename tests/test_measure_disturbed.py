"""A disturbed machine on fakes: its runs are repeated, marked and in no estimate; bounded and resumable."""

import random
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from support.fakes import THREE_CONDUCTS, Conduct, FakeBench, carry_out, measured, new_result, three_modes

from loopwise.analysis.summary import Summary, summarise
from loopwise.measure.plan import repeats
from loopwise.model import Case, Experiment, PlannedRun, Replicates
from loopwise.report.terminal.progress import Quiet
from loopwise.report.words import trouble
from loopwise.results.folder import ResultFolder

ONE_BURST = THREE_CONDUCTS | {"async": replace(THREE_CONDUCTS["async"], steal={2: [0.4]})}
"""Replicate 2 of async is disturbed, its repetition is not."""


def executed(folder: Path, conducts: Mapping[str, Conduct], **options: int) -> tuple[ResultFolder, Experiment]:
    most = options.get("most", 3)
    suite = three_modes(replicates=(3, most))
    if "repeats" in options:
        wanted = Replicates(min=3, max=most, repeats=options["repeats"])
        suite = suite.model_copy(update={"replicates": wanted})
    result, experiment = new_result(folder / "r", suite)
    return result, carry_out(result, experiment, FakeBench(conducts))


def attempts(experiment: Experiment) -> list[tuple[str, int, int, str]]:
    """What was repeated, and what it repeats."""
    repeated = {(each.case_id, each.replicate) for each in experiment.plan if each.attempt > 1}
    return sorted(
        (each.case_id, each.replicate, each.attempt, each.state)
        for each in experiment.plan
        if (each.case_id, each.replicate) in repeated
    )


def test_a_disturbed_run_is_repeated_at_the_end_of_its_block(tmp_path: Path) -> None:
    result, experiment = executed(tmp_path, ONE_BURST)
    assert attempts(experiment) == [("async", 2, 1, "disturbed"), ("async", 2, 2, "ok")]
    assert [each.replicate for each in experiment.plan] == [1] * 3 + [2] * 4 + [3] * 3
    assert experiment.plan[6].attempt == 2
    assert [run.order for run in result.runs()[0]] == list(range(1, 11))


def test_it_is_kept_with_its_rows_and_marked_and_in_no_estimate(tmp_path: Path) -> None:
    result, _ = executed(tmp_path, ONE_BURST)
    aside = result.path / "runs" / "async" / "2-disturbed-1"
    files = {"run.json", "samples.parquet", "server.log", "telemetry.parquet"}
    assert {path.name for path in aside.iterdir()} == files
    spoilt, counted = (run for run in result.runs()[0] if (run.case.case_id, run.replicate) == ("async", 2))
    assert (spoilt.status, spoilt.attempt, counted.status, counted.attempt) == ("disturbed", 1, "ok", 2)
    assert result.samples(spoilt).num_rows < result.samples(counted).num_rows
    quiet = measured(tmp_path / "quiet" / "r")
    disturbed = summarise(result)
    assert disturbed.table.equals(summarise(quiet).table)
    assert disturbed.verdicts == summarise(quiet).verdicts
    assert [
        "async" in sentence and "replicate 2, disturbed and repeated: the hypervisor took 40 %" in sentence
        for sentence in trouble(disturbed)
    ] == [True]


def test_the_last_attempt_counts_and_is_flagged_if_disturbed(tmp_path: Path) -> None:
    always = THREE_CONDUCTS | {"async": replace(THREE_CONDUCTS["async"], steal={2: [0.4, 0.3]})}
    result, experiment = executed(tmp_path, always)
    assert attempts(experiment) == [("async", 2, 1, "disturbed"), ("async", 2, 2, "ok")]
    last = next(run for run in result.runs()[0] if run.attempt == 2)
    assert [check.name for check in last.checks if not check.ok] == ["steal"]
    assert 2 in summarise(result).cases["async"].values("throughput_rps")


def test_a_suite_may_ask_for_more_attempts_or_none(tmp_path: Path) -> None:
    often = THREE_CONDUCTS | {"async": replace(THREE_CONDUCTS["async"], steal={2: [0.4, 0.3, 0.2]})}
    assert not attempts(executed(tmp_path / "none", often, repeats=0)[1])
    # One in three runs of a block of three: one repetition, however many attempts the run may have.
    assert len(attempts(executed(tmp_path / "two", often, repeats=2)[1])) == 2


def test_at_most_a_third_of_a_block_is_repeated_worst_first(
    tmp_path: Path,
) -> None:
    conducts = {
        name: replace(conduct, steal={k: [steal, steal] for k in (1, 2, 3)})
        for (name, conduct), steal in zip(THREE_CONDUCTS.items(), (0.2, 0.5, 0.3), strict=True)
    }
    _, experiment = executed(tmp_path, conducts)
    repeated = [(each.case_id, each.replicate) for each in experiment.plan if each.attempt == 2]
    assert repeated == [("async", 1), ("async", 2), ("async", 3)]
    assert len(experiment.plan) == 12


def test_blocks_that_were_added_later_are_repaired_as_well(tmp_path: Path) -> None:
    noisy = replace(THREE_CONDUCTS["async"], noise_ratio=0.5, steal={5: [0.4]})
    _, experiment = executed(tmp_path, THREE_CONDUCTS | {"async": noisy}, most=6)
    assert attempts(experiment) == [("async", 5, 1, "disturbed"), ("async", 5, 2, "ok")]
    replicates = [each.replicate for each in experiment.plan]
    assert replicates == sorted(replicates)
    assert max(replicates) == 6


def test_asked_again_nothing_is_added(tmp_path: Path) -> None:
    result, experiment = executed(tmp_path, ONE_BURST)
    assert repeats(experiment, result.runs()[0]) == ()
    bench = FakeBench(ONE_BURST)
    assert carry_out(result, result.experiment(), bench) == experiment
    assert not bench.served


class Crash(BaseException):
    """The power goes."""


class CrashAt(Quiet):
    """Ends everything when a run begins."""

    def __init__(self, position: int) -> None:
        self.position = position

    def run_began(self, planned: PlannedRun, case: Case, position: int, total: int) -> None:
        del planned, case, total
        if position == self.position:
            raise Crash


def on_disk(result: ResultFolder) -> list[tuple[str, int, int, int, str, dict[str, int]]]:
    return [
        (run.case.case_id, run.replicate, run.attempt, run.order, run.status, run.counts) for run in result.runs()[0]
    ]


@pytest.mark.parametrize("position", range(1, 11))
def test_resume_carries_on_exactly_wherever_it_was_cut(tmp_path: Path, position: int) -> None:
    whole, planned = executed(tmp_path / "whole", ONE_BURST)
    result, experiment = new_result(tmp_path / "cut" / "r", three_modes())
    first, second = FakeBench(ONE_BURST), FakeBench(ONE_BURST)
    with pytest.raises(Crash):
        carry_out(result, experiment, first, CrashAt(position))
    resumed = carry_out(result, result.experiment(), second)
    assert resumed.plan == planned.plan
    assert on_disk(result) == on_disk(whole)
    assert first.served + second.served == [(each.case_id, each.replicate) for each in planned.plan]


@pytest.mark.parametrize("step", ["renamed", "marked", "half repeated"])
def test_a_kill_between_renaming_and_repetition_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    whole, planned = executed(tmp_path / "whole", ONE_BURST)
    result, experiment = new_result(tmp_path / "cut" / "r", three_modes())
    first, second = FakeBench(ONE_BURST), FakeBench(ONE_BURST)
    with monkeypatch.context() as patched:
        set_aside = ResultFolder.set_aside

        def cut(self: ResultFolder, case_id: str, replicate: int, attempt: int) -> None:
            folder = self.run_folder(case_id, replicate)
            if step == "renamed":
                folder.rename(folder.with_name(f"{replicate}-disturbed-{attempt}"))
            else:
                set_aside(self, case_id, replicate, attempt)
            if step == "half repeated":
                (self.new_run_folder(case_id, replicate) / "samples.arrow").write_bytes(b"half a batch")
            raise Crash

        patched.setattr(ResultFolder, "set_aside", cut)
        with pytest.raises(Crash):
            carry_out(result, experiment, first)
    assert [status for *_, status, _ in on_disk(result)].count("disturbed") == 1
    assert "disturbed" not in {run.status for run in result.runs()[0] if run.attempt == 2}
    resumed = carry_out(result, result.experiment(), second)
    assert resumed.plan == planned.plan
    assert on_disk(result) == on_disk(whole)
    written = (result.path / "runs" / "async" / "2-disturbed-1" / "run.json").read_text(encoding="utf-8")
    assert '"status": "disturbed"' in written
    assert first.served + second.served == [(each.case_id, each.replicate) for each in planned.plan]


def test_a_deleted_repetition_alone_is_measured_again(
    tmp_path: Path,
) -> None:
    result, experiment = executed(tmp_path, ONE_BURST)
    for folder in ("2", "2-disturbed-1"):
        for path in (result.path / "runs" / "async" / folder).iterdir():
            path.unlink()
    bench = FakeBench(THREE_CONDUCTS)
    assert carry_out(result, result.experiment(), bench).plan == experiment.plan
    assert bench.served == [("async", 2)]


BETTER_OR_WORSE = {("better", "worse"), ("worse", "better")}


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    """Five undisturbed replicates."""
    return summarise(measured(tmp_path_factory.mktemp("quiet") / "r", three_modes(replicates=(5, 5))))


@pytest.mark.parametrize("seed", range(8))
def test_bursts_of_steal_never_flip_a_verdict(tmp_path: Path, quiet: Summary, seed: int) -> None:
    dice = random.Random(seed)
    disturbed = {
        # A burst lasts for some blocks; a repetition at the end of the block may meet it, too.
        name: replace(conduct, steal={k: bursts(dice) for k in (1, 2, 3, 4, 5) if dice.random() < 0.4})
        for name, conduct in THREE_CONDUCTS.items()
    }
    noisy = summarise(measured(tmp_path / "r", three_modes(replicates=(5, 5)), disturbed))
    pairs = zip(quiet.verdicts, noisy.verdicts, strict=True)
    words = [(before.verdict, after.verdict) for before, after in pairs]
    assert words
    assert not BETTER_OR_WORSE & set(words)
    assert all(before == after or after == "undecided" for before, after in words)


def bursts(dice: random.Random) -> list[float]:
    """Steal of a run, and of its repetition one time in four."""
    first = dice.uniform(0.15, 0.5)
    return [first, dice.uniform(0.15, 0.5)] if dice.random() < 0.25 else [first]


def test_without_repetitions_the_same_bursts_cost_more_verdicts(tmp_path: Path) -> None:
    decided = {0: 0, 1: 0}
    for seed in range(2):
        dice = random.Random(seed)
        conducts = {
            name: replace(conduct, steal={dice.randint(1, 5): [dice.uniform(0.3, 0.5)]})
            for name, conduct in THREE_CONDUCTS.items()
        }
        for most in decided:
            suite = three_modes()
            wanted = Replicates(min=5, max=5, repeats=most)
            suite = suite.model_copy(update={"replicates": wanted})
            found = summarise(measured(tmp_path / f"{seed}-{most}" / "r", suite, conducts))
            decided[most] += sum(verdict.verdict != "undecided" for verdict in found.verdicts)
    assert decided[1] > decided[0]
