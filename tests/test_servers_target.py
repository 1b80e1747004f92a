"""Which cases are calibrated: one decision for runs, duels, self-tests, claims and blame."""

from pathlib import Path
from typing import Any

import pytest
from support.fakes import case_of, suite_with
from support.suite import suite_file

from loopwise.blame import session
from loopwise.blame.subjects import subjects
from loopwise.measure import duel, experiment
from loopwise.model import App, Case, Part
from loopwise.servers import target

CONSTANTS = {"cpu_iterations_per_ms": 9.0}
OWN = App(target="shop:app", app_dir="/shop", python="/python")


def mix(*workloads: str) -> Case:
    return case_of("mix", mode="mix", parts=tuple(Part(workload=name, mode="sync") for name in workloads))


CASES: dict[str, tuple[Case, bool]] = {
    "cpu": (case_of("c", workload="cpu"), True),
    "mixed": (case_of("c", workload="mixed"), True),
    "sleep": (case_of("c", workload="sleep"), False),
    "hash, in rounds": (case_of("c", workload="hash"), False),
    "mix with a part that computes": (mix("sleep", "cpu"), True),
    "mix of waits": (mix("sleep", "noop"), False),
    "endpoint of an own app": (case_of("c", "own", workload="cpu", app=OWN), False),
    "running server": (case_of("c", "own", workload="cpu", server=None, url="http://127.0.0.1:9"), False),
    "Locust file, which may ask any workload": (case_of("c", "own", workload="x", scenario="/x.py"), True),
}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loopwise.servers.target.calibrate", lambda: CONSTANTS)


@pytest.mark.parametrize("name", CASES)
def test_cases_are_calibrated_if_target_app_says_so(name: str) -> None:
    case, is_calibrated = CASES[name]
    assert target.calibration([case_of("s", workload="sleep"), case]) == (CONSTANTS if is_calibrated else {})


@pytest.mark.parametrize("name", CASES)
def test_experiments_and_duels_calibrate_the_same_cases(name: str) -> None:
    case, is_calibrated = CASES[name]
    found = experiment.design(suite_with(case), seed=None, label=None, name="x")
    sides = [case.model_copy(update={"case_id": side}) for side in ("baseline", "candidate")]
    fought = duel.design(*sides, name="d", margin=0.01, effort=duel.Effort(), seed=1, label=None)
    assert found.calibration == fought.calibration == (CONSTANTS if is_calibrated else {})


@pytest.mark.parametrize(
    ("entry", "is_calibrated"),
    [
        ('workload = "mixed"\nmode = "async"', True),
        ('mix = [{ workload = "cpu", mode = "sync" }, { workload = "noop", mode = "async" }]', True),
        ('workload = "noop"\nmode = "async"', False),
    ],
)
def test_blame_calibrates_every_workload_that_computes(
    entry: str, is_calibrated: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []

    def observe(seen: session.Pass) -> session.Observation:
        given.append(seen.calibration)
        return session.Observation()

    monkeypatch.setattr(session.Pass, "endpoints", observe)
    path = suite_file(tmp_path, f"[[matrix]]\n{entry}")
    session.blame(subjects(str(path), [], Path(), None).cases, session.Settings())
    assert given == [CONSTANTS if is_calibrated else {}]
