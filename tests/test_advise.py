"""What is tried, confirmed and advised, from figures alone; and how it is told."""

import itertools
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from support.advise import FULL, HELD, POOL, SATURATED, SHOP, X, advised, case, rounds, run, seen, shop

from loopwise.advise.candidates import Candidate, grouped, mode_candidates, setting_candidates
from loopwise.advise.decide import Screened, decide, gain, gains, is_contested, judged, screened, winner
from loopwise.advise.diagnosis import Diagnosis, diagnose
from loopwise.advise.edits import go_together, patched, winning_patch, without_modes_of
from loopwise.advise.planning import Share, affordable, refuse_short
from loopwise.advise.rows import plain, read_rows, write_rows
from loopwise.advise.words import lines
from loopwise.cli.advise import parse_gain, refuse_other_than_app, worker_counts
from loopwise.errors import ResultError, UsageError
from loopwise.model import App, Cause, Endpoint, Round, Run, Server

DIAGNOSED = [
    (run(HELD), "loop_blocked", False),
    (run(SATURATED, HELD, cpu_s=0.95), "loop_blocked", True),
    (run(HELD.model_copy(update={"share": 0.06})), None, False),
    (run(FULL), "thread_pool_full", False),
    (run(FULL, POOL), None, False),
    (run(SATURATED, cpu_s=0.99), None, True),
    (run(), None, False),
]


@pytest.mark.parametrize(("measured", "cause", "computes"), DIAGNOSED)
def test_only_what_a_change_may_lift_is_a_cause(measured: Run, cause: str | None, computes: bool) -> None:
    found = diagnose(measured, 50.0)
    assert (found.cause and found.cause.cause, found.computes, found.fault) == (cause, computes, "")


def test_what_others_have_too_few_of_is_told_with_its_remedy_and_not_tried() -> None:
    found = diagnose(run(FULL, POOL), 50.0)
    assert found.note == "pool of 5 full: raise the pool above 5"


def test_a_run_without_figures_is_a_fault() -> None:
    failed = run(status="failed", error="GET /x: answered 500", window=None)
    assert diagnose(failed, None).fault == "GET /x: answered 500"


OFFERED = [
    (HELD, False, ["def", "2 workers"]),
    (HELD, True, ["def", "process pool", "2 workers"]),
    (FULL, False, ["80 threads", "2 workers"]),
    (None, True, []),
]


@pytest.mark.parametrize(("cause", "computes", "changes"), OFFERED)
def test_a_cause_has_its_candidates_and_no_cause_has_none(
    cause: Cause | None, computes: bool, changes: list[str]
) -> None:
    diagnosis = Diagnosis(cause, computes=computes)
    found = [*mode_candidates(X, diagnosis), *setting_candidates(X, diagnosis, case(), (1, 2))]
    assert [each.change for each in found] == changes


def test_a_candidate_changes_its_case_and_nothing_else() -> None:
    written = case()
    moded = Candidate(X, "mode", "def", mode="sync").applied(written)
    assert moded == written.model_copy(update={"mode": "sync"})
    threads = Candidate(X, "setting", "80 threads", settings={"threads": 80}).applied(written)
    assert threads.server == Server(threads=80)
    assert threads.model_copy(update={"server": Server()}) == written


def test_one_server_serves_changes_of_one_kind_of_different_endpoints() -> None:
    def of(path: str, change: str, mode: str) -> Candidate:
        return Candidate(Endpoint(path=path), "mode", change, mode=mode)

    a, b, c = of("/a", "def", "sync"), of("/b", "def", "sync"), of("/a", "pool", "process")
    workers = Candidate(Endpoint(path="/a"), "setting", "2 workers", settings={"workers": 2})
    assert grouped([a, c, workers, b]) == [[a, b], [c], [workers]]
    assert grouped([a, of("/a", "other", "sync")]) == [[a], [of("/a", "other", "sync")]]


def test_a_held_line_gives_edits_and_modes_that_they_are_as_well_are_dropped(tmp_path: Path) -> None:
    edits = shop(tmp_path)["/x"]
    assert [each.change for each in edits] == [
        "await asyncio.sleep(0.02)",
        "await asyncio.to_thread(time.sleep, 0.02)",
        "def x()",
    ]
    others = [*mode_candidates(X, Diagnosis(HELD, computes=True)), Candidate(X, "setting", "2 workers")]
    assert [each.change for each in without_modes_of(others, edits)] == ["process pool", "2 workers"]


def test_edits_of_several_endpoints_make_one_patch_of_a_server(tmp_path: Path) -> None:
    found = shop(tmp_path)
    first, other = found["/x"][0], found["/y"][1]
    assert grouped([first, other], go_together) == [[first, other]]
    assert not go_together([first, found["/x"][1]])
    written = case(app=App(target="shop:app", app_dir=str(tmp_path), python="/usr/bin/python3"))
    changed = patched(written, [first, other])
    assert changed.patch is not None
    assert [each.path for each in changed.patch.files] == ["shop.py"]
    assert "+    await asyncio.sleep(0.02)" in changed.patch.text
    assert "+    await asyncio.to_thread(time.sleep, 0.01)" in changed.patch.text
    assert patched(written, [Candidate(X, "mode", "def", mode="sync")]) == written


@pytest.mark.parametrize("command", [("git", "apply"), ("patch", "-p1", "-i")])
def test_the_winning_patch_applies_to_a_copy(tmp_path: Path, command: tuple[str, ...]) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    found = shop(tmp_path)
    text = winning_patch([found["/x"][0], found["/y"][2], Candidate(X, "setting", "2 workers")])
    copy = tmp_path / "copy"
    copy.mkdir()
    shutil.copy(tmp_path / "shop.py", copy)
    (tmp_path / "fix.diff").write_text(text)
    subprocess.run([*command, str(tmp_path / "fix.diff")], cwd=copy, check=True, capture_output=True)
    source = (copy / "shop.py").read_text()
    compile(source, "shop.py", "exec")
    assert "    # waits\n    await asyncio.sleep(0.02)" in source
    assert "\ndef y() -> str:" in source
    assert (tmp_path / "shop.py").read_text() == SHOP
    assert winning_patch([Candidate(X, "setting", "2 workers")]) == ""


WINNERS = [
    ([seen("def", "mode", 6.0), seen("2 workers", "setting", 1.9)], "def"),
    ([seen("def", "mode", 6.0), seen("edit", "edit", 5.6)], "edit"),
    ([seen("def", "mode", 9.0), seen("edit", "edit", 5.6)], "def"),
    ([seen("def", "mode", 1.02), seen("edit", "edit", None)], None),
    ([seen("def", "mode", 0.99, 8.0), seen("2 workers", "setting", 1.01, 1.2)], "def"),
    ([seen("def", "mode", 0.6, 8.0)], None),
    ([], None),
]


@pytest.mark.parametrize(("found", "change"), WINNERS)
def test_the_winner_gains_most_or_is_preferred_among_equals_or_calms(found: list[Screened], change: str | None) -> None:
    best = winner(found)
    assert (best and best.candidate.change) == change


def test_only_changes_of_one_kind_are_looked_at_again() -> None:
    assert is_contested([seen("a", "edit", 6.0), seen("b", "edit", 5.7)])
    assert not is_contested([seen("a", "edit", 6.0), seen("b", "mode", 5.9)])
    assert not is_contested([seen("a", "edit", 6.0), seen("b", "edit", 2.0)])


def test_figures_of_void_rounds_are_not_taken_for_a_gain() -> None:
    void = [each.model_copy(update={"status": "invalid", "error": "rows: only 9"}) for each in rounds(9.0)]
    assert screened(Candidate(X, "mode", "def"), void).fault == "rows: only 9"
    assert gain([*void, *rounds(2.0)]) == pytest.approx(2.0)


DECISIONS = [
    (rounds(6.0, 6.1, 5.9), True, "throughput_rps", ""),
    (rounds(1.02, 1.01, 0.99), False, "throughput_rps", ""),
    (rounds(6.0, 0.9, 3.0), False, "throughput_rps", ""),
    (rounds(6.0, 6.1), False, "throughput_rps", ""),
    (rounds(1.01, 1.0, 0.99, calm=100.0), True, "victim_p99_ms", ""),
    (rounds(0.7, 0.71, 0.7, calm=100.0), False, "throughput_rps", ""),
    (rounds(0.97, 0.88, 0.59, calm=100.0), False, "throughput_rps", "it spares the canary, and may cost requests"),
    (rounds(6.0, 6.1, 5.9, calm=0.01), False, "throughput_rps", "its gain costs the canary"),
]


@pytest.mark.parametrize(("measured", "advised", "metric", "reason"), DECISIONS)
def test_advice_needs_an_interval_beyond_the_margin(
    measured: list[Round], advised: bool, metric: str, reason: str
) -> None:
    if len(measured) == 2:  # two rounds so close have an interval, but a wide one
        measured = rounds(2.0, 6.1)
    decision = decide(judged(measured)["get-x", "get-x-changed-1"], {})
    assert (decision.is_advised, decision.verdict.metric, decision.reason) == (advised, metric, reason)


def test_a_gain_that_costs_another_endpoint_is_not_advised() -> None:
    beside = ("get-y", "get-y-beside-1")
    found = judged([*rounds(6.0, 6.1, 5.9), *rounds(0.5, 0.51, 0.5, names=beside)])
    decision = decide(found["get-x", "get-x-changed-1"], {"GET /y": found[beside].throughput})
    assert not decision.is_advised
    assert decision.reason == "its gain costs others: GET /y (0.50 times the requests)"


@pytest.mark.parametrize("seed", range(5))
def test_rounds_of_equal_sides_are_never_advised(seed: int) -> None:
    scatter = itertools.islice(itertools.cycle([1.04, 0.97, 1.0, 0.95, 1.03, 0.99]), seed, seed + 4)
    decision = decide(judged(rounds(*scatter))["get-x", "get-x-changed-1"], {})
    assert not decision.is_advised


AFFORDABLE = [
    ([Share(10, 50.0, 2)], 1000.0, [2]),
    ([Share(10, 50.0, 2)], 1.0, [0]),
    ([Share(10, 50.0, 1), Share(10, 50.0, 1)], 23.0, [1, 0]),
    ([Share(10, 50.0, 3), Share(10, 50.0, 1)], 39.0, [2, 1]),
    ([], 100.0, []),
]


@pytest.mark.parametrize(("shares", "left_s", "counts"), AFFORDABLE)
def test_every_endpoint_gets_its_first_candidate_before_any_gets_a_second(
    shares: list[Share], left_s: float, counts: list[int]
) -> None:
    assert affordable(shares, left_s) == counts


def test_rows_are_the_best_advice_first_then_what_is_left_and_untried() -> None:
    rows = advised()
    assert [(row.endpoint, row.change, row.outcome) for row in rows] == [
        ("GET /x", "def", "advised"),
        ("GET /x", "2 workers", "tried"),
        ("GET /x", "process pool", "failed"),
        ("GET /y", "80 threads", "advised"),
        ("GET /good", "", "left"),
        ("GET /late", "", "untried"),
    ]
    assert rows[0].verdict == "better"
    assert rows[0].ci_low is not None
    assert rows[1].ci_low is None  # of one round


def test_advice_reads_as_numbered_lines() -> None:
    text = "\n".join(lines(advised(), "/health"))
    assert "1. GET /x  blocks the event loop 97 % of the time" in text
    assert "   def      6.00 times [5.76, 6.25] the requests; p99 of /health 1.48 s → 5.93 ms" in text
    assert "tried besides: 2 workers  1.98 times" in text
    assert "tried and failed: process pool: its answer (Lock) can't be pickled" in text
    assert "2. GET /y" in text
    assert "leave as they are: GET /good" in text
    assert (
        "could not be tried: GET /late (blocks the event loop 97 % of the time; the budget of 30 s is used up)" in text
    )
    left = [row for row in advised() if row.outcome == "left"]
    assert lines(left, None)[0].startswith("nothing to gain")


def test_rows_are_written_and_read_and_damage_is_a_sentence(tmp_path: Path) -> None:
    assert read_rows(tmp_path) is None
    write_rows(tmp_path, advised())
    assert read_rows(tmp_path) == advised()
    assert json.loads((tmp_path / "advice.json").read_text()) == json.loads(json.dumps(plain(advised())))
    (tmp_path / "advice.json").write_text('[{"endpoint": 1}]')
    with pytest.raises(ResultError, match=r"advice\.json: cannot be read"):
        read_rows(tmp_path)


@pytest.mark.parametrize("text", ["gain:20%", "gain:-20%", "throughput_rps:+5%", ""])
def test_a_gate_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"--fail-on: got .*gain:\+20%"):
        parse_gain(text)


def test_a_gate_asks_for_the_lower_end() -> None:
    assert parse_gain("gain: +20%") == pytest.approx(0.2)
    assert gains(1.21, 0.2)
    assert not gains(1.19, 0.2)
    assert not gains(None, 0.2)


@pytest.mark.parametrize(
    ("text", "words"), [("http://127.0.0.1:9000", "is a server that runs"), ("noapp", "allowed is module:attribute")]
)
def test_what_is_no_app_is_refused(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        refuse_other_than_app(text)


def test_a_budget_without_room_for_a_comparison_is_refused() -> None:
    with pytest.raises(UsageError, match="--budget-s: got 5, allowed is 20 or more"):
        refuse_short(5)


@pytest.mark.parametrize("text", ["", "0", "1,x", "-1"])
def test_workers_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--workers: got"):
        worker_counts(text)
