"""summary.csv and verdicts.json of a result on fakes, compared with golden files (UPDATE_GOLDEN=1 rewrites them)."""

import io
import json
import math
import os
from pathlib import Path

import pandas as pd
import pytest
from support.fakes import THREE_CONDUCTS, Conduct, case_of, measured, rows_by, suite_with, three_modes

from loopwise.analysis.metrics import COMPARED, METRICS
from loopwise.analysis.summary import COLUMNS, Summary, summarise
from loopwise.errors import ServerError
from loopwise.model import HostFigures, Load, Server, Suite, Verdict

GOLDEN = Path(__file__).parent / "golden"
PROMISED = (
    "case_id, workload, params, mode, server, workers, load, endpoint, metric, unit, value, ci_low, ci_high, "
    "confidence, replicates, predicted, valid, reason, errors"
)
DEAD = ServerError("the server ended with status 1 before it answered")


def golden_suite() -> Suite:
    victim = Load(users=10, measure_s=0.5, victim="/health")
    cases = [case_of(mode, mode, load=victim) for mode in ("sync", "async", "to_thread")]
    return suite_with(*cases, case_of("blocking", "blocking", load=victim))


CONDUCTS = THREE_CONDUCTS | {"blocking": Conduct(faults={1: DEAD, 2: DEAD})}


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    return summarise(measured(tmp_path_factory.mktemp("summary") / "r", golden_suite(), CONDUCTS))


def golden(name: str, text: str) -> str:
    path = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    return path.read_text(encoding="utf-8")


def test_summary_csv_is_the_golden_one(summary: Summary) -> None:
    # Ten digits: the last ones of a mean differ between CPUs.
    text = summary.table.to_csv(index=False, float_format="%.10g", lineterminator="\n")
    assert text == golden("summary.csv", text)


def test_verdicts_are_the_golden_ones(summary: Summary) -> None:
    rows = [verdict.model_dump() for verdict in summary.verdicts]
    known = json.loads(golden("verdicts.json", json.dumps(rows, indent=1) + "\n"))
    assert [list(row) for row in known] == [
        [name for name, info in Verdict.model_fields.items() if not info.exclude]
    ] * len(known)
    for row, expected in zip(rows, known, strict=True):
        assert row == {
            key: pytest.approx(value, rel=1e-9) if isinstance(value, float) else value
            for key, value in expected.items()
        }


def test_columns_are_those_that_are_promised_in_their_order(summary: Summary) -> None:
    assert ", ".join(COLUMNS) == PROMISED
    assert list(summary.table.columns) == COLUMNS


def test_a_csv_reads_back_as_what_was_written(summary: Summary) -> None:
    read = pd.read_csv(io.StringIO(summary.table.to_csv(index=False)), keep_default_na=True)
    assert read["value"].tolist() == pytest.approx(summary.table["value"].tolist(), nan_ok=True)
    assert read["workers"].tolist() == [1] * len(read)
    assert set(read["unit"].fillna("")) <= {metric.unit for metric in METRICS.values()}


def test_rows_follow_the_order_of_suite_and_metrics(summary: Summary) -> None:
    assert list(dict.fromkeys(summary.table["case_id"])) == ["sync", "async", "to_thread", "blocking"]
    metrics = summary.table[summary.table["case_id"] == "sync"]["metric"].tolist()
    assert metrics == sorted(metrics, key=list(METRICS).index)
    assert metrics[0] == "throughput_rps"


def test_a_value_is_typical_of_its_replicates_with_an_interval(summary: Summary) -> None:
    row = rows_by(summary.table, "case_id", "metric")["async", "throughput_rps"]
    values = list(summary.cases["async"].values("throughput_rps").values())
    assert len(values) == row["replicates"] == 3
    assert row["value"] == pytest.approx(math.prod(values) ** (1 / 3))
    assert row["ci_low"] < min(row["value"], *values)
    assert row["ci_high"] > max(row["value"], *values)


def test_the_prediction_stands_beside_throughput_only(summary: Summary) -> None:
    predicted = summary.table.dropna(subset=["predicted"])
    assert set(predicted["metric"]) == {"throughput_rps"}
    assert dict(zip(predicted["case_id"], predicted["predicted"], strict=True)) == {
        **{"sync": 200.0, "async": 200.0, "to_thread": 120.0, "blocking": 20.0}
    }


def test_a_case_without_a_valid_run_has_one_row_that_says_why(summary: Summary) -> None:
    rows = summary.table[summary.table["case_id"] == "blocking"].to_dict("records")
    assert len(rows) == 1
    assert math.isnan(rows[0]["value"])
    assert (rows[0]["valid"], rows[0]["replicates"]) == (False, 0)
    assert rows[0]["reason"] == "the server ended with status 1 before it answered"
    assert len(summary.runs) == 12


def test_far_cases_differ_and_close_ones_do_not(summary: Summary) -> None:
    words = {(v.candidate_case, v.metric): v.verdict for v in summary.verdicts}
    assert words["async", "throughput_rps"] == "better"
    assert words["to_thread", "throughput_rps"] == "same"
    assert {words["blocking", metric] for metric in COMPARED} == {"invalid"}


def test_quantiles_rise_within_each_replicate(summary: Summary) -> None:
    assert list(summary.quantiles.columns) == [
        "case_id",
        "endpoint",
        "quantile",
        "service_time_ms",
        "replicate",
    ]
    for _, rows in summary.quantiles.groupby(["case_id", "endpoint", "replicate"]):
        assert rows["quantile"].is_monotonic_increasing
        assert rows["service_time_ms"].is_monotonic_increasing
    assert set(summary.quantiles["case_id"]) == {"sync", "async", "to_thread"}


def test_a_metric_that_neither_side_has_gets_no_verdict(tmp_path: Path) -> None:
    result = measured(tmp_path / "r", three_modes(replicates=(2, 2)))
    for run in result.runs()[0]:
        result.write_run(run.model_copy(update={"host": HostFigures()}))
    metrics = {verdict.metric for verdict in summarise(result).verdicts}
    assert metrics == set(COMPARED) - {"cpu_ms_per_request"}


def test_sides_that_share_no_valid_block_cannot_be_compared(tmp_path: Path) -> None:
    conducts = {"sync": Conduct(faults={1: DEAD}), "async": Conduct(faults={2: DEAD})}
    summary = summarise(measured(tmp_path / "r", three_modes(replicates=(2, 2)), conducts))
    verdict = next(v for v in summary.verdicts if v.candidate_case == "async")
    assert verdict.verdict == "invalid"
    assert verdict.reason == "async and sync can't be compared: no block holds a valid run of both"


def test_an_experiment_without_runs_says_not_measured_yet(tmp_path: Path) -> None:
    result = measured(tmp_path / "r", three_modes(replicates=(1, 1)))
    for path in result.path.glob("runs/*/*/run.json"):
        path.unlink()
    summary = summarise(result)
    assert summary.table["reason"].tolist() == ["not measured yet"] * 3
    assert summary.answers == ("sleep(ms=50): no valid measurement (not measured yet).",)
    assert summary.quantiles.empty


def test_each_case_has_its_bound_and_only_valid_ones_a_ratio(summary: Summary) -> None:
    rows = rows_by(summary.table, "case_id", "metric")
    found = {each.case_id: each for each in summary.predictions}
    assert list(found) == ["sync", "async", "to_thread", "blocking"]
    for case_id in ("sync", "async", "to_thread"):
        row = rows[case_id, "throughput_rps"]
        assert found[case_id].predicted_rps == row["predicted"]
        assert found[case_id].ratio == pytest.approx(row["value"] / row["predicted"])
        assert found[case_id].verdict == "above"
    assert (found["blocking"].verdict, found["blocking"].ratio) == ("invalid", None)


def test_worker_counts_are_fitted_and_told_in_the_answers(tmp_path: Path) -> None:
    load = Load(users=10, measure_s=0.5)
    cases = [case_of(f"w{n}", "sync", server=Server(workers=n), load=load) for n in (1, 2, 4)]
    conducts = {"w1": Conduct(400.0), "w2": Conduct(700.0), "w4": Conduct(900.0)}
    found = summarise(measured(tmp_path / "r", suite_with(*cases), conducts))
    (scaling,) = found.scaling
    assert (scaling.workers, scaling.law, scaling.recommended_workers) == ((1, 2, 4), "amdahl", 4)
    assert found.answers[-1] == scaling.sentence
