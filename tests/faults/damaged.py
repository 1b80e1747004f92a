"""Damaged results: whatever happened to their files, a command ends with a sentence."""

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import note
from hypothesis import strategies as st

from faults.fuzzed import JSON, harmed
from faults.inprocess import command, faults_of


def _replace_somewhere(document: Any, value: Any, dice: random.Random) -> Any:
    """The document with a value, a key or an element of it replaced, left out or doubled."""
    if isinstance(document, dict) and document and dice.random() < 0.9:
        key = dice.choice(sorted(document))
        if dice.random() < 0.1:
            return {name: each for name, each in document.items() if name != key}
        return {**document, key: _replace_somewhere(document[key], value, dice)}
    if isinstance(document, list) and document and dice.random() < 0.9:
        index = dice.randrange(len(document))
        if dice.random() < 0.2:
            return document[:index] + document[index:] * 2
        return [*document[:index], _replace_somewhere(document[index], value, dice), *document[index + 1 :]]
    return value


def _change_json(path: Path, value: Any, dice: random.Random) -> None:
    document = json.loads(path.read_text())
    path.write_text(json.dumps(_replace_somewhere(document, value, dice)))


def _change_table(path: Path, dice: random.Random) -> None:
    """Drop, retype, rename or empty a column; or leave no row."""
    table = pq.read_table(path)
    name = dice.choice(table.column_names)
    at = table.column_names.index(name)
    kinds = (pa.string(), pa.float64(), pa.int8(), pa.null(), pa.list_(pa.int64()), pa.binary(), pa.timestamp("ns"))
    changes: list[Callable[[], pa.Table]] = [
        lambda: table.drop_columns([name]),
        lambda: table.set_column(at, name, pa.nulls(table.num_rows, dice.choice(kinds))),
        lambda: table.set_column(at, name, pa.nulls(table.num_rows, table.schema.field(at).type)),
        lambda: table.set_column(at, name, pa.array([dice.choice([0, -1, 2**62])] * table.num_rows)),
        lambda: table.rename_columns([f"{each}x" if each == name else each for each in table.column_names]),
        lambda: table.slice(0, dice.choice([0, 1])),
        lambda: pa.table({"a": [1, 2]}),
    ]
    pq.write_table(dice.choice(changes)(), path)


HOW = ["bytes", "content", "content", "content", "cut", "empty", "gone", "folder", "pipe", "link", "swap"]


def damage(result: Path, value: Any, dice: random.Random) -> str:
    """Harm one file of a result; returns what was done."""
    files = sorted(path for path in result.rglob("*") if path.is_file() and path.suffix in {".json", ".parquet"})
    if not files:
        return "nothing is left to harm"
    path = dice.choice(files)
    how = dice.choice(
        ["bytes", "content", "content", "content", "cut", "empty", "gone", "folder", "pipe", "link", "swap"]
    )
    try:
        if how == "content" and path.suffix == ".json":
            _change_json(path, value, dice)
        elif how == "content":
            _change_table(path, dice)
        elif how == "bytes":
            path.write_bytes(harmed(path.read_bytes(), dice))
        elif how == "cut":
            path.write_bytes(path.read_bytes()[: dice.randrange(path.stat().st_size + 1)])
        elif how == "swap":
            path.write_bytes(dice.choice(files).read_bytes())
        else:
            path.unlink()
            if how == "empty":
                path.touch()
            elif how == "folder":
                path.mkdir()
            elif how == "pipe":
                os.mkfifo(path)
            elif how == "link":
                path.symlink_to("/dev/zero")
    except (ValueError, OSError, pa.ArrowException) as error:  # it was harmed before
        return f"{path.name}: {how} ({error})"
    return f"{path.relative_to(result)}: {how}"


HARMS = st.tuples(JSON, st.integers(0, 2**32), st.integers(1, 3))
READERS = st.sampled_from(
    [
        ("report", "harmed"),
        ("report", "harmed", "--export", "csv,json,parquet,markdown,hgrm,locust,k6"),
        ("report", "harmed", "--json"),
        ("compare", "result", "harmed", "--out", "compared"),
        ("compare", "harmed", "result"),
        ("run", "--resume", "harmed", "--trust"),
        ("run", "--resume", "harmed"),
        ("list", "results"),
        ("duel", "--suite", "harmed/experiment.json", "a", "b"),
    ]
)


def try_damaged(folder: Path, harm: tuple[Any, int, int], reader: tuple[str, ...]) -> list[str]:
    """Damage a copy of the result, and let a command read it; what is wrong with its ending."""
    value, seed, times = harm
    dice = random.Random(seed)
    harmed_result = folder / "harmed"
    shutil.rmtree(harmed_result, ignore_errors=True)
    shutil.rmtree(folder / "compared", ignore_errors=True)
    shutil.copytree(folder / "result", harmed_result)
    for _ in range(times):
        note(damage(harmed_result, value, dice))
    spoke = command(*reader)
    note(f"{reader}: {spoke.status} {spoke.err[:300]}")
    return faults_of(spoke)
