"""What a side gave in a round, from rows alone; and when a round can be used."""

from pathlib import Path
from typing import Any

import pytest
from support.fakes import EPOCH_NS, FakeRow, table_of

from loopwise.analysis.checks import check_round
from loopwise.analysis.rounds import side_of
from loopwise.generator.protocol import Slice
from loopwise.model import SIDES, TOTAL, Round, Side, SideName

MS = 1_000_000


def at(side: SideName, start_ms: int, end_ms: int) -> Slice:
    return Slice(side, EPOCH_NS + start_ms * MS, EPOCH_NS + end_ms * MS)


SPAN = at("baseline", 0, 1000)


def answers(side: str, *times_ms: float, service_ms: float = 5, path: str = "/x", **options: Any) -> list[FakeRow]:
    return [FakeRow(int(time_ms * MS), int(service_ms * MS), f"{side} GET {path}", **options) for time_ms in times_ms]


def measured(rows: list[FakeRow], folder: Path, stretches: list[Slice], cpu_s: float | None = None) -> Side:
    return side_of(table_of(rows, folder), "baseline", stretches, cpu_s, SPAN)


def test_a_stretch_counts_from_an_answer_to_an_answer(tmp_path: Path) -> None:
    # An answer each 10 ms: whatever the slice's ends are, the rate is 100 a second.
    rows = answers("baseline", *range(0, 1000, 10))
    for start_ms, end_ms in ((100, 200), (101, 209), (109, 201), (105, 205)):
        side = measured(rows, tmp_path, [at("baseline", start_ms, end_ms)])
        assert side.metrics[TOTAL]["throughput_rps"] == pytest.approx(100.0)


def test_bursts_give_their_mean_rate_wherever_the_slice_begins(tmp_path: Path) -> None:
    # 40 answers together each 200 ms, as 40 threads under one GIL give them: 200 a second.
    rows = [row for time_ms in range(0, 1000, 200) for row in answers("baseline", *[time_ms] * 40)]
    for start_ms in (200, 201, 301, 399):
        side = measured(rows, tmp_path, [at("baseline", start_ms, start_ms + 450)])
        assert side.metrics[TOTAL]["throughput_rps"] == pytest.approx(200.0)


def test_the_other_sides_rows_and_slices_count_nothing(tmp_path: Path) -> None:
    rows = sorted(
        answers("baseline", *range(0, 1000, 10)) + answers("candidate", *range(0, 1000, 2), service_ms=50),
        key=lambda row: row.received_ns,
    )
    stretches = [at("baseline", 100, 200), at("candidate", 200, 600), at("baseline", 600, 700)]
    side = measured(rows, tmp_path, stretches)
    assert side.metrics[TOTAL]["throughput_rps"] == pytest.approx(100.0)
    assert side.metrics[TOTAL]["service_time_p99_ms"] == pytest.approx(5.0)
    assert side.counts["rows"] == 100


def test_a_canary_counts_from_when_it_was_due_and_is_no_load(tmp_path: Path) -> None:
    late = [
        FakeRow(time_ms * MS, 2 * MS, "baseline victim /health", scheduled_ns=(time_ms - waited_ms) * MS)
        for time_ms, waited_ms in ((150, 20), (195, 30), (700, 650), (900, 2))
    ]
    rows = answers("baseline", *range(0, 1000, 10), path="/x") + late
    side = measured(sorted(rows, key=lambda row: row.received_ns), tmp_path, [at("baseline", 100, 200)])
    assert set(side.metrics) == {TOTAL}
    assert side.metrics[TOTAL]["throughput_rps"] == pytest.approx(100.0)
    assert side.metrics[TOTAL]["victim_p99_ms"] == pytest.approx(30.0)
    assert side.counts["served"] == 100


def test_cpu_is_spread_over_all_requests_of_its_span(tmp_path: Path) -> None:
    rows = answers("baseline", *range(0, 1000, 10))
    side = measured(rows, tmp_path, [at("baseline", 100, 200)], cpu_s=0.5)
    assert side.counts["served"] == 100
    assert side.metrics[TOTAL]["cpu_ms_per_request"] == pytest.approx(5.0)


def test_failed_requests_count_as_errors_and_nothing_else(tmp_path: Path) -> None:
    good, bad = (
        answers("baseline", *range(0, 500, 10)),
        answers("baseline", 505, 507, error="status_500", status=500),
    )
    side = measured(good + bad + answers("baseline", 510), tmp_path, [at("baseline", 100, 600)], cpu_s=0.1)
    assert side.counts["errors"] == 2
    assert side.counts["served"] == 51
    assert side.metrics[TOTAL]["throughput_rps"] == pytest.approx(41 / 0.420)


def test_only_several_endpoints_are_listed_beside_the_whole(tmp_path: Path) -> None:
    one = measured(answers("baseline", *range(0, 500, 10)), tmp_path, [at("baseline", 100, 400)])
    assert set(one.metrics) == {TOTAL}
    rows = [
        row
        for time_ms in range(0, 500, 10)
        for row in (
            *answers("baseline", time_ms),
            *answers("baseline", time_ms + 5, path="/y", service_ms=20),
        )
    ]
    both = measured(rows, tmp_path, [at("baseline", 100, 400)])
    assert set(both.metrics) == {TOTAL, "GET /x", "GET /y"}
    assert both.metrics["GET /y"]["service_time_p50_ms"] == pytest.approx(20.0)
    whole = both.metrics[TOTAL]["throughput_rps"]
    assert whole == pytest.approx(sum(both.metrics[name]["throughput_rps"] for name in ("GET /x", "GET /y")))


def test_a_side_that_never_answered_has_a_throughput_of_zero(tmp_path: Path) -> None:
    side = measured(answers("candidate", 10, 20), tmp_path, [at("baseline", 0, 500)], cpu_s=0.1)
    assert side.metrics[TOTAL] == {"throughput_rps": 0.0}


GOOD = {"rows": 500, "window_rows": 400, "errors": 0, "served": 450}


def round_with(baseline: dict[str, int] = GOOD, candidate: dict[str, int] = GOOD, **options: Any) -> Round:
    return Round(
        pairing="duel",
        number=1,
        baseline_case="a",
        candidate_case="b",
        status="ok",
        started_at="2026-01-02T03:04:05.000+00:00",
        baseline=Side(counts=baseline),
        candidate=Side(counts=candidate),
        **{
            "generator": {"busiest_cpu_s": 0.3, "wall_s": 1.0, "clock_step_ms": 0.0, "longest_pause_s": 0.0},
            "host": {"steal_ratio": 0.0, "harness_pause_s": 0.1},
        }
        | options,
    )


BROKEN: list[tuple[str, Round, str]] = [
    ("errors", round_with(GOOD | {"errors": 5}), "void"),
    ("errors", round_with(candidate=GOOD | {"errors": 5}), "void"),
    ("rows", round_with(candidate=GOOD | {"window_rows": 19}), "void"),
    ("generator_cpu", round_with(generator={"busiest_cpu_s": 0.95, "wall_s": 1.0}), "void"),
    ("clock_step", round_with(generator={"clock_step_ms": -1.5}), "void"),
    ("paused", round_with(generator={"longest_pause_s": 0.6}), "void"),
    ("harness_paused", round_with(host={"harness_pause_s": 1.5}), "void"),
    ("steal", round_with(host={"steal_ratio": 0.3}), "flag"),
]


@pytest.mark.parametrize(("name", "found", "effect"), BROKEN)
def test_a_round_is_refused_or_flagged_as_a_run_would_be(name: str, found: Round, effect: str) -> None:
    broken = [check for check in check_round(found) if not check.ok]
    assert [(check.name, check.effect) for check in broken] == [(name, effect)]
    assert ";" in broken[0].detail


def test_a_round_without_blemish_passes_every_check() -> None:
    checks = check_round(round_with())
    assert {check.name for check in checks} == {
        "errors",
        "rows",
        "generator_cpu",
        "clock_step",
        "paused",
        "harness_paused",
        "steal",
    }
    assert all(check.ok and not check.detail for check in checks)


def test_what_nobody_measured_is_not_checked() -> None:
    assert {check.name for check in check_round(round_with(generator={}, host={}))} == {"errors", "rows"}
    assert len(SIDES) == 2
