"""What an interrupted experiment leaves, and how it goes on: nothing measured twice, nothing lost."""

from pathlib import Path

import pytest
from support.experiment import Crash, Observer, figures_of, states
from support.fakes import (
    THREE_CONDUCTS,
    Conduct,
    FakeBench,
    carry_out,
    measured,
    new_result,
    suite_with,
    three_modes,
)

from loopwise.analysis.summary import summarise
from loopwise.errors import Interrupted


def test_a_crash_in_the_middle_leaves_the_earlier_runs_and_resume_continues_exactly(tmp_path: Path) -> None:
    whole = measured(tmp_path / "whole" / "r")
    result, experiment = new_result(tmp_path / "cut" / "r", three_modes())
    first, second = FakeBench(THREE_CONDUCTS), FakeBench(THREE_CONDUCTS)
    with pytest.raises(Crash):
        carry_out(result, experiment, first, Observer(result, crash_after=4))
    assert len(result.runs()[0]) == 4
    half = summarise(result)
    assert len(half.runs) == 4
    assert not half.damaged
    assert result.experiment().finished_at is None

    resumed = carry_out(result, result.experiment(), second)
    assert first.served + second.served == [(each.case_id, each.replicate) for each in resumed.plan]
    assert states(resumed) == states(whole.experiment())
    assert figures_of(result) == figures_of(whole)


def test_a_run_that_was_written_just_before_the_kill_is_not_measured_twice(tmp_path: Path) -> None:
    result, experiment = new_result(tmp_path / "r", three_modes())
    with pytest.raises(Crash):
        carry_out(result, experiment, FakeBench(THREE_CONDUCTS), Observer(result, crash_after=2))
    result.write_experiment(experiment)  # as if the kill had come between run.json and experiment.json
    bench = FakeBench(THREE_CONDUCTS)
    carry_out(result, result.experiment(), bench)
    assert bench.served == [(each.case_id, each.replicate) for each in experiment.plan[2:]]


def test_what_an_interrupted_attempt_left_does_not_mix_with_its_repetition(tmp_path: Path) -> None:
    first = three_modes().cases[0]
    stop = Conduct(faults={replicate: Interrupted("interrupted by SIGINT") for replicate in (1, 2, 3)})
    result, experiment = new_result(tmp_path / "r", suite_with(first))
    with pytest.raises(Interrupted):
        carry_out(result, experiment, FakeBench({"sync": stop}))
    left = result.run_folder("sync", 1) / "samples.arrow"
    left.write_bytes(b"half a batch")
    assert not result.runs()[0]
    carry_out(result, result.experiment(), FakeBench())
    assert not left.exists()
    assert [run.status for run in result.runs()[0]] == ["ok"] * 3


def test_resuming_what_is_complete_measures_nothing_and_changes_nothing(tmp_path: Path) -> None:
    result = measured(tmp_path / "r")
    before = result.experiment()
    bench = FakeBench(THREE_CONDUCTS)
    assert carry_out(result, before, bench) == before
    assert not bench.served
    assert result.experiment() == before


def test_a_run_whose_folder_was_deleted_is_measured_again_by_resume(tmp_path: Path) -> None:
    result = measured(tmp_path / "r")
    folder = result.run_folder("async", 2)
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    bench = FakeBench(THREE_CONDUCTS)
    carry_out(result, result.experiment(), bench)
    assert bench.served == [("async", 2)]
    assert len(result.runs()[0]) == 9


def test_a_run_that_cannot_be_read_is_left_alone_by_resume(tmp_path: Path) -> None:
    result = measured(tmp_path / "r")
    (result.run_folder("async", 2) / "run.json").write_text("{")
    bench = FakeBench(THREE_CONDUCTS)
    carry_out(result, result.experiment(), bench)
    assert not bench.served
    assert (result.run_folder("async", 2) / "samples.parquet").exists()
