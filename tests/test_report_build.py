"""Everything a report consists of, from a result on disk: written anew as often as wanted, measured never."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from support.fakes import Conduct, case_of, measured, suite_with

from loopwise.analysis.summary import COLUMNS, Summary, summarise
from loopwise.model import SCHEMA_VERSION, Comparison, Verdict
from loopwise.report.build import build, write_tables
from loopwise.results.folder import ResultFolder


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> ResultFolder:
    result = measured(tmp_path_factory.mktemp("build") / "r")
    build(result)
    return result


def test_a_report_is_tables_verdicts_charts_and_a_page(finished: ResultFolder) -> None:
    names = {path.name for path in finished.path.iterdir()}
    assert names == {
        *("experiment.json", "runs", "summary.csv", "summary.json", "verdicts.json", "report.html", "charts")
    }
    charts = list(finished.charts.iterdir())
    assert {path.suffix for path in charts} == {".svg", ".png"}
    assert len({path.stem for path in charts}) * 2 == len(charts) >= 6


def test_the_files_agree_with_each_other_and_hold_no_nan(finished: ResultFolder) -> None:
    table = pd.read_csv(finished.path / "summary.csv")
    document = json.loads((finished.path / "summary.json").read_text(), parse_constant=_refuse)
    verdicts = json.loads((finished.path / "verdicts.json").read_text(), parse_constant=_refuse)
    assert list(table.columns) == COLUMNS
    assert [list(row) for row in document["rows"]] == [COLUMNS] * len(table)
    assert [row["value"] for row in document["rows"]] == pytest.approx(table["value"].tolist())
    assert document["verdicts"] == verdicts
    assert document["schema_version"] == SCHEMA_VERSION
    assert document["answers"] == list(summarise(finished).answers)
    assert [Verdict(**row) for row in verdicts] == list(summarise(finished).verdicts)
    page = (finished.path / "report.html").read_text()
    assert document["answers"][0].partition(" [")[0] in page


@pytest.mark.parametrize("noise_ratio", [0.1, 2.0])
def test_intervals_of_any_width_are_drawn(noise_ratio: float, tmp_path: Path) -> None:
    suite = suite_with(
        *(case_of(mode, mode) for mode in ("sync", "async")),
        replicates=(2, 2),
        compare=Comparison(baseline={"mode": "sync"}, slices_max=0, confidence=0.9999),
    )
    conduct = Conduct(400.0, noise_ratio=noise_ratio)
    result = measured(tmp_path / "r", suite, {"sync": conduct, "async": conduct})
    summary = build(result)
    assert (summary.verdicts[0].ci_high or 0) > 1e9
    assert all(len(answer) < 250 for answer in summary.answers)


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def test_a_result_deleted_while_it_is_read_is_not_made_anew(
    finished: ResultFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = ResultFolder(Path(shutil.copytree(finished.path, tmp_path / "r")))

    def deleted_after(tables: Summary, of: ResultFolder) -> None:
        write_tables(tables, of)
        shutil.rmtree(of.path)

    monkeypatch.setattr("loopwise.report.build.write_tables", deleted_after)
    with pytest.raises(FileNotFoundError):
        build(result)
    assert not result.path.exists()


def test_a_second_build_gives_the_same_tables(finished: ResultFolder, tmp_path: Path) -> None:
    copy = ResultFolder(Path(shutil.copytree(finished.path, tmp_path / "r")))
    for name in ("summary.csv", "summary.json", "verdicts.json"):
        (copy.path / name).unlink()
    build(copy)
    for name in ("summary.csv", "summary.json", "verdicts.json"):
        assert (copy.path / name).read_bytes() == (finished.path / name).read_bytes()


def test_a_result_of_invalid_cases_alone_gives_a_report(tmp_path: Path) -> None:
    spoilt = Conduct(generator_cpu_ratio=0.97)
    result = measured(tmp_path / "r", conducts=dict.fromkeys(("sync", "async", "to_thread"), spoilt))
    summary = build(result)
    assert not summary.table["valid"].any()
    document = json.loads((result.path / "summary.json").read_text(), parse_constant=_refuse)
    assert {row["value"] for row in document["rows"]} == {None}
    assert "generator_cpu" in (result.path / "report.html").read_text()
