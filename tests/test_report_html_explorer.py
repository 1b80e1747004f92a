"""The explorer's data: figures of the summary, none of invalid cases, and a complete library."""

import json
import math
from base64 import b64decode
from dataclasses import replace
from gzip import compress, decompress
from pathlib import Path

import pandas as pd
import pytest
from support.report import HOSTILE, REASON, fixture_summary, own_app_summary, running_server_summary

from loopwise.analysis.summary import Summary
from loopwise.model.naming import mode_labels
from loopwise.report.charts.kit.style import MODES
from loopwise.report.html import explorer, page
from loopwise.report.html.explorer import explorer_data


def test_every_cell_is_a_figure_of_the_summary() -> None:
    summary = fixture_summary(7)
    data = explorer_data(summary)
    rows = {(row["case_id"], row["metric"]): row for row in summary.table.to_dict("records")}
    assert len(data["metrics"]) == summary.table.metric.nunique()
    for case in data["cases"]:
        for metric, cell in zip(data["metrics"], case["cells"], strict=True):
            row = rows[case["id"], metric["id"]]
            assert cell == pytest.approx([row["value"], row["ci_low"], row["ci_high"], row["replicates"]], rel=1e-5)


def test_an_invalid_case_has_a_reason_and_no_figure() -> None:
    summary = fixture_summary(7, invalid="some")
    table = summary.table.assign(value=summary.table.value.fillna(123_456.0))
    (case,) = [each for each in explorer_data(_with(summary, table))["cases"] if each["invalid"]]
    assert (case["invalid"], case["cells"]) == (REASON, [])
    whole = explorer_data(fixture_summary(7, invalid="all"))
    assert [metric["id"] for metric in whole["metrics"]] == ["throughput_rps"]
    assert all(each["cells"] == [] for each in whole["cases"])


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_becomes_nothing(value: float) -> None:
    summary = fixture_summary(7)
    data = explorer_data(_with(summary, summary.table.assign(value=value)))
    assert all(cell is None for case in data["cases"] for cell in case["cells"])
    json.loads(str(page.data(data)))


def test_one_replicate_has_a_value_and_no_interval() -> None:
    (case,) = explorer_data(fixture_summary(1, replicates=1))["cases"]
    assert case["cells"][0][1:] == [None, None, 1]


def test_modes_look_as_they_do_in_the_charts() -> None:
    looks = explorer_data(fixture_summary(1))["styles"]
    assert [looks[mode_labels(name)[0]]["colour"] for name in MODES] == [each.colour for each in MODES.values()]
    assert len({each["shape"] for each in looks.values()}) == len(MODES)
    assert looks["your app"] == looks["as written"]
    (mode,) = {case["mode"] for case in explorer_data(own_app_summary())["cases"]}
    assert mode in looks


def test_open_load_has_a_rate_and_closed_load_has_users() -> None:
    (case,) = explorer_data(running_server_summary())["cases"]
    assert (case["rate_rps"], case["users"], case["workers"]) == (200, None, None)
    assert explorer_data(fixture_summary(1))["cases"][0]["users"] == 100


def test_no_text_ends_the_element_that_holds_the_data() -> None:
    text = str(page.data({"a": HOSTILE, "b": "</script><!--\u2028"}))
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text)["b"] == "</script><!--\u2028".replace("\u2028", " ").strip()
    assert "\x1b" not in text


def test_the_packed_library_is_the_one_that_the_policy_allows() -> None:
    library = decompress(b64decode(explorer.packed_library())).decode()
    assert library == explorer.library()
    assert "loopwiseEmbed" in library
    # Its hash must be the browser's, which reads the text from an element: nothing may end it, or end a line otherwise.
    assert "\r" not in library
    assert "</script" not in library.lower()


def kept_in() -> Path:
    path = explorer.cache_file()
    assert path is not None
    return path


def test_the_library_is_made_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    def make() -> bytes:
        made.append(1)
        return compress(b"window." + explorer.GLOBAL)

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(explorer, "make_library", make)
    first = explorer.packed.__wrapped__()
    assert explorer.packed.__wrapped__() == first
    assert len(made) == 1
    assert [path.name for path in (tmp_path / "cache" / "loopwise").iterdir()] == [kept_in().name]


@pytest.mark.parametrize("damage", [b"", b"no gzip", compress(b"another script")], ids=["empty", "text", "other"])
def test_a_damaged_copy_is_made_anew(damage: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(explorer, "make_library", lambda: compress(explorer.GLOBAL))
    kept_in().parent.mkdir()
    kept_in().write_bytes(damage)
    assert decompress(explorer.packed.__wrapped__()) == explorer.GLOBAL
    assert decompress(kept_in().read_bytes()) == explorer.GLOBAL


def test_where_nothing_can_be_written_it_is_made_for_each_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(explorer, "make_library", lambda: compress(explorer.GLOBAL))
    assert decompress(explorer.packed.__wrapped__()) == explorer.GLOBAL


def test_without_a_home_it_is_made_for_each_report(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(_: int) -> object:
        raise KeyError("uid not found")

    for name in ("XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", nobody)
    monkeypatch.setattr(explorer, "make_library", lambda: compress(explorer.GLOBAL))
    assert decompress(explorer.packed.__wrapped__()) == explorer.GLOBAL


def _with(summary: Summary, table: pd.DataFrame) -> Summary:
    return replace(summary, table=table)
