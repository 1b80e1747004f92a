"""Exports of the summary, each read back by an independent reader; and the formats of `--export`."""

import csv
import io
import json
import math
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
import typer
from support.docs import rows, text_of
from support.fakes import Conduct, measured, suite_with, three_modes
from support.report import HOSTILE, fixture_summary

from loopwise import cli
from loopwise.analysis.summary import COLUMNS, Summary, summarise
from loopwise.errors import UsageError
from loopwise.model import SCHEMA_VERSION, Round
from loopwise.report.export.formats import EXPORTS, OF_ROWS, export, parse_formats
from loopwise.report.export.tidy import SCHEMA
from loopwise.results.folder import ResultFolder
from loopwise.visible import visible

VOID = Conduct(generator_cpu_ratio=0.97)
CONDUCTS = {"sync": Conduct(400.0), "async": Conduct(900.0), "to_thread": VOID}


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> ResultFolder:
    return measured(tmp_path_factory.mktemp("exports") / "r", three_modes(), CONDUCTS)


@pytest.fixture(scope="module")
def summary(result: ResultFolder) -> Summary:
    return summarise(result)


def one(summary: Summary, result: ResultFolder, name: str) -> Path:
    (path,) = export(summary, result.path, [name], {})[name]
    assert path.parent == result.path / "exports" / name
    return path


def same(read: Any, value: Any) -> bool:
    """Whether a value came back; a gap may be NaN or NA in a table, and None elsewhere."""
    if pd.isna(value):
        return read in {None, ""}
    return bool(read == value)


def test_csv_has_the_tidy_rows(summary: Summary, result: ResultFolder) -> None:
    with one(summary, result, "csv").open(encoding="utf-8", newline="") as source:
        rows = list(csv.DictReader(source))
    assert list(rows[0]) == COLUMNS
    assert len(rows) == len(summary.table)
    for row, value in zip(rows, summary.table["value"], strict=True):
        assert row["value"] == "" if math.isnan(value) else float(row["value"]) == value
    assert {row["valid"] for row in rows if row["case_id"] == "to_thread"} == {"False"}


def test_json_has_the_tidy_rows_with_gaps_as_null(summary: Summary, result: ResultFolder) -> None:
    rows = json.loads(one(summary, result, "json").read_text(encoding="utf-8"), parse_constant=refuse)
    assert [list(row) for row in rows] == [COLUMNS] * len(summary.table)
    for name in COLUMNS:
        pairs = zip((row[name] for row in rows), summary.table[name], strict=True)
        assert all(same(read, value) for read, value in pairs), name
    assert any(row["value"] is None for row in rows)


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def test_parquet_has_the_tidy_rows_in_a_schema_of_its_own(summary: Summary, result: ResultFolder) -> None:
    table = pq.read_table(one(summary, result, "parquet"))
    assert table.schema.equals(SCHEMA)
    assert table.schema.metadata[b"schema_version"] == str(SCHEMA_VERSION).encode()
    for name in COLUMNS:
        pairs = zip(table.column(name).to_pylist(), summary.table[name], strict=True)
        assert all(same(read, value) for read, value in pairs), name


def test_the_schema_of_parquet_is_the_same_when_every_case_is_invalid(tmp_path: Path) -> None:
    void = measured(tmp_path / "r", conducts=dict.fromkeys(("sync", "async", "to_thread"), VOID))
    table = pq.read_table(one(summarise(void), void, "parquet"))
    assert table.schema.equals(SCHEMA)
    assert table.column("value").null_count == table.num_rows == 3


def cells_of(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_markdown_has_the_answer_and_a_complete_table(summary: Summary, result: ResultFolder) -> None:
    text = one(summary, result, "markdown").read_text(encoding="utf-8")
    lines = [cells_of(line) for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + 3
    assert {len(line) for line in lines} == {7}
    rows = {line[0]: line for line in lines[2:]}
    assert rows["async"][5].startswith("▲ better ×")
    assert rows["to\\_thread"][1:6] == ["–"] * 4 + [""]
    assert rows["to\\_thread"][6].startswith("invalid: generator\\_cpu: ")
    assert "- sleep(ms=50): async serves" in text


@pytest.mark.parametrize("cases", [1, 7, 40])
@pytest.mark.parametrize("names", ["long", "hostile"])
@pytest.mark.parametrize("invalid", ["some", "all"])
def test_names_of_others_stay_text_in_markdown(cases: int, names: Any, invalid: Any, tmp_path: Path) -> None:
    strange = fixture_summary(cases, names=names, invalid=invalid)
    text = one(strange, ResultFolder(tmp_path), "markdown").read_text(encoding="utf-8")
    assert "<script>" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    lines = [cells_of(line) for line in text.splitlines() if line.startswith("|")]
    assert {len(line) for line in lines} == {7}
    assert len(lines) >= cases + 2


@pytest.mark.parametrize("name", ["csv", "json", "parquet"])
def test_names_of_others_come_back_as_they_were(name: str, tmp_path: Path) -> None:
    strange = fixture_summary(7, names="hostile", invalid="some")
    path = one(strange, ResultFolder(tmp_path), name)
    if name == "parquet":
        reasons = pq.read_table(path).column("reason").to_pylist()
    else:
        text = path.read_text(encoding="utf-8")
        rows = json.loads(text) if name == "json" else csv.DictReader(io.StringIO(text, newline=""))
        reasons = [row["reason"] for row in rows]
    wanted = visible(HOSTILE) if name == "csv" else HOSTILE
    assert any(reason.endswith(wanted) for reason in reasons if reason)


def test_an_export_replaces_what_stood_there_from_before(summary: Summary, result: ResultFolder) -> None:
    path = one(summary, result, "csv")
    stale = path.with_name("older.csv")
    stale.write_text("x")
    other = result.path / "exports" / "mine.txt"
    other.write_text("y")
    one(summary, result, "csv")
    assert not stale.exists()
    assert other.read_text() == "y"


@pytest.mark.parametrize(
    ("texts", "formats"),
    [
        ([], ()),
        (["csv"], ("csv",)),
        (["csv,hgrm", "k6"], ("csv", "hgrm", "k6")),
        (["csv, json", "json"], ("csv", "json")),
        ([",".join(EXPORTS)], tuple(EXPORTS)),
    ],
)
def test_formats_are_read_from_one_option_or_several(texts: list[str], formats: tuple[str, ...]) -> None:
    assert parse_formats(texts) == formats


@pytest.mark.parametrize("text", ["xlsx", "csv,xlsx", "", "csv,,k6", "../csv"])
def test_an_unknown_format_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(UsageError, match=r"^--export: got '[^,]*', allowed are csv, json, .*, k6; choose"):
        parse_formats([text])


@pytest.mark.parametrize("name", sorted(OF_ROWS))
def test_a_duel_has_no_runs_to_make_files_of_rows_from(name: str, tmp_path: Path) -> None:
    found = Round(
        **{"pairing": "duel", "number": 1, "baseline_case": "a", "candidate_case": "b", "status": "ok"},
        started_at="2026-01-02T03:04:05Z",
    )
    duel = Summary(**{**vars(fixture_summary(1)), "duel": (found,)})
    with pytest.raises(UsageError, match=f"--export {name}: .* is a duel"):
        export(duel, tmp_path, ["csv", name], {})
    assert not (tmp_path / "exports").exists()
    assert export(duel, tmp_path, ["csv"], {})["csv"]


def test_report_exports_and_says_where(
    result: ResultFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["bench.py", "report", str(result.path), "--export", "parquet,hgrm"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code in {0, None}
    out = capsys.readouterr().out
    assert f"parquet: {result.path}/exports/parquet/summary.parquet\n" in out
    assert f"hgrm: 2 files in {result.path}/exports/hgrm\n" in out
    assert len(list((result.path / "exports" / "hgrm").iterdir())) == 2


def test_an_unknown_format_ends_with_2_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = measured(tmp_path / "r", three_modes(replicates=(1, 1)))
    monkeypatch.setattr("sys.argv", ["bench.py", "report", str(fresh.path), "--export", "pdf"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("error: --export: got 'pdf', allowed are csv")
    assert not (fresh.path / "report.html").exists()


def test_without_a_valid_run_no_file_of_rows_is_exported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = suite_with(*three_modes(replicates=(1, 1)).cases[:1], replicates=(1, 1))
    void = measured(tmp_path / "r", suite, {"sync": VOID})
    monkeypatch.setattr("sys.argv", ["bench.py", "report", str(void.path), "--export", "locust"])
    with pytest.raises(SystemExit):
        cli.main()
    assert "locust: nothing to write, no case has a valid run\n" in capsys.readouterr().out


def test_every_format_is_documented_and_offered_by_the_option() -> None:
    table = rows(text_of("exports.md"), "A result in the formats of other tools")
    documented = [tuple(cell.replace("`", "") for cell in row) for row in table]
    assert documented == [(each.name, each.files, each.purpose) for each in EXPORTS.values()]
    group: Any = typer.main.get_command(cli.app)
    (option,) = (each for each in group.commands["report"].params if each.name == "export")
    assert all(name in option.help for name in EXPORTS)
