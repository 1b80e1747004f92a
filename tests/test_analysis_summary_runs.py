"""Runs are read one at a time; a damaged file spoils what it holds and nothing else."""

import gc
import weakref
from pathlib import Path
from typing import Any
from unittest import mock

import pyarrow as pa
import pytest
from support.fakes import Conduct, FakeBench, carry_out, measured, new_result, three_modes

from loopwise.analysis.rows import COLUMNS, RunRows
from loopwise.analysis.summary import reduce_runs, summarise
from loopwise.model import Cause, Run
from loopwise.results.folder import ResultFolder


def test_never_more_than_one_runs_rows_are_in_memory(tmp_path: Path) -> None:
    result = measured(tmp_path / "r", three_modes(replicates=(3, 3)))
    alive: list[weakref.ref[Any]] = []
    most = 0

    class Watched(RunRows):
        def __init__(self, table: pa.Table, run: Run) -> None:
            nonlocal most
            super().__init__(table, run)
            alive.extend([weakref.ref(self), weakref.ref(self.column["received_ns"]), weakref.ref(table)])
            gc.collect()
            most = max(most, sum(each() is not None for each in alive))

    with mock.patch("loopwise.analysis.summary.RunRows", Watched):
        summary = summarise(result)
    gc.collect()
    assert len(alive) == 3 * 9
    assert most == 3
    assert not [each for each in alive if each() is not None]
    assert len(summary.digests) == 3


def test_only_the_columns_that_figures_need_are_read(tmp_path: Path) -> None:
    result = measured(tmp_path / "r", three_modes(replicates=(1, 1)))
    (run, *_), _ = result.runs()
    assert result.samples(run, COLUMNS).column_names == list(COLUMNS)
    assert set(COLUMNS) < set(result.samples(run).column_names)


def test_invalid_and_disturbed_runs_have_digests_failed_not(tmp_path: Path) -> None:
    conducts = {
        "sync": Conduct(steal={2: [0.4]}),
        "async": Conduct(generator_cpu_ratio=0.97),
        "to_thread": Conduct(deaths=frozenset({1})),
    }
    digests = summarise(measured(tmp_path / "r", three_modes(replicates=(2, 2)), conducts)).digests
    found = {
        case_id: [(each.replicate, each.attempt, each.status) for each in kept] for case_id, kept in digests.items()
    }
    assert found == {
        "sync": [(1, 1, "ok"), (2, 1, "disturbed"), (2, 2, "ok")],
        "async": [(1, 1, "invalid"), (2, 1, "invalid")],
        "to_thread": [(2, 1, "ok")],
    }
    assert all(each.case_id == case_id for case_id, kept in digests.items() for each in kept)


def damage(result: ResultFolder, name: str) -> None:
    (result.run_folder("async", 1) / name).write_bytes(b"PAR1 no more")


@pytest.mark.parametrize(("name", "keeps_figures"), [("samples.parquet", False), ("telemetry.parquet", True)])
def test_a_damaged_file_is_named_and_spoils_only_its_contents(name: str, keeps_figures: bool, tmp_path: Path) -> None:
    result = measured(tmp_path / "r", three_modes(replicates=(2, 2)))
    damage(result, name)
    summary = summarise(result)
    assert [sentence.partition(":")[0] for sentence in summary.damaged] == [f"runs/async/1/{name}"]
    assert sorted(summary.cases["async"].runs) == ([1, 2] if keeps_figures else [2])
    assert [each.replicate for each in summary.digests["async"]] == ([1, 2] if keeps_figures else [2])
    assert len(summary.digests["sync"]) == 2


def test_a_damaged_disturbed_run_is_no_reason_of_its_case(tmp_path: Path) -> None:
    suite = three_modes(replicates=(1, 1))
    result, experiment = new_result(tmp_path / "r", suite)
    conducts = {"sync": Conduct(steal={1: [0.4]}, generator_cpu_ratio=0.97)}
    carry_out(result, experiment, FakeBench(conducts))
    runs, _ = result.runs()
    (disturbed,) = (run for run in runs if run.status == "disturbed")
    (result.folder_of(disturbed) / "samples.parquet").write_bytes(b"")
    read = reduce_runs(result, runs)
    assert len(read.damaged) == 1
    assert "generator_cpu" in read.reasons["sync"]
    assert [each.status for each in read.digests["sync"]] == ["invalid"]


def test_a_deadlock_is_why_its_case_has_no_numbers(tmp_path: Path) -> None:
    result = measured(tmp_path / "r", three_modes(replicates=(1, 1)), {"sync": Conduct(generator_cpu_ratio=0.97)})
    deadlock = Cause(cause="pool_deadlock", share=1.0, evidence="deadlock: no request was answered")
    runs, _ = result.runs()
    dead = [run.model_copy(update={"causes": (deadlock,)}) if run.status == "invalid" else run for run in runs]
    assert reduce_runs(result, dead).reasons["sync"] == deadlock.evidence
