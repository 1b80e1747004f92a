"""Files of HdrHistogram, Locust and k6, compared with the rows and with these tools' own code."""

import csv
import json
import math
import re
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fakes import EPOCH_NS, FakeRow, case_of, new_result, run_of, suite_with, table_of

from loopwise.analysis.summary import Summary, summarise
from loopwise.model import Case, Endpoint, Load, Run, Window
from loopwise.report.export.formats import EXPORTS, export
from loopwise.report.export.hgrm import distribution
from loopwise.report.export.tallies import MAX_NAME, CountingFolder, Spread, file_name
from loopwise.results.folder import ResultFolder

MS = 1_000_000
LINE = re.compile(r" *([\d.]+) ([\d.]{14}) +(\d+)(?: +([\d.]+))?")
CLOSED = case_of("c", endpoints=(Endpoint(path="/"),))
MIX = case_of("c", endpoints=(Endpoint(path="/a"), Endpoint(method="POST", path="/b/../c")))


def rows_of(run: Run) -> list[FakeRow]:
    """A row each millisecond of the second that is the window; rows of replicate 2 take 10 ms longer."""
    more_ns = 10 * MS * (run.replicate - 1)
    names = [each.name for each in run.case.endpoints]
    rows = [
        FakeRow(
            at * MS,
            (5 + at % 40) * MS + more_ns,
            names[at % len(names)],
            scheduled_ns=at * MS - 90 * MS if run.case.load.model == "open" else None,
            bytes=100 + at % 3,
        )
        for at in range(1000)
    ]
    rows += [FakeRow(at * MS, 900 * MS, names[0], at * MS, 500, "status_500") for at in (100, 300)]
    rows += [FakeRow(400 * MS, 3 * MS, "victim /health", 390 * MS), FakeRow(-5 * MS, 7 * MS, names[0])]
    return rows


def handmade(folder: Path, case: Case, statuses: tuple[Any, ...] = ("ok", "ok")) -> ResultFolder:
    """A result of runs with these statuses."""
    result, _ = new_result(folder, suite_with(case, replicates=(len(statuses), len(statuses))))
    for number, status in enumerate(statuses, start=1):
        run = run_of(case, replicate=number, order=number, status=status)
        place = result.new_run_folder(case.case_id, number)
        pq.write_table(table_of(rows_of(run), place), place / "samples.parquet")
        result.write_run(run)
    return result


def exported(result: ResultFolder, name: str) -> tuple[Summary, list[Path]]:
    counting = CountingFolder(result.path)
    summary = summarise(counting)
    return summary, export(summary, result.path, [name], counting.tallies)[name]


def good_ms(replicates: tuple[int, ...] = (1, 2), names: tuple[str, ...] = ("GET /",)) -> list[float]:
    """Service times of the successes in the window, by the rows themselves."""
    return sorted(
        row.service_ns / 1e6
        for number in replicates
        for row in rows_of(run_of(CLOSED if names == ("GET /",) else MIX, replicate=number))
        if row.error is None and row.endpoint in names and row.received_ns >= 0
    )


def read_hgrm(text: str) -> tuple[list[tuple[float, float, int, float | None]], dict[str, float]]:
    head, empty, *lines = text.splitlines()
    assert head == "       Value     Percentile TotalCount 1/(1-Percentile)"
    assert empty == ""
    rows = []
    for line in lines[:-2]:
        match = LINE.fullmatch(line)
        assert match, line
        value, level, count, inverse = match.groups()
        rows.append((float(value), float(level), int(count), None if inverse is None else float(inverse)))
    foot = dict(re.findall(r"(\w[\w ]*?) *= *([\d.]+)", " ".join(lines[-2:])))
    assert all(re.fullmatch(r"#\[Mean +=.{13}, StdDeviation +=.{13}\]|#\[Max .*\]", line) for line in lines[-2:])
    return rows, {name: float(value) for name, value in foot.items()}


def test_an_hgrm_file_holds_the_distribution_of_the_valid_runs(tmp_path: Path) -> None:
    _, (path,) = exported(handmade(tmp_path / "r", CLOSED), "hgrm")
    assert path.name == "c.service.hgrm"
    rows, foot = read_hgrm(path.read_text())
    expected = good_ms()
    assert len(expected) == 2_000
    for value_ms, level, count, inverse in rows:
        assert value_ms == expected[max(1, math.ceil(level * 2_000 - 1e-6)) - 1]
        assert count == sum(each <= value_ms for each in expected)
        assert inverse is None if level == 1 else inverse == pytest.approx(1 / (1 - level), abs=0.006)
    assert rows[0][:2] == (5.0, 0.0)
    assert rows[-1] == (54.0, 1.0, 2_000, None)
    assert foot == {
        "Mean": pytest.approx(np.mean(expected), abs=1e-3),
        "StdDeviation": pytest.approx(np.std(expected), abs=1e-3),
        "Max": 54.0,
        "Total count": 2_000,
    }


def java_levels(values: list[int], ticks: int = 5) -> list[tuple[int, float, int]]:
    """HdrHistogram's PercentileIterator, value by value as it goes."""
    counts = {value: values.count(value) for value in sorted(set(values))}
    steps, level, passed, total = [], 0.0, 0, len(values)
    for value, count in counts.items():
        passed += count
        while 100.0 * passed / total >= level:
            steps.append((value, level / 100.0, passed))
            halvings = int(math.log2(100.0 / (100.0 - level))) + 1
            level += 100.0 / (ticks * 2**halvings)
            if passed == total:
                return [*steps, (value, 1.0, total)]
    raise AssertionError


@given(st.lists(st.integers(min_value=1, max_value=5_000_000), min_size=1, max_size=60))
def test_levels_and_values_are_those_of_hdrhistograms_iterator(values_us: list[int]) -> None:
    spread = Spread()
    for part in (values_us[::2], values_us[1::2]):
        spread.add(np.array(part, dtype=np.int64) * 1000)
    rows, _ = read_hgrm(distribution(spread))
    expected = java_levels(values_us)
    assert [(round(value * 1000), count) for value, _, count, _ in rows] == [
        (value, passed) for value, _, passed in expected
    ]
    assert [level for _, level, _, _ in rows] == pytest.approx([level for _, level, _ in expected], abs=1e-11)


def test_open_load_has_an_hgrm_file_of_response_times(
    tmp_path: Path,
) -> None:
    case = case_of("c", endpoints=(Endpoint(path="/"),), load=Load(model="open", rate_rps=1000))
    _, paths = exported(handmade(tmp_path / "r", case), "hgrm")
    found = {path.name: read_hgrm(path.read_text()) for path in paths}
    assert list(found) == ["c.service.hgrm", "c.response.hgrm"]
    assert found["c.response.hgrm"][1]["Max"] == 90.0
    assert found["c.service.hgrm"][1]["Max"] == 54.0


def test_a_mix_has_an_hgrm_file_for_all_and_for_each_endpoint(
    tmp_path: Path,
) -> None:
    _, paths = exported(handmade(tmp_path / "r", MIX), "hgrm")
    assert {path.parent for path in paths} == {tmp_path / "r" / "exports" / "hgrm"}
    names = [path.name for path in paths]
    assert names[0] == "c.all.service.hgrm"
    assert re.fullmatch(r"c\.GET-a-[0-9a-f]{8}\.service\.hgrm", names[1])
    assert re.fullmatch(r"c\.POST-b-\.\.-c-[0-9a-f]{8}\.service\.hgrm", names[2])
    totals = [read_hgrm(path.read_text())[1]["Total count"] for path in paths]
    assert totals == [2_000, 1_000, 1_000]


@cache
def locust_columns() -> list[str]:
    """Locust's own, from a process of its own: to import it patches the interpreter."""
    program = (
        "from locust.env import Environment; from locust.stats import PERCENTILES_TO_REPORT, StatsCSV; "
        "print(*StatsCSV(Environment(), PERCENTILES_TO_REPORT).requests_csv_columns, sep='\\n')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def read_locust(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as source:
        reader = csv.DictReader(source)
        rows = list(reader)
    assert list(reader.fieldnames or ()) == locust_columns()
    return rows


def test_a_locust_file_has_locusts_columns_and_counts(tmp_path: Path) -> None:
    _, (path, _failures) = exported(handmade(tmp_path / "r", CLOSED), "locust")
    assert path.name == "c_stats.csv"
    get, whole = read_locust(path)
    times = sorted([*good_ms(), *[900.0] * 4])
    assert (get["Type"], get["Name"], whole["Type"], whole["Name"]) == ("GET", "/", "", "Aggregated")
    for row in (get, whole):
        assert (row["Request Count"], row["Failure Count"]) == ("2004", "4")
        assert float(row["Average Response Time"]) == pytest.approx(np.mean(times))
        assert (float(row["Min Response Time"]), float(row["Max Response Time"])) == (5.0, 900.0)
        assert float(row["Requests/s"]) == pytest.approx(1002)
        assert float(row["Failures/s"]) == pytest.approx(2)
        assert float(row["50%"]) == float(row["Median Response Time"]) == times[1001]
        assert float(row["95%"]) == times[math.ceil(0.95 * 2004) - 1]
        assert float(row["100%"]) == 900.0
        assert 100 < float(row["Average Content Size"]) < 102


def test_a_locust_file_of_a_mix_has_rows_and_their_sum(tmp_path: Path) -> None:
    _, (path, _failures) = exported(handmade(tmp_path / "r", MIX), "locust")
    rows = read_locust(path)
    assert [(row["Type"], row["Name"]) for row in rows] == [
        ("GET", "/a"),
        ("POST", "/b/../c"),
        ("", "Aggregated"),
    ]
    counts = [int(row["Request Count"]) for row in rows]
    assert counts == [1004, 1000, 2004]


def test_an_endpoint_without_requests_has_no_percentiles(tmp_path: Path) -> None:
    silent = MIX.model_copy(update={"endpoints": (*MIX.endpoints, Endpoint(path="/never"))})
    result = handmade(tmp_path / "r", silent)
    for number in (1, 2):
        place = result.run_folder("c", number)
        rows = [row for row in rows_of(run_of(MIX, replicate=number)) if row.received_ns >= 0]
        pq.write_table(table_of(rows, place), place / "samples.parquet")
    _, (path, _failures) = exported(result, "locust")
    never = next(row for row in read_locust(path) if row["Name"] == "/never")
    assert (never["Request Count"], never["50%"], never["100%"]) == ("0", "N/A", "N/A")


def test_a_k6_file_has_the_structure_of_a_summary_export(tmp_path: Path) -> None:
    _, (path,) = exported(handmade(tmp_path / "r", CLOSED), "k6")
    assert path.name == "c.json"
    document = json.loads(path.read_text())
    assert set(document) == {"metrics", "root_group"}
    assert set(document["root_group"]) == {"name", "path", "id", "groups", "checks"}
    metrics = document["metrics"]
    assert metrics["http_reqs"] == {"count": 2004, "rate": pytest.approx(1002)}
    assert metrics["iterations"] == metrics["http_reqs"]
    # In k6 a pass of this rate is a request that failed.
    assert metrics["http_req_failed"] == {"passes": 4, "fails": 2000, "value": pytest.approx(4 / 2004)}
    assert metrics["vus"] == metrics["vus_max"] == {"value": 10, "min": 10, "max": 10}
    everything, good = sorted([*good_ms(), *[900.0] * 4]), good_ms()
    for name, times in (("", everything), ("{expected_response:true}", good)):
        trend = metrics[f"http_req_duration{name}"]
        assert {"avg", "min", "med", "max", "p(90)", "p(95)"} <= set(trend)
        assert (trend["min"], trend["max"]) == (times[0], times[-1])
        assert trend["avg"] == pytest.approx(np.mean(times))
        assert trend["p(95)"] == times[math.ceil(0.95 * len(times)) - 1]


def test_a_k6_file_tags_endpoints_and_knows_scripts(
    tmp_path: Path,
) -> None:
    _, (path,) = exported(handmade(tmp_path / "mix", MIX), "k6")
    metrics = json.loads(path.read_text())["metrics"]
    assert metrics["http_reqs{name:GET /a}"]["count"] == 1004
    assert metrics["http_req_duration{name:POST /b/../c}"]["max"] == 54.0
    script = MIX.model_copy(update={"scenario": "/srv/journey.py"})
    _, (path,) = exported(handmade(tmp_path / "script", script), "k6")
    assert "iterations" not in json.loads(path.read_text())["metrics"]


@pytest.mark.parametrize("name", ["hgrm", "locust", "k6"])
def test_invalid_and_damaged_runs_are_in_no_file(name: str, tmp_path: Path) -> None:
    alone = handmade(tmp_path / "alone", CLOSED, ("ok",))
    beside = handmade(tmp_path / "beside", CLOSED, ("ok", "invalid", "failed", "ok"))
    (beside.run_folder("c", 4) / "samples.parquet").write_bytes(b"PAR1 no more")
    texts = []
    for result in (alone, beside):
        summary, (path, *_others) = exported(result, name)
        texts.append(path.read_text())
        assert len(summary.damaged) == (result is beside)
    assert texts[0] == texts[1]


def test_a_spread_of_several_runs_is_the_one_of_all_their_values() -> None:
    dice = np.random.default_rng(5)
    parts = [dice.integers(1, 9_000_000, 500) for _ in range(3)]
    spread = Spread()
    for part in parts:
        spread.add(part)
    everything_ms = np.sort((np.concatenate(parts) + 500) // 1000) / 1e3
    assert spread.total == 1500
    assert np.repeat(spread.values_ms, spread.counts).tolist() == everything_ms.tolist()
    assert spread.quantile_ms(0.9) == everything_ms[1350 - 1]
    assert spread.deviation_ms == pytest.approx(everything_ms.std())
    assert Spread().mean_ms == Spread().quantile_ms(0.5) == Spread().deviation_ms == 0.0


@given(st.lists(st.text(min_size=1, max_size=300), min_size=2, max_size=4, unique=True))
def test_file_names_lead_nowhere_and_are_each_their_own(texts: list[str]) -> None:
    names = [file_name(text) for text in texts]
    assert len(set(names)) == len(texts)
    for name in names:
        assert re.fullmatch(r"[A-Za-z0-9._=+-]+", name)
        assert name not in {".", ".."}
        assert len(name) <= MAX_NAME


def test_a_window_is_what_a_rate_is_divided_by(tmp_path: Path) -> None:
    result = handmade(tmp_path / "r", CLOSED, ("ok",))
    half = Window(start_ns=EPOCH_NS, end_ns=EPOCH_NS + 500 * MS)
    result.write_run(run_of(CLOSED, window=half))
    _, (path,) = exported(result, "k6")
    reqs = json.loads(path.read_text())["metrics"]["http_reqs"]
    assert reqs == {"count": 502, "rate": pytest.approx(1004)}


def test_a_report_with_all_exports_reads_each_runs_rows_once(tmp_path: Path) -> None:
    result = handmade(tmp_path / "r", CLOSED)
    read: list[int] = []

    class Watched(CountingFolder):
        def samples(self, run: Run, columns: Sequence[str] | None = None) -> pa.Table:
            read.append(run.replicate)
            return super().samples(run, columns)

    watched = Watched(result.path)
    summary = summarise(watched)
    export(summary, result.path, list(EXPORTS), watched.tallies)
    assert read == [1, 2]
