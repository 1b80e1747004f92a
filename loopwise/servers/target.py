"""Ask target_app about its workloads: each question is one `python -m target_app QUESTION`."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from pydantic import Field

from loopwise.errors import RunError
from loopwise.model import Case, Cost, Noun
from loopwise.model.modes import OWN
from loopwise.paths import target_app_dir

ANSWER_TIMEOUT_S = 60.0
"""Far more than a calibration takes on a slow machine; only a hung interpreter exceeds it."""


class Description(Noun):
    """target_app's answer for one workload, mode and parameters; `key` and `error` are set unless `ok`."""

    ok: bool
    path: str = ""
    """Path and query that select the route: `/sleep/async?ms=50`."""
    params: dict[str, Any] = Field(default_factory=dict)
    """All parameters of the workload, defaults included."""
    features: str = ""
    """Features in their fixed order."""
    cost: Cost | None = None
    needs: tuple[str, ...] = ()
    """Services that it needs, by their names in services.SERVICES."""
    key: str = ""
    """The key that is wrong: `workload`, `mode` or `params.<name>`."""
    error: str = ""


def describe(requests: Sequence[Mapping[str, Any]]) -> list[Description]:
    """Describe each `{"workload", "params", "mode", "features"}`, in the same order.

    Raises:
        RunError: target_app did not answer, or not as its protocol says.
    """
    answer = _ask("describe", stdin=json.dumps(list(requests)))
    if not isinstance(answer, list) or len(answer) != len(requests):
        raise RunError(f"target_app describe: answered {len(requests)} questions with something else; {_REMEDY}")
    return [Description.model_validate(item) for item in answer]


def catalogue() -> dict[str, Any]:
    """Everything that target_app offers.

    `{"workloads": {name: {"description", "modes", "params", "needs", "is_calibrated"}}, "modes": {name: description},
    "features": {name: description}}`.

    Raises:
        RunError: as in `describe`.
    """
    answer = _ask("list")
    if not isinstance(answer, dict):
        raise RunError(f"target_app list: answered something else than a JSON object; {_REMEDY}")
    return answer


def served_workloads(case: Case) -> tuple[str, ...]:
    """The workloads that target_app serves in a case; empty: all of them, for a Locust file may ask any."""
    if case.mode == OWN.name:
        return ()
    return tuple(dict.fromkeys(part.workload for part in case.parts)) or (case.workload,)


def calibration(cases: Iterable[Case]) -> dict[str, float]:
    """Measure what the workloads of these cases are calibrated by; empty where none is.

    Without it every server start would calibrate by itself, and cases would do different work.

    Raises:
        RunError: as in `describe`.
    """
    served = [served_workloads(case) for case in cases if case.app is None and case.url is None]
    if any(not names or not _calibrated_workloads().isdisjoint(names) for names in served):
        return calibrate()
    return {}


@cache
def _calibrated_workloads() -> frozenset[str]:
    workloads = catalogue()["workloads"]
    return frozenset(name for name, facts in workloads.items() if facts["is_calibrated"])


def calibrate() -> dict[str, float]:
    """Measure this machine's constants: `cpu_iterations_per_ms`. Keeps one core busy for a moment.

    Raises:
        RunError: as in `describe`.
    """
    answer = _ask("calibrate")
    if not isinstance(answer, dict):
        raise RunError(f"target_app calibrate: answered something else than a JSON object; {_REMEDY}")
    return {str(name): float(value) for name, value in answer.items()}


_REMEDY = "restore target_app or reinstall Loopwise"


def _ask(question: str, stdin: str = "") -> Any:
    """The parsed JSON that `python -m target_app QUESTION` prints."""
    folder = target_app_dir()
    inherited = os.environ.get("PYTHONPATH")
    search_path = os.pathsep.join([str(folder), inherited] if inherited else [str(folder)])
    try:
        done = subprocess.run(
            [sys.executable, "-m", "target_app", question],
            input=stdin,
            capture_output=True,
            text=True,
            encoding="utf-8",
            cwd=folder,
            env={**os.environ, "PYTHONPATH": search_path, "PYTHONIOENCODING": "utf-8"},
            timeout=ANSWER_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise RunError(f"target_app {question}: no answer within {ANSWER_TIMEOUT_S:g} s; {_REMEDY}") from None
    if done.returncode != 0:
        last_line = (done.stderr.strip().splitlines() or ["it printed nothing"])[-1]
        raise RunError(f"target_app {question}: ended with status {done.returncode} ({last_line}); {_REMEDY}")
    try:
        return json.loads(done.stdout)
    except ValueError:
        raise RunError(f"target_app {question}: its answer is no JSON; {_REMEDY}") from None
