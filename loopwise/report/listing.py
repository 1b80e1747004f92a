"""Rows that describe the results below a folder."""

import json
from pathlib import Path
from typing import Any

from loopwise.analysis.wording import count
from loopwise.errors import ResultError
from loopwise.machine import machine_words
from loopwise.results.folder import ResultFolder, find_results


def result_rows(folder: Path) -> list[dict[str, Any]]:
    """The results below a folder, newest first; a row of one that can't be read says so."""
    return [_row(result) for result in find_results(folder)]


def _row(result: ResultFolder) -> dict[str, Any]:
    row: dict[str, Any] = {"name": result.name, "suite": "", "created_at": "", "cases": 0, "runs": ""}
    row |= {"not valid": 0, "path": str(result.path), "label": "", "machine": "", "answer": "", "problem": ""}
    try:
        experiment = result.experiment()
    except ResultError as error:
        return row | {"runs": f"can't be read: {error}", "problem": str(error)}
    answer, problem = _answer(result)
    states: list[str] = [planned.state for planned in experiment.plan]
    runs = f"{sum(state != 'planned' for state in states)} of {len(states)}"
    if not states:  # a duel: its replicates are rounds, of which none is planned ahead
        states = [each.status for each in result.rounds()[0]]
        runs = count(len(states), "round")
    return row | {
        "suite": experiment.suite.name,
        "created_at": experiment.created_at,
        "cases": len(experiment.suite.cases),
        "runs": runs,
        "not valid": sum(state in {"failed", "invalid"} for state in states),
        "label": experiment.label or "",
        "machine": machine_words(experiment.environment),
        "answer": answer,
        "problem": problem,
    }


def _answer(result: ResultFolder) -> tuple[str, str]:
    """The first answer in summary.json and what of the result could not be read; both empty without a report."""
    path = result.path / "summary.json"
    if not path.exists():
        return "", ""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        answers, damaged = list(document["answers"]), list(document["damaged"])
    except (OSError, ValueError, TypeError, KeyError):
        return "", f"{path.name} can't be read; make it anew by `bench.py report {result.path}`"
    return str(next(iter(answers), "")), "; ".join(map(str, damaged[:3]))
