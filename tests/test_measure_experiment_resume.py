"""What an interrupted experiment leaves, and how it goes on: nothing measured twice, nothing lost."""

import shutil
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
from loopwise.model import Run
from loopwise.report.terminal.progress import Quiet
from loopwise.results.folder import ResultFolder


def test_after_a_crash_resume_measures_exactly_the_rest(tmp_path: Path) -> None:
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


def test_a_run_written_just_before_a_kill_is_not_repeated(tmp_path: Path) -> None:
    result, experiment = new_result(tmp_path / "r", three_modes())
    with pytest.raises(Crash):
        carry_out(result, experiment, FakeBench(THREE_CONDUCTS), Observer(result, crash_after=2))
    result.write_experiment(experiment)  # as if the kill had come between run.json and experiment.json
    bench = FakeBench(THREE_CONDUCTS)
    carry_out(result, result.experiment(), bench)
    assert bench.served == [(each.case_id, each.replicate) for each in experiment.plan[2:]]


def test_files_of_an_interrupted_attempt_are_removed(tmp_path: Path) -> None:
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


def test_resuming_a_complete_result_changes_nothing(tmp_path: Path) -> None:
    result = measured(tmp_path / "r")
    before = result.experiment()
    bench = FakeBench(THREE_CONDUCTS)
    assert carry_out(result, before, bench) == before
    assert not bench.served
    assert result.experiment() == before


def test_resume_measures_a_run_again_whose_folder_was_deleted(tmp_path: Path) -> None:
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


@pytest.mark.parametrize("crash_after", [0, 4])
def test_run_files_are_read_once_per_execution(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crash_after: int
) -> None:
    result, experiment = new_result(tmp_path / "r", three_modes())
    if crash_after:
        with pytest.raises(Crash):
            carry_out(result, experiment, FakeBench(THREE_CONDUCTS), Observer(result, crash_after=crash_after))
    read: list[int] = []
    runs = ResultFolder.runs

    def counted(folder: ResultFolder) -> tuple[list[Run], list[str]]:
        found = runs(folder)
        read.append(len(found[0]))
        return found

    monkeypatch.setattr(ResultFolder, "runs", counted)
    carry_out(result, result.experiment(), FakeBench(THREE_CONDUCTS))
    assert read == [crash_after]


def test_a_repeated_run_counts_nowhere_before_and_after_a_resume(tmp_path: Path) -> None:
    conducts = THREE_CONDUCTS | {"async": Conduct(900.0, steal={2: (0.3,)})}
    whole = measured(tmp_path / "whole" / "r", three_modes(), conducts)
    result, experiment = new_result(tmp_path / "cut" / "r", three_modes())
    with pytest.raises(Crash):
        carry_out(result, experiment, FakeBench(conducts), Observer(result, crash_after=7))
    carry_out(result, result.experiment(), FakeBench(conducts))
    assert [run.status for run in result.runs()[0]] == [run.status for run in whole.runs()[0]]
    assert [run.status for run in whole.runs()[0]].count("disturbed") == 1
    assert figures_of(result) == figures_of(whole)


def test_a_result_that_is_deleted_meanwhile_is_not_made_anew(tmp_path: Path) -> None:
    result, experiment = new_result(tmp_path / "r", three_modes())

    class Deleting(Quiet):
        def run_ended(self, *_: object) -> None:
            shutil.rmtree(result.path)

    with pytest.raises(FileNotFoundError):
        carry_out(result, experiment, FakeBench(THREE_CONDUCTS), Deleting())
    assert not result.path.exists()
