"""`list`: the suites, workloads, modes, servers and results that there are."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from loopwise.cli.options import Json, console, program
from loopwise.errors import UsageError
from loopwise.report.terminal.console import print_json, say

if TYPE_CHECKING:
    from rich.console import RenderableType

Rows = list[dict[str, Any]]


def _suites() -> Rows:
    import tomllib

    from loopwise.suite import suite_paths

    documents = {name: (path, tomllib.loads(path.read_text("utf-8"))) for name, path in suite_paths().items()}
    return [
        {"name": name, "description": document.get("description", ""), "path": str(path)}
        for name, (path, document) in documents.items()
    ]


def _workloads() -> Rows:
    from loopwise.servers import target

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


def _described(key: str) -> Rows:
    """A table of target_app's catalogue that has a sentence per name."""
    from loopwise.servers import target

    return [{"name": name, "description": text} for name, text in target.catalogue()[key].items()]


def _servers() -> Rows:
    from loopwise.servers.specs import SERVERS, WSGI_SERVERS

    return [
        {"name": spec.shown, "description": spec.description, "changed defaults": "; ".join(spec.changes)}
        for spec in (*SERVERS.values(), *WSGI_SERVERS.values())
    ]


def _combinations() -> Rows:
    from loopwise.servers.combinations import combinations

    return combinations()


def _refusals() -> Rows:
    from loopwise.servers.specs import refused_keys

    return refused_keys()


def _results() -> Rows:
    from loopwise import paths
    from loopwise.report.listing import result_rows

    return result_rows(paths.results_dir())


LISTINGS: dict[str, Callable[[], Rows]] = {
    "suites": _suites,
    "workloads": _workloads,
    "modes": lambda: _described("modes"),
    "features": lambda: _described("features"),
    "servers": _servers,
    "combinations": _combinations,
    "refusals": _refusals,
    "results": _results,
}
"""Name -> its rows, each a JSON object."""
LONG = frozenset({"path", "label", "machine", "answer", "problem"})
"""Columns too long for 80 characters; --json and --html show them."""


def list_(
    what: Annotated[str, typer.Argument(metavar=f"[{'|'.join(LISTINGS)}]", help="What to list.")] = "suites",
    html: Annotated[bool, typer.Option("--html", help="Write the results as a page to choose from.")] = False,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="The page; default: results/index.html.")] = None,
    as_json: Json = False,
) -> int:
    """List what there is to choose from."""
    if what not in LISTINGS:
        raise UsageError(f"list: got {what!r}, allowed are {', '.join(LISTINGS)}; choose one of them")
    if (html and what != "results") or (out is not None and not html):
        raise UsageError("list: --html is for results, and --out for --html; write `list results --html`")
    rows = LISTINGS[what]()
    page = _write_page(rows, out) if html else None
    if as_json:
        print_json(rows)
    elif page is not None:
        say(console(), f"index: {page}")
    else:
        console().print(listing_table(what, rows))
    return 0


def _write_page(rows: Rows, out: Path | None) -> Path:
    from loopwise import paths
    from loopwise.report.html.index import INDEX, write_index

    results = paths.results_dir()
    return write_index(rows, results, out or results / INDEX, program=program())


def listing_table(what: str, rows: Rows) -> "RenderableType":
    """Rows as a table without the columns that are too long for one."""
    from loopwise.report.terminal.screen import plain
    from loopwise.report.terminal.tables import WordTable

    if not rows:
        return plain(f"no {what} yet")
    if what == "combinations":
        return _combinations_table(rows)
    columns = [column for column in rows[0] if column not in LONG]
    return WordTable(columns, [[plain(str(row[column])) for column in columns] for row in rows])


def _combinations_table(rows: Rows) -> "RenderableType":
    """A tick where it runs, else the number of a sentence below the table; then the options that servers refuse."""
    from rich.console import Group

    from loopwise.report.terminal.screen import plain
    from loopwise.report.terminal.tables import WordTable
    from loopwise.servers.combinations import RUNS
    from loopwise.servers.specs import refused_keys

    numbers: dict[str, int] = {}
    lines = []
    for row in rows:
        cells = []
        for column, value in row.items():
            if column in {"workload", "mode"} or value == RUNS:
                cells.append(str(value))
            else:
                cells.append(str(numbers.setdefault(f"{row['workload']}: {value}", len(numbers) + 1)))
        lines.append([plain(cell) for cell in cells])
    notes = [f"{number}  {sentence}" for sentence, number in numbers.items()]
    notes += [
        f"{each['server']}, {each['key']}: {each['because']} (allowed is {each['allowed']})" for each in refused_keys()
    ]
    return Group(WordTable(list(rows[0]), lines), *map(plain, notes))
