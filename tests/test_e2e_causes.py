"""Every cause provoked on a real server is named first, and healthy servers are accused of nothing."""

from pathlib import Path

import pytest
from provoke import PROVOCATIONS, STALL, first_cause, runs_by_name, write_suite
from support import provoking_app
from support.e2e import Bench

from loopwise.analysis.causes import CAUSES
from loopwise.model import Run

pytestmark = [pytest.mark.e2e, pytest.mark.alone]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """One run of each, by one suite."""
    folder = tmp_path_factory.mktemp("causes")
    names = list(PROVOCATIONS)
    bench = Bench(folder / "bench")
    # 3: the run with the slow generator is invalid, as it should be.
    status, output = bench("run", write_suite(folder, names), "--out", folder / "result", "--no-report", timeout_s=400)
    assert status == 3, output
    assert bench.left_behind() == []
    return runs_by_name(folder / "result", names)


@pytest.mark.parametrize("name", PROVOCATIONS)
def test_a_provoked_cause_is_named_first_and_a_healthy_case_has_none(name: str, runs: dict[str, Run]) -> None:
    assert first_cause(runs[name]) == PROVOCATIONS[name].cause, runs[name].causes


def test_every_cause_is_provoked() -> None:
    assert {each.cause for each in PROVOCATIONS.values()} == {*CAUSES, None}


@pytest.mark.parametrize(
    ("name", "line", "words"),
    [
        ("threads at a semaphore of four", "    with thread_places:", "of 40 threads stood at `with thread_places`"),
        ("threads at a lock", "    with lock:", "of 40 threads stood at `with lock`"),
        ("four places, unseen", "        await hidden.get()", "tasks stood at `hidden.get`"),
        ("tasks at a semaphore of four", "    async with places:", "tasks stood at `async with places`"),
        ("blocking sleep of an app", "    time.sleep(BLOCK_S)", "held at `time.sleep`"),
    ],
)
def test_the_line_at_which_an_app_stands_is_told(name: str, line: str, words: str, runs: dict[str, Run]) -> None:
    number = Path(provoking_app.__file__).read_text(encoding="utf-8").splitlines().index(line) + 1
    assert f"{words} (provoking_app.py:{number})" in runs[name].causes[0].evidence


def test_a_stall_of_50_ms_is_not_seen_shorter(runs: dict[str, Run]) -> None:
    """How much longer it looks depends on the machine; `python tests/provoke.py` prints it."""
    assert (runs[STALL].host.loop_stall_max_ms or 0.0) >= 45.0


def test_all_connections_on_one_worker_are_marked(runs: dict[str, Run]) -> None:
    run = runs["all connections to one worker"]
    assert {check.name for check in run.checks if not check.ok} >= {"worker_idle", "worker_share"}
    assert sorted(worker.share or 0.0 for worker in run.workers) == [0.0, 1.0]


def test_a_leak_is_marked(runs: dict[str, Run]) -> None:
    assert "memory" in {check.name for check in runs["a leak"].checks if not check.ok}
