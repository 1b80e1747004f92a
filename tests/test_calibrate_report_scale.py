"""What a report of many rows costs, tried on few: the result is a real one, and nothing of it stays."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from loopwise.analysis.summary import Summary, summarise
from loopwise.calibrate import report_scale
from loopwise.calibrate.synthetic_result import make_result
from loopwise.results.folder import ResultFolder


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    return summarise(make_result(tmp_path_factory.mktemp("scale") / "r", runs=12, rows=2_000))


def test_a_synthetic_result_has_the_wanted_runs_and_rows(summary: Summary) -> None:
    assert len(summary.runs) == 12
    assert not summary.damaged
    counted = [run.counts["window_rows"] for run in summary.runs]
    assert all(1_800 < count < 2_200 for count in counted)
    assert all(run.counts["victim_rows"] > 0 for run in summary.runs)


def test_synthetic_runs_pass_all_checks_and_obey_littles_law(summary: Summary) -> None:
    assert {run.status for run in summary.runs} == {"ok"}
    for run in summary.runs:
        passed = {check.name: check.ok for check in run.checks}
        assert passed["littles_law"], run.case.case_id
        assert passed["connections"], run.case.case_id
    assert summary.verdicts


def test_its_digests_know_rows_and_looks(summary: Summary) -> None:
    kept = [each for digests in summary.digests.values() for each in digests]
    assert len(kept) == 12
    assert all(each.timeline[["p99_ms", "pool_busy", "steal_ratio"]].notna().all(axis=None) for each in kept)


def test_the_same_seed_gives_the_same_rows(tmp_path: Path) -> None:
    rows = []
    for name in ("a", "b"):
        result = make_result(tmp_path / name, runs=1, rows=100)
        (run,), _ = result.runs()
        rows.append(result.samples(run))
    assert rows[0].equals(rows[1])


def test_it_prints_time_memory_and_parts_and_leaves_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "loopwise.calibrate.report_scale", "--runs", "2", "--rows", "100"],
        env=os.environ | {"TMPDIR": str(tmp_path), "PATH": ""},
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.search(r"^report: [\d.]+ s, peak memory [1-9]\d+ MB$", done.stdout, re.MULTILINE), done.stdout
    parts = re.findall(r"^  (\w+) +[\d.]+ s$", done.stdout, re.MULTILINE)
    assert parts == ["imports", "reading", "tables", "charts", "page"]
    assert not list(tmp_path.glob("loopwise-*"))


def test_parts_are_those_of_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result: ResultFolder = make_result(tmp_path / "r", runs=1, rows=100)
    assert report_scale.main(["--inner", "phases", "--result", str(result.path)]) == 0
    assert (result.path / "report.html").exists()
    assert (result.path / "summary.csv").exists()
    assert "reading" in capsys.readouterr().out


@pytest.mark.parametrize("given", [["--runs", "0"], ["--rows", "-1"]])
def test_a_size_that_makes_no_sense_is_refused(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        report_scale.main(given)
    assert refused.value.code == 2
    assert "allowed is 1 or more" in capsys.readouterr().err
