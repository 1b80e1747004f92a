"""Results that earlier versions measured are read with the figures that those versions printed.

`version1` is of schema 1; `sliced` (an app of somebody's own, a canary, slices) and `duel` are of schema 2. Beside
their rows lie the tables that were made of them at the time.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support.cli import commanding

from loopwise.report.build import build
from loopwise.report.listing import result_rows
from loopwise.results.folder import ResultFolder

RESULTS = Path(__file__).parent / "data" / "results"
NAMES = sorted(path.name for path in RESULTS.iterdir())
FIGURES = ["value", "ci_low", "ci_high", "replicates", "predicted"]
ROW = ["case_id", "endpoint", "metric"]
DECIDED = ["baseline_case", "candidate_case", "endpoint", "metric"]
RATIO = ["ratio", "ci_low", "ci_high", "confidence", "replicates"]


@pytest.fixture(scope="module", params=NAMES)
def reported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A copy of an old result that was reported anew, and the original."""
    original = RESULTS / request.param
    copy = tmp_path_factory.mktemp("old") / request.param
    shutil.copytree(original, copy)
    build(ResultFolder(copy))
    return copy, original


def test_report_of_an_old_result_has_its_figures(reported: tuple[Path, Path]) -> None:
    after, before = (pd.read_csv(each / "summary.csv").set_index(ROW) for each in reported)
    assert set(before.index) <= set(after.index)
    pd.testing.assert_frame_equal(after.loc[before.index, FIGURES], before[FIGURES], rtol=1e-9)
    assert list(after.loc[before.index, "valid"]) == list(before["valid"])


def test_verdicts_on_an_old_result_are_the_same(reported: tuple[Path, Path]) -> None:
    after, before = (json.loads((each / "verdicts.json").read_text(encoding="utf-8")) for each in reported)
    _assert_same_verdicts(after, before)


def test_comparing_old_results_gives_the_same_verdicts(
    reported: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    copy, original = reported
    status, out, err = commanding(monkeypatch, capsys)("compare", copy, original, "--json", "--out", copy / "compared")
    assert status == 0, err
    after = json.loads(out)
    _assert_same_verdicts(after, json.loads((original / "compared.json").read_text(encoding="utf-8")))


def _assert_same_verdicts(after: list[dict[str, Any]], before: list[dict[str, Any]]) -> None:
    found = {tuple(row[key] for key in DECIDED): row for row in after}
    for row in before:
        same = found[tuple(row.get(key, "") for key in DECIDED)]
        assert same["verdict"] == row["verdict"]
        assert [same[key] for key in RATIO] == pytest.approx([row[key] for key in RATIO], rel=1e-9)


def test_a_duel_is_listed_with_its_rounds() -> None:
    rows = {row["name"]: row for row in result_rows(RESULTS)}
    assert (rows["duel"]["runs"], rows["duel"]["not valid"]) == ("3 rounds", 0)
    assert rows["sliced"]["runs"] == "9 of 9"


def test_answers_do_not_speak_of_all_endpoints(reported: tuple[Path, Path]) -> None:
    copy, _ = reported
    answers = json.loads((copy / "summary.json").read_text(encoding="utf-8"))["answers"]
    assert answers
    assert not any(" on all" in answer for answer in answers)
