"""What there is to choose from: `bench.py list …`."""

import json
import tomllib
from collections.abc import Callable
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from loopwise.errors import ResultError
from loopwise.machine import machine_words
from loopwise.paths import results_dir
from loopwise.results.folder import ResultFolder, find_results
from loopwise.servers import target
from loopwise.servers.combinations import RUNS, combinations
from loopwise.servers.specs import SERVERS, refused_keys
from loopwise.suite import suite_paths

Rows = list[dict[str, Any]]


def suites() -> Rows:
    """The suites in scenarios/, with their own descriptions."""
    rows = []
    for name, path in suite_paths().items():
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        rows.append({"name": name, "description": document.get("description", ""), "path": str(path)})
    return rows


def workloads() -> Rows:
    """The workloads of target_app, their modes and parameters."""
    return [
        {
            "name": name,
            "description": entry["description"],
            "modes": ", ".join(entry["modes"]),
            "params": ", ".join(entry["params"]) or "none",
            "needs": ", ".join(entry["needs"]),
        }
        for name, entry in target.catalogue()["workloads"].items()
    ]


def modes() -> Rows:
    """The modes: how a workload is exposed."""
    return [{"name": name, "description": text} for name, text in target.catalogue()["modes"].items()]


def features() -> Rows:
    """What the routes of target_app may have besides."""
    return [{"name": name, "description": text} for name, text in target.catalogue()["features"].items()]


def servers() -> Rows:
    """The server process managers."""
    return [{"name": spec.name, "description": spec.description} for spec in SERVERS.values()]


def results() -> Rows:
    """The results below results/, newest first; one that can't be read says so in its row."""
    return [_result_row(result) for result in find_results(results_dir())]


def _result_row(result: ResultFolder) -> dict[str, Any]:
    row: dict[str, Any] = {"name": result.name, "suite": "", "created_at": "", "cases": 0, "runs": ""}
    row |= {"not valid": 0, "path": str(result.path), "label": "", "machine": "", "answer": "", "problem": ""}
    try:
        experiment = result.experiment()
    except ResultError as error:
        return row | {"runs": f"can't be read: {error}", "problem": str(error)}
    answer, problem = _reported(result)
    states = [planned.state for planned in experiment.plan]
    done = sum(state != "planned" for state in states)
    return row | {
        "suite": experiment.suite.name,
        "created_at": experiment.created_at,
        "cases": len(experiment.suite.cases),
        "runs": f"{done} of {len(states)}",
        "not valid": sum(state in {"failed", "invalid"} for state in states),
        "label": experiment.label or "",
        "machine": machine_words(experiment.environment),
        "answer": answer,
        "problem": problem,
    }


def _reported(result: ResultFolder) -> tuple[str, str]:
    """The first answer of a result's report, and what in it could not be read; empty where it has none."""
    path = result.path / "summary.json"
    if not path.exists():
        return "", ""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        answers, damaged = list(document["answers"]), list(document["damaged"])
    except (OSError, ValueError, TypeError, KeyError):
        return "", f"{path.name} can't be read; make it anew by `bench.py report {result.path}`"
    return str(next(iter(answers), "")), "; ".join(map(str, damaged[:3]))


LISTINGS: dict[str, Callable[[], Rows]] = {
    "suites": suites,
    "workloads": workloads,
    "modes": modes,
    "features": features,
    "servers": servers,
    "combinations": combinations,
    "refusals": refused_keys,
    "results": results,
}


LONG = frozenset({"path", "label", "machine", "answer", "problem"})
"""Columns that 80 characters have no room for."""


def listing_table(what: str, rows: Rows) -> RenderableType:
    """The rows as a table; what is long is left to --json and --html, where it is not cut."""
    if not rows:
        return Text(f"no {what} yet")
    if what == "combinations":
        return combinations_table(rows)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    columns = [column for column in rows[0] if column not in LONG]
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column == "name")
    for row in rows:
        table.add_row(*(Text(str(row[column])) for column in columns))
    return table


def combinations_table(rows: Rows) -> RenderableType:
    """A tick where it runs, else the number of a sentence below the table; then what servers can't do."""
    sentences: list[str] = []
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), collapse_padding=True)
    for column in rows[0]:
        table.add_column(column, no_wrap=True)
    for row in rows:
        cells = []
        for column, value in row.items():
            if column in {"workload", "mode"} or value == RUNS:
                cells.append(Text(str(value)))
                continue
            sentence = f"{row['workload']}: {value}"
            sentences += [] if sentence in sentences else [sentence]
            cells.append(Text(str(sentences.index(sentence) + 1)))
        table.add_row(*cells)
    notes = [f"{number}  {sentence}" for number, sentence in enumerate(sentences, start=1)]
    notes += [
        f"{each['server']}, {each['key']}: {each['because']} (allowed is {each['allowed']})"
        for each in refused_keys()
    ]
    return Group(table, *map(Text, notes))
