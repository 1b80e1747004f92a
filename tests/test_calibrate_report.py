"""What a calibration should reach, and how it is told."""

import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from support.printed import broken_words

from loopwise.calibrate.calibration import QUICK, Effort
from loopwise.calibrate.cost import summarise
from loopwise.calibrate.peers import CostRound
from loopwise.calibrate.records import (
    DECLARED,
    FAST,
    STAMPED,
    Calibration,
    CostRatio,
    LatencyTruth,
    Missing,
    RowSize,
    ScheduleAccuracy,
    Spread,
    UserMemory,
)
from loopwise.calibrate.report import markdown, tables, write
from loopwise.calibrate.targets import judge
from loopwise.cli.calibrate import calibrate
from loopwise.errors import UsageError

ROUND = CostRound(requests=1000, errors=0, cpu_s=0.012, wall_s=1.0, server_cpu_s=0.5)


def latency(situation: Any, reported_us: float, packets_us: float | None, **more: Any) -> LatencyTruth:
    known = {} if packets_us is None else {"p50": packets_us, "p99": packets_us}
    fields: dict[str, Any] = {
        "tool": DECLARED,
        "situation": situation,
        "connections": 32,
        "throughput_rps": 1000.0,
        "rows": 500,
        "packet_requests": None if packets_us is None else 500,
        "packets_dropped": None if packets_us is None else 0,
        "reported_us": {"p50": reported_us, "p99": reported_us},
        "packets_us": known,
        "lag_us": {"p50": 5.0, "p99": 9.0},
    }
    return LatencyTruth(**(fields | more))


def ratio(above: str, below: str, *values: float) -> CostRatio:
    return CostRatio(numerator=above, denominator=below, ratio=Spread.of(values))


def calibration(**more: Any) -> Calibration:
    """One that reaches everything."""
    fields: dict[str, Any] = {
        "created_at": "2026-11-22T12:00:00+00:00",
        "duration_s": 100.0,
        "seed": 1,
        "window_s": 1.5,
        "environment": {"cpu_model": "a | b", "cores": 2, "system": "Linux", "python": "CPython 3.11"},
        "server": "nginx/1.26.3",
        "server_core": 0,
        "generator_core": 1,
        "steal_ratio": 0.01,
        "cost": summarise([DECLARED, FAST], {DECLARED: {1: ROUND}, FAST: {1: ROUND}}),
        "ratios": (
            ratio(DECLARED, "wrk", 1.4, 1.5, 1.55),
            ratio(FAST, DECLARED, 26, 28),
            ratio(FAST, STAMPED, 6.5, 7),
        ),
        "latency": (latency("steady", 60, 50), latency("saturated", 5040, 5000)),
        "schedule": tuple(
            ScheduleAccuracy(rate_rps=rate, due=100, sent=100, late_us={"p50": 5.0, "p99": 90.0, "max": 700.0})
            for rate in (200.0, 2000.0)
        ),
        "memory": UserMemory(users=10_000, growth_bytes=26_000_000, bytes_per_user=2600.0),
        "row_sizes": (RowSize(load="closed", rows=1000, bytes_per_row=7.0),),
    }
    found = Calibration(**(fields | more))
    return found.model_copy(update={"targets": judge(found)})


def test_everything_that_is_reached_is_met() -> None:
    assert {each.state for each in calibration().targets} == {"met"}


MISSED: list[tuple[dict[str, Any], str]] = [
    ({"ratios": (ratio(DECLARED, "wrk", 1.7, 1.8, 1.9),)}, "÷ wrk"),
    ({"ratios": (ratio(FAST, DECLARED, 10),)}, f"{FAST} ÷ {DECLARED}"),
    ({"ratios": (ratio(FAST, STAMPED, 2),)}, f"÷ {STAMPED}"),
    ({"latency": (latency("steady", 90, 50),)}, "p50 against the packets, steady"),
    ({"latency": (latency("saturated", 5100, 5000),)}, "p99 against the packets, saturated"),
    ({"latency": (latency("steady", 50, 50, packet_requests=501),)}, "rows ÷ requests in the packets"),
    (
        {"schedule": (ScheduleAccuracy(rate_rps=2000, due=100, sent=99, late_us={"p99": 600.0}),)},
        "sent ÷ scheduled",
    ),
    (
        {"schedule": (ScheduleAccuracy(rate_rps=2000, due=100, sent=100, late_us={"p99": 600.0}),)},
        "sent − scheduled p99",
    ),
    ({"memory": UserMemory(users=10_000, growth_bytes=1, bytes_per_user=5000.0)}, "idle virtual user"),
    ({"row_sizes": (RowSize(load="open", rows=10, bytes_per_row=12.5),)}, "disk per row"),
]


@pytest.mark.parametrize(("found", "figure"), MISSED, ids=[figure for _, figure in MISSED])
def test_a_figure_beyond_its_limit_is_not_met(found: dict[str, Any], figure: str) -> None:
    states = [each.state for each in calibration(**found).targets if figure in each.figure]
    assert states == ["not met"]


def test_what_could_not_be_measured_is_said_and_never_met() -> None:
    nothing = {"cost": (), "ratios": (), "latency": (), "schedule": (), "memory": None, "row_sizes": ()}
    targets = calibration(**nothing).targets
    assert {each.state for each in targets} == {"not measured"}
    assert all(each.detail for each in targets)


def test_without_a_capture_latencies_are_shown_but_not_judged() -> None:
    found = calibration(latency=(latency("steady", 60, None),))
    states = {each.state for each in found.targets if "packets" in each.figure}
    assert states == {"not measured"}
    assert "60.0 µs" in markdown(found)


def test_rounds_on_both_sides_of_a_limit_are_pointed_out() -> None:
    (target,) = [t for t in calibration(ratios=(ratio(DECLARED, "wrk", 1.5, 1.7),)).targets if "wrk" in t.figure]
    assert "the rounds differ" in target.detail


def test_dropped_packets_are_told_beside_the_figures_they_spoil() -> None:
    found = calibration(latency=(latency("steady", 50, 50, packets_dropped=7),))
    assert any("dropped 7 packets" in each.detail for each in found.targets)


def test_the_report_names_what_is_missing_and_what_failed(tmp_path: Path) -> None:
    found = calibration(
        missing=(Missing(tool="hey", effect="not set against it", remedy="apt install hey"),),
        problems=("CPU per request of wrk: it hung",),
        server_core=None,
    )
    write(found, tmp_path / "out")
    page = (tmp_path / "out" / "calibration.md").read_text(encoding="utf-8")
    assert broken_words(tables(found)) == []
    console = Console(width=200, record=True, file=(tmp_path / "terminal").open("w", encoding="utf-8"))
    console.print(tables(found))
    console.file.close()
    for text in (page, console.export_text()):
        for word in ("apt install hey", "it hung", "shared one core", "1.50 [1.40, 1.55]", "90.0 µs"):
            assert word in text
    assert Calibration.model_validate(json.loads((tmp_path / "out" / "calibration.json").read_text("utf-8"))) == found


def test_a_cell_cannot_break_the_markdown_table() -> None:
    found = calibration(problems=(), missing=(Missing(tool="a|b", effect="c\nd", remedy="e"),))
    assert "| a/b | c d | e |" in markdown(found)


def test_a_folder_that_is_not_empty_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("x", encoding="utf-8")
    with pytest.raises(UsageError, match="not an empty folder"):
        calibrate(tmp_path, quick=True)


@pytest.mark.parametrize(("problems", "status"), [((), 0), (("memory per user: it failed",), 3)])
def test_the_command_writes_a_report_and_fails_with_its_steps(
    problems: tuple[str, ...],
    status: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked: list[Effort] = []
    found = calibration(problems=problems)

    def measure(effort: Effort, **_: Any) -> Calibration:
        asked.append(effort)
        return found

    monkeypatch.setattr("loopwise.calibrate.calibration.calibrate", measure)
    out = tmp_path / "out"
    ended = calibrate(out, quick=True, seconds=0.2, as_json=True)
    assert ended == status
    assert asked == [QUICK._replace(window_s=0.2)]
    assert Calibration.model_validate_json(capsys.readouterr().out) == found
    assert {path.name for path in out.iterdir()} == {"calibration.json", "calibration.md"}
