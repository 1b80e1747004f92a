"""An experiment on fakes: every run on disk as soon as it ended, nothing measured twice, nothing lost."""

import math
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from support.experiment import Crash, Observer, figures_of, states
from support.fakes import (
    HOST,
    THREE_CONDUCTS,
    Conduct,
    FakeBench,
    carry_out,
    case_of,
    machine_of,
    measured,
    new_result,
    rows_by,
    suite_with,
    three_modes,
)

from loopwise.analysis.summary import summarise
from loopwise.errors import EndpointError, ServerError
from loopwise.measure.experiment import Execution, design
from loopwise.measure.plan import plan
from loopwise.model import Command, Endpoint, Experiment, Load
from loopwise.report.terminal.progress import Quiet
from loopwise.results.folder import ResultFolder
from loopwise.servers.lifecycle import serve

DEAD = ServerError("the server ended with status 1 before it answered")
MODES = ("sync", "async", "to_thread")


def executed(
    folder: Path, conducts: dict[str, Conduct] | None = None, **options: Any
) -> tuple[ResultFolder, Experiment, FakeBench]:
    result, experiment = new_result(folder / "r", three_modes(**options))
    bench = FakeBench(THREE_CONDUCTS | (conducts or {}))
    return result, carry_out(result, experiment, bench), bench


def test_every_run_is_on_disk_when_it_is_told_to_have_ended(tmp_path: Path) -> None:
    result, experiment = new_result(tmp_path / "r", three_modes())
    observer = Observer(result)
    carry_out(result, experiment, FakeBench(THREE_CONDUCTS), observer)
    assert observer.on_disk == observer.states == list(range(1, 10))
    order = [planned.case_id for planned in experiment.plan]
    assert observer.told == [
        (what, case_id, position) for position, case_id in enumerate(order, start=1) for what in ("began", "ended")
    ]
    assert {event.event for event in observer.events} == {"progress", "window_opened", "window_closed"}
    assert all(throughput for throughput in observer.throughputs)


def test_runs_follow_the_plan_each_on_a_server_of_its_own(tmp_path: Path) -> None:
    result, experiment, bench = executed(tmp_path)
    planned = [(each.case_id, each.replicate) for each in experiment.plan]
    assert bench.served == planned
    assert [(run.case.case_id, run.replicate) for run in result.runs()[0]] == planned
    assert [run.order for run in result.runs()[0]] == list(range(1, 10))


def test_a_run_holds_what_was_measured(tmp_path: Path) -> None:
    result, experiment, _ = executed(tmp_path)
    run = result.runs()[0][0]
    assert run.status == "ok"
    assert run.window is not None
    assert run.window.duration_s == run.case.load.measure_s
    assert run.host.model_dump() == HOST
    assert run.server.argv == ("fake",)
    assert run.generator.stamp == "kernel"
    assert run.generator.users == run.case.load.users
    assert run.counts["rows"] == result.samples(run).num_rows > run.counts["window_rows"] > 0
    assert run.counts["unfinished"] == 0
    assert {check.name for check in run.checks} >= {"errors", "rows", "littles_law", "steal"}
    folder = result.run_folder(run.case.case_id, run.replicate)
    assert {path.name for path in folder.iterdir()} == {
        "run.json",
        "samples.parquet",
        "server.log",
        "telemetry.parquet",
    }
    assert experiment.finished_at is not None
    assert result.experiment() == experiment


def test_the_experiments_seed_gives_every_run_a_seed_of_its_own(tmp_path: Path) -> None:
    seeds = [[order.seed for order in executed(tmp_path / name)[2].orders] for name in ("a", "b")]
    assert seeds[0] == seeds[1]
    assert len(set(seeds[0])) == 9


def test_the_scratch_folder_of_a_run_is_gone_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    executed(tmp_path, {"async": Conduct(faults={1: DEAD}), "sync": Conduct(deaths=frozenset({2}))})
    assert not list((tmp_path / "scratch").iterdir())


def test_a_failing_case_stops_no_other_and_is_not_tried_for_ever(tmp_path: Path) -> None:
    result, experiment, bench = executed(
        tmp_path, {"async": Conduct(faults=dict.fromkeys(range(1, 6), DEAD))}, replicates=(5, 5)
    )
    assert [replicate for case_id, replicate in bench.served if case_id == "async"] == [1, 2]
    found = {(run.case.case_id, run.replicate): run for run in result.runs()[0]}
    assert len(found) == 15
    assert found["async", 1].error == str(DEAD)
    assert found["async", 3].error == ("not tried again, because earlier runs of this case failed; see their errors")
    assert {run.status for key, run in found.items() if key[0] != "async"} == {"ok"}
    assert set(states(experiment).values()) == {"ok", "failed"}


def test_one_failure_between_successes_is_forgiven(tmp_path: Path) -> None:
    _, experiment, bench = executed(tmp_path, {"async": Conduct(faults={1: DEAD, 3: DEAD, 5: DEAD})}, replicates=(6, 6))
    assert [replicate for case_id, replicate in bench.served if case_id == "async"] == [1, 2, 3, 4, 5, 6]
    assert [states(experiment)["async", k] for k in range(1, 7)] == ["failed", "ok"] * 3


def test_a_wrong_answer_is_not_asked_for_twice(tmp_path: Path) -> None:
    wrong = EndpointError("GET /x: answered 404 Not Found, expected 2xx")
    _, _, bench = executed(tmp_path, {"async": Conduct(faults=dict.fromkeys((1, 2, 3), wrong))})
    assert [replicate for case_id, replicate in bench.served if case_id == "async"] == [1]


def test_a_case_that_only_fails_gets_no_further_blocks(tmp_path: Path) -> None:
    _, experiment, _ = executed(
        tmp_path,
        {"async": Conduct(faults=dict.fromkeys(range(1, 9), DEAD)), "sync": Conduct(noise_ratio=0.5)},
        replicates=(3, 8),
    )
    assert max(replicate for case_id, replicate in states(experiment) if case_id == "async") == 3
    assert max(replicate for case_id, replicate in states(experiment) if case_id == "sync") == 8


def test_further_blocks_follow_until_precise_also_after_a_crash(tmp_path: Path) -> None:
    conducts = THREE_CONDUCTS | {"async": Conduct(900.0, noise_ratio=0.4)}
    suite = three_modes(replicates=(3, 6))
    whole = measured(tmp_path / "whole" / "r", suite, conducts)
    assert len(whole.experiment().plan) == 3 * 3 + 2 * 3
    result, experiment = new_result(tmp_path / "cut" / "r", suite)
    with pytest.raises(Crash):
        carry_out(result, experiment, FakeBench(conducts), Observer(result, crash_after=10))
    carry_out(result, result.experiment(), FakeBench(conducts))
    assert states(result.experiment()) == states(whole.experiment())
    assert figures_of(result) == figures_of(whole)


def test_invalid_runs_are_kept_marked_and_in_no_estimate(tmp_path: Path) -> None:
    result, experiment, _ = executed(
        tmp_path, {"async": Conduct(900.0, generator_cpu_ratio=0.97), "sync": Conduct(error_ratio=0.5)}
    )
    assert {key[0] for key, state in states(experiment).items() if state == "invalid"} == {"async", "sync"}
    runs = [run for run in result.runs()[0] if run.case.case_id == "async"]
    assert all(result.samples(run).num_rows for run in runs)
    summary = summarise(result)
    table = rows_by(summary.table, "case_id", "metric")
    row = table["async", "throughput_rps"]
    assert math.isnan(row["value"])
    assert not row["valid"]
    assert row["reason"].startswith("generator_cpu: the generator used 97 % of a core")
    assert table["sync", "throughput_rps"]["reason"].startswith("errors: ")
    assert len(summary.cases["async"].spoilt) == 3
    assert {verdict.verdict for verdict in summary.verdicts} == {"invalid"}


def test_one_invalid_run_leaves_the_estimate_to_the_others(tmp_path: Path) -> None:
    result = measured(tmp_path / "r")
    run = next(run for run in result.runs()[0] if run.case.case_id == "async" and run.replicate == 2)
    spoilt = run.checks[0].model_copy(update={"ok": False, "effect": "void", "detail": "it was so"})
    result.write_run(run.model_copy(update={"status": "invalid", "checks": (spoilt,)}))
    found = summarise(result).cases["async"]
    assert set(found.values("throughput_rps")) == {1, 3}
    known = found.estimate("throughput_rps", 0.95)
    assert known is not None
    assert known.replicates == 2
    assert found.reason == ""


def test_rows_survive_the_death_of_the_generator(tmp_path: Path) -> None:
    result, experiment, _ = executed(tmp_path, {"async": Conduct(900.0, deaths=frozenset({2}))})
    assert states(experiment)["async", 2] == "failed"
    run = next(run for run in result.runs()[0] if run.status == "failed")
    assert run.error is not None
    assert run.error.startswith("the generator ended with status -9")
    rows = result.samples(run)
    assert rows.num_rows > 100
    assert not list(result.run_folder("async", 2).glob("*.arrow"))
    telemetry = pq.read_table(result.run_folder("async", 2) / "telemetry.parquet")
    assert telemetry.num_rows > 0
    assert states(experiment)["async", 3] == "ok"


def test_a_generator_that_never_opened_a_window_fails_the_run(tmp_path: Path) -> None:
    result, _, _ = executed(tmp_path, {"async": Conduct(is_windowless=True)})
    errors = {run.error for run in result.runs()[0] if run.replicate == 1 and run.case.case_id == "async"}
    assert errors == {"the generator ended without a window; see generator.log"}


def test_victim_rows_and_a_mix_go_through_the_whole_pipeline(tmp_path: Path) -> None:
    case = case_of(
        "mix",
        "sync",
        load=Load(users=10, measure_s=0.5, victim="/health"),
        endpoints=(Endpoint(path="/a", weight=3), Endpoint(path="/b")),
    )
    result = measured(tmp_path / "r", suite_with(case))
    summary = summarise(result)
    assert set(summary.table["endpoint"]) == {"GET /a", "GET /b", "all"}
    row = rows_by(summary.table, "endpoint", "metric")["all", "victim_p99_ms"]
    assert row["value"] == pytest.approx(1.5)
    assert {check.name for check in summary.runs[0].checks if not check.ok} == set()


def test_a_design_decides_everything_before_the_first_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loopwise.servers.target.calibrate", lambda: {"cpu_iterations_per_ms": 9.0})
    suite = three_modes(seed=5)
    found = design(suite, seed=None, label="before", name="fake-1")
    assert (found.seed, found.label, found.name, found.suite) == (5, "before", "fake-1", suite)
    assert found.plan == plan(suite, 5)
    assert found.calibration == {}
    assert {"cpu_model", "cores", "python", "versions"} <= set(found.environment)
    assert design(suite, seed=0, label=None, name="x").seed == 0
    busy = suite_with(case_of("c", "sync", workload="cpu"))
    assert design(busy, seed=None, label=None, name="x").calibration == {"cpu_iterations_per_ms": 9.0}


def test_an_execution_starts_real_servers_unless_told_otherwise(tmp_path: Path) -> None:
    result, experiment = new_result(tmp_path / "r", three_modes())
    assert Execution(result, experiment, FakeBench(), Quiet()).serve is serve


def with_command(folder: Path, text: str) -> Experiment:
    command = Command(text=text, folder=str(folder))
    suite = three_modes()
    cases = tuple(each.model_copy(update={"before_replicate": command}) for each in suite.cases)
    return new_result(folder / "r", suite.model_copy(update={"cases": cases}))[1]


def test_a_command_before_a_replicate_waits_for_the_end_of_earlier_runs(tmp_path: Path) -> None:
    experiment = with_command(tmp_path, "ls r/runs/*/*/run.json 2>/dev/null | wc -l >> seen")
    bench = FakeBench()
    with machine_of(bench):
        Execution(ResultFolder(tmp_path / "r"), experiment, bench, Quiet(), serve=bench.serve, ahead=4).run()
    assert [int(line) for line in (tmp_path / "seen").read_text().split()] == list(range(9))


def test_nothing_is_measured_after_a_command_that_failed(tmp_path: Path) -> None:
    bench = FakeBench()
    carry_out(ResultFolder(tmp_path / "r"), with_command(tmp_path, "exit 4"), bench)
    runs, _ = ResultFolder(tmp_path / "r").runs()
    assert {each.status for each in runs} == {"failed"}
    assert "ended with status 4, so nothing was measured" in (runs[0].error or "")
    assert (bench.served, bench.orders) == ([], [])
