"""Two versions head to head, by the command itself on a fake bench: design, effort, gates, files and bad input."""

import json
from pathlib import Path

import pytest
from support.duel import (
    BASE,
    OTHER,
    SHORT,
    Fight,
    X,
    Y,
    calm,
    fighting,
    furnished,
    rounds_of,
    verdicts_of,
)
from support.fakes import case_of

from loopwise.analysis.metrics import COMPARED
from loopwise.analysis.verdicts import judge_rounds
from loopwise.measure import duel
from loopwise.model import SIDES, TOTAL
from loopwise.results.folder import ResultFolder


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return furnished(tmp_path)


@pytest.fixture
def fight(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Fight:
    return fighting(monkeypatch, capsys)


def test_a_duel_is_an_experiment_of_two_cases_without_runs(fight: Fight) -> None:
    ended = fight(f"{SHORT} --margin 0.02 --seed 7 --label mine --rounds 5")
    assert ended.status == 0, ended.err
    found = ResultFolder(Path("duel")).experiment()
    assert (found.name, found.label, found.seed, found.plan) == ("duel", "mine", 7, ())
    assert found.command == f"loopwise duel {SHORT} --margin 0.02 --seed 7 --label mine --rounds 5"
    assert found.suite.compare.margin == 0.02
    assert (found.suite.replicates.min, found.suite.replicates.max) == (5, 5)
    assert found.suite.replicates.target_half_width == duel.Effort().half_width
    assert [case.case_id for case in found.suite.cases] == [BASE, OTHER]
    assert {case.load for case in found.suite.cases} == {found.suite.cases[0].load}
    load = found.suite.cases[0].load
    assert (load.users, load.measure_s, load.warmup_s) == (4, 0.5, duel.WARMUP_S)
    assert found.finished_at is not None
    assert {"cpu_model", "cores", "python"} <= set(found.environment)


def test_both_apps_are_imported_from_paths_of_equal_length(fight: Fight, place: Path) -> None:
    (place / "a-much-longer-name").mkdir()
    assert fight(f"{SHORT} --candidate-app-dir a-much-longer-name --rounds 2").status == 0
    apps = [case.app for case in ResultFolder(Path("duel")).experiment().suite.cases]
    assert len({len(app.app_dir) for app in apps if app}) == 1


def test_sides_swap_start_and_order_from_round_to_round(fight: Fight) -> None:
    ended = fight(f"{SHORT} --rounds 4", calm(noise_ratio=0.2))
    assert [each.first for each in rounds_of()] == [*SIDES, *SIDES]
    assert [order.rival.first for order in ended.bench.orders if order.rival] == [*SIDES, *SIDES]
    assert ended.bench.served == [
        *((BASE, 1), (OTHER, 1), (OTHER, 2), (BASE, 2)),
        *((BASE, 3), (OTHER, 3), (OTHER, 4), (BASE, 4)),
    ]
    # Whoever starts first, the order's own server is the baseline.
    assert all(order.rival and order.rival.slice_s is None for order in ended.bench.orders)
    assert len({order.seed for order in ended.bench.orders}) == 4


# noise of a round's rate, --rounds -> rounds: from six on, until both ratios are known to half a percent
EFFORTS = [(0.0, 10, 6), (0.0, 2, 2), (0.2, 7, 7), (0.2, 10, 10), (0.004, 10, range(7, 10))]


@pytest.mark.parametrize(("noise", "most", "rounds"), EFFORTS)
def test_rounds_end_when_the_ratio_is_precise_or_at_the_maximum(
    fight: Fight, noise: float, most: int, rounds: int | range
) -> None:
    ended = fight(f"{SHORT} --rounds {most}", calm(noise_ratio=noise), calm(noise_ratio=noise))
    count = len(ended.bench.orders)
    assert count in (rounds if isinstance(rounds, range) else [rounds])
    assert ended.out.count(f" of at most {most}: throughput ×") == count
    words = {(each["verdict"], each["replicates"]) for each in verdicts_of().values()}
    assert {number for _, number in words} == {count}


def test_a_faster_side_takes_no_more_rounds_than_an_equal_one(fight: Fight) -> None:
    counts = [len(fight(f"{SHORT}-{rate} --rounds 10", calm(), calm(rate)).bench.orders) for rate in (400, 800)]
    # Precision alone decides; the larger count of rows is no reason to stop, the ratio neither.
    assert abs(counts[0] - counts[1]) <= 1


def test_verdicts_are_per_endpoint_and_metric(fight: Fight) -> None:
    ended = fight(f"{SHORT} --endpoint /y --rounds 4", calm(), calm(360.0, cpu_ms=1.2))
    assert ended.status == 0, ended.err
    found = verdicts_of()
    timed = {metric for metric in COMPARED if metric != "cpu_ms_per_request"}
    wanted = {(endpoint, metric) for endpoint in (TOTAL, "GET /x", "GET /y") for metric in timed}
    assert set(found) == wanted | {(TOTAL, "cpu_ms_per_request")}
    assert {row["pairing"] for row in found.values()} == {"duel"}
    rates = [found[endpoint, "throughput_rps"] for endpoint in (TOTAL, "GET /x", "GET /y")]
    assert [row["verdict"] for row in rates] == ["worse"] * 3
    assert found[TOTAL, "throughput_rps"]["ratio"] == pytest.approx(0.9, rel=0.01)
    assert found[TOTAL, "cpu_ms_per_request"]["ratio"] == pytest.approx(1.2, rel=0.01)
    assert found["GET /y", "service_time_p50_ms"]["ratio"] == pytest.approx(1 / 0.9, rel=0.03)
    assert "measured side by side" in found[TOTAL, "throughput_rps"]["reason"]
    assert f"{OTHER} costs 1.2 times" in " ".join(ended.out.split())
    assert f"CPU of both that {OTHER} got: 51." in ended.out  # 360 × 1.2 of 832


def test_json_is_the_verdicts_and_nothing_else(fight: Fight) -> None:
    ended = fight(f"{SHORT} --rounds 3 --json")
    rows = json.loads(ended.out)
    assert rows == list(verdicts_of().values())
    assert [each.model_dump() for each in judge_rounds(rounds_of(), margin=duel.MARGIN, confidence=0.95)] == rows
    assert not ended.err


def test_quiet_prints_the_table_and_the_path_but_no_rounds(fight: Fight) -> None:
    out = fight(f"{SHORT} --rounds 3 --quiet").out
    assert "of at most" not in out
    assert f"{OTHER} ÷ {BASE}" in out
    assert "result: duel" in out


def test_a_suites_cases_are_asked_what_they_say_by_as_many_users(fight: Fight) -> None:
    ended = fight(f"{X} {Y} --suite suite.toml --seconds 0.5 --users 99 --rounds 3 --out duel")
    assert ended.status == 0, ended.err
    cases = ResultFolder(Path("duel")).experiment().suite.cases
    assert [case.case_id for case in cases] == [X, Y]
    assert [case.endpoints[0].path for case in cases] == ["/x", "/y"]
    # The suite's users and nobody else; the duel's time.
    assert {(case.load.users, case.load.measure_s, case.load.victim) for case in cases} == {(8, 0.5, None)}
    order = ended.bench.orders[0]
    assert order.rival is not None
    assert [order.endpoints[0].path, order.rival.endpoints[0].path] == ["/x", "/y"]


@pytest.mark.parametrize(
    "line",
    [f"{X} {X} --suite suite.toml --seconds 0.5", "old:app old:app --endpoint /x --seconds 0.5 --users 4"],
    ids=["case", "app"],
)
def test_the_same_app_on_both_sides_shows_no_difference(fight: Fight, line: str) -> None:
    ended = fight(f"{line} --rounds 4 --out duel")
    assert ended.status == 0, ended.err
    names = [case.case_id for case in ResultFolder(Path("duel")).experiment().suite.cases]
    assert [name.rpartition("-")[2] for name in names] == ["base", "candidate"]
    assert len(rounds_of()) == 4
    assert verdicts_of()[TOTAL, "throughput_rps"]["ratio"] == pytest.approx(1.0, rel=0.05)
    assert verdicts_of()[TOTAL, "throughput_rps"]["ratio"] != 1.0


def test_precise_means_both_throughput_and_cpu(fight: Fight) -> None:
    fight(f"{SHORT} --rounds 6", calm(noise_ratio=0.0), calm(noise_ratio=0.0))
    verdicts = judge_rounds(rounds_of(), margin=0.01, confidence=0.95)
    assert duel.is_precise(verdicts, 0.005)
    assert not duel.is_precise(verdicts, 1e-9)
    assert not duel.is_precise([], 0.5)
    wide = [
        each.model_copy(update={"ci_low": 0.5}) if each.metric == "cpu_ms_per_request" else each for each in verdicts
    ]
    assert not duel.is_precise(wide, 0.005)
    unknown = [each.model_copy(update={"ci_low": None, "ci_high": None}) for each in verdicts]
    assert not duel.is_precise(unknown, 0.5)


@pytest.mark.parametrize(("workload", "is_calibrated"), [("cpu", True), ("sleep", False)])
def test_a_duel_of_computing_routes_is_calibrated_once(
    monkeypatch: pytest.MonkeyPatch, workload: str, is_calibrated: bool
) -> None:
    monkeypatch.setattr("loopwise.servers.target.calibrate", lambda: {"cpu_iterations_per_ms": 9.0})
    sides = (case_of(name, workload=workload) for name in ("one", "two"))
    found = duel.design(*sides, name="d", margin=0.01, effort=duel.Effort(), seed=1, label=None)
    assert found.calibration == ({"cpu_iterations_per_ms": 9.0} if is_calibrated else {})
    assert found.suite.description == "two against one"
