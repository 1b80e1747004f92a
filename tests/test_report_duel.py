"""A duel's result is reported like any other: verdicts from its rounds, a page, and nothing that isn't so."""

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from support.fakes import case_of, experiment_of, suite_with

from loopwise.analysis.summary import Summary, summarise
from loopwise.analysis.verdicts import judge_rounds
from loopwise.cli.report import report
from loopwise.errors import ResultError
from loopwise.model import TOTAL, App, Check, Comparison, Endpoint, Round, Side
from loopwise.report import words as page_data
from loopwise.report.build import build
from loopwise.report.terminal.answer import Answer
from loopwise.results.folder import ResultFolder

NAMES = ("git-main", "shop.main-app")
STOLEN = Check(name="steal", value=0.2, limit=0.1, effect="flag", ok=False, detail="the hypervisor took 20 %")


def side(rps: float, endpoints: tuple[str, ...]) -> Side:
    figures = {
        "throughput_rps": rps,
        "service_time_mean_ms": 1e3 / rps,
        "service_time_p50_ms": 1e3 / rps,
        "service_time_p99_ms": 3e3 / rps,
    }
    parts = {name: figures | {"throughput_rps": rps / 2} for name in endpoints} if len(endpoints) > 1 else {}
    return Side(
        metrics={TOTAL: figures | {"cpu_ms_per_request": 400 / rps}, **parts},
        counts={"rows": 900, "window_rows": 800, "errors": 0, "served": 800},
        cpu_share=0.5,
    )


def round_of(number: int, *, endpoints: tuple[str, ...] = ("GET /x",), **options: Any) -> Round:
    noise = 1 + 0.001 * (number % 3)
    fields: dict[str, Any] = {
        "pairing": "duel",
        "number": number,
        "baseline_case": NAMES[0],
        "candidate_case": NAMES[1],
        "status": "ok",
        "started_at": "2026-01-02T03:04:05Z",
        "baseline": side(1000.0, endpoints),
        "candidate": side(950.0 * noise, endpoints),
    }
    return Round(**(fields | options))


def duelled(folder: Path, *rounds: Round, paths: tuple[str, ...] = ("/x",)) -> ResultFolder:
    cases = [
        case_of(
            name,
            "own",
            workload="GET /x",
            params={},
            cost=None,
            app=App(target="shop.main:app", app_dir=f"/srv/{name}", python="/srv/.venv/bin/python"),
            endpoints=tuple(Endpoint(path=path) for path in paths),
        )
        for name in NAMES
    ]
    suite = suite_with(*cases, compare=Comparison(margin=0.01), replicates=(3, 6))
    result = ResultFolder(folder)
    result.begin(experiment_of(suite, folder.name, plan=()))
    for each in rounds:
        result.round_folder(each.baseline_case, each.candidate_case, each.number).mkdir(parents=True)
        result.write_round(each)
    return result


def printed(summary: Summary) -> str:
    console = Console(file=io.StringIO(), width=80, no_color=True, force_terminal=False)
    console.print(Answer(summary))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_verdicts_of_rounds_stay_the_same_in_every_report(
    tmp_path: Path,
) -> None:
    rounds = [round_of(number) for number in range(1, 5)]
    result = duelled(tmp_path / "duel", *rounds)
    judged = judge_rounds(rounds, margin=0.01, confidence=0.95)
    result.write_verdicts(judged)
    before = (result.path / "verdicts.json").read_bytes()
    assert len(json.loads(before)) == 4
    for _ in range(2):
        assert list(build(result).verdicts) == judged
        assert (result.path / "verdicts.json").read_bytes() == before
    document = json.loads((result.path / "summary.json").read_text())
    assert document["verdicts"] == json.loads(before)
    assert document["answers"] == [f"{judged[0].reason}.", f"{judged[3].reason}."]
    assert "serves 0.95" in document["answers"][0]


def test_page_and_terminal_name_both_sides_and_no_runs(tmp_path: Path) -> None:
    result = duelled(tmp_path / "duel", *(round_of(number) for number in range(1, 4)))
    summary = build(result)
    page = (result.path / "report.html").read_text(encoding="utf-8")
    text = printed(summary)
    for shown in (re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL), text):
        assert "not measured" not in shown
        assert "invalid:" not in shown
        assert all(name in shown for name in NAMES)
    assert 'id="verdicts"' in page
    section = page[page.index('id="verdicts"') : page.index('id="cases"')]
    assert section.count('class="verdict worse"') == len(summary.verdicts) == 4
    assert "<b>3</b> rounds" in page
    assert "Every run starts a fresh server" not in page
    assert "×0.951 worse" in text
    assert all(len(line) <= 80 for line in text.splitlines())


def test_figures_are_geometric_means_over_rounds(tmp_path: Path) -> None:
    summary = summarise(duelled(tmp_path / "duel", *(round_of(number) for number in range(1, 4))))
    rows = summary.table.set_index(["case_id", "metric"])
    assert rows.loc[(NAMES[0], "throughput_rps"), "value"] == pytest.approx(1000)
    assert rows.loc[(NAMES[1], "cpu_ms_per_request"), "replicates"] == 3
    assert rows.loc[(NAMES[1], "error_ratio"), "value"] == 0
    assert set(summary.table["endpoint"]) == {"GET /x"}
    assert summary.table["predicted"].isna().all()


def test_a_mix_has_verdicts_per_endpoint_and_says_of_which(tmp_path: Path) -> None:
    endpoints = ("GET /x", "GET /y")
    rounds = [round_of(number, endpoints=endpoints) for number in range(1, 4)]
    summary = build(duelled(tmp_path / "duel", *rounds, paths=("/x", "/y")))
    named = {row.metric for row in page_data.verdict_rows(summary)}
    assert {"requests a second", "requests a second, GET /x", "requests a second, GET /y"} <= named
    assert set(summary.table["endpoint"]) == {TOTAL, *endpoints}
    assert len(summary.answers) == 2


def test_rounds_that_broke_are_named_and_in_no_figure(tmp_path: Path) -> None:
    broken = round_of(2, status="failed", error="the candidate's server died", candidate=Side())
    marked = round_of(3, checks=(STOLEN,))
    summary = build(duelled(tmp_path / "duel", round_of(1), broken, marked))
    assert page_data.trouble(summary) == [
        "round 2, failed: the candidate's server died",
        "round 3, marked: the hypervisor took 20 %",
    ]
    assert {verdict.replicates for verdict in summary.verdicts} == {2}


def test_a_duel_of_failed_rounds_is_invalid_and_says_why(tmp_path: Path) -> None:
    broken = round_of(1, status="failed", error="port 1 is taken", baseline=Side(), candidate=Side())
    result = duelled(tmp_path / "duel", broken)
    summary = build(result)
    assert [verdict.verdict for verdict in summary.verdicts] == ["invalid"]
    assert summary.table["reason"].tolist() == ["port 1 is taken"] * 2
    assert "port 1 is taken" in (result.path / "report.html").read_text(encoding="utf-8")


def test_the_command_reports_a_duel(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = duelled(tmp_path / "duel", *(round_of(number) for number in range(1, 4)))
    assert report(result.path, as_json=True) == 0
    assert len(json.loads(capsys.readouterr().out)["verdicts"]) == 4


def test_a_duel_whose_rounds_were_taken_away_keeps_its_report(tmp_path: Path) -> None:
    result = duelled(tmp_path / "duel", *(round_of(number) for number in range(1, 4)))
    build(result)
    for path in result.path.glob("pairs/*/*/*/round.json"):
        path.unlink()
    with pytest.raises(ResultError, match="no rows to make it anew"):
        build(result)
    assert len(json.loads((result.path / "verdicts.json").read_text())) == 4
