"""Sum up where threads and tasks of the workers stood over the window, from the logs of their probes."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from loopwise.model import StandKind, WaitPlace
from loopwise.results.columns import ProbeLine
from loopwise.servers.source import waits_in

KINDS: dict[StandKind, str] = {"thread": "threads", "task": "tasks", "loop": "loop"}
"""Kinds of a place, with the probe's key for their looks (target_app/stacks.py)."""
MIN_SHARE = 0.02
MAX_PLACES = 8
"""Of each kind."""
MIN_HITS = 2
"""A loop that stood somewhere once may have waited for a core there."""


class _Line(NamedTuple):
    path: str
    line: int
    function: str


def waits_at(
    logs: Mapping[int, Sequence[ProbeLine]],
    start_ns: int,
    end_ns: int,
    app_dir: str,
    edited: Mapping[str, str] = MappingProxyType({}),
) -> tuple[WaitPlace, ...]:
    """The places at which threads and tasks stood in the window, by kind, the most frequent first.

    Args:
        logs: by worker, the lines of its probe.
        start_ns: begin of the window.
        end_ns: its end.
        app_dir: paths are given relative to it.
        edited: real path of a file -> path of the text that was run instead.
    """
    inside = [[line["stands"] for line in lines if _counts(line, start_ns, end_ns)] for lines in logs.values()]
    return tuple(place for kind in KINDS for place in _places(kind, inside, app_dir, edited))


def _counts(line: ProbeLine, start_ns: int, end_ns: int) -> bool:
    return "stands" in line and start_ns <= line["time_ns"] <= end_ns


def _places(
    kind: StandKind, workers: Iterable[Sequence[Any]], app_dir: str, edited: Mapping[str, str]
) -> Iterator[WaitPlace]:
    numbers: Counter[_Line] = Counter()
    words: dict[_Line, Counter[tuple[tuple[int, ...] | None, str | None]]] = {}
    hits: Counter[_Line] = Counter()
    whole = 0.0
    for stands in workers:
        # The loop stands only where it is blocked, and is looked at whenever threads are.
        looks = [each.get(KINDS[kind]) for each in stands if KINDS["thread" if kind == "loop" else kind] in each]
        for look in filter(None, looks):
            whole += 0.0 if kind == "loop" else look["of"] / len(looks)
            for path, line, function, columns, callee, number in look["at"]:
                key = _Line(path, line, function)
                numbers[key] += number / len(looks)
                hits[key] += 1
                words.setdefault(key, Counter())[tuple(columns) if columns else None, callee] += number
        whole += 1.0 if kind == "loop" and looks else 0.0
    for key, number in numbers.most_common(MAX_PLACES):
        if number < MIN_SHARE * whole:
            return
        if kind == "loop" and hits[key] < MIN_HITS:
            continue
        columns, callee = words[key].most_common(1)[0][0]
        yield WaitPlace(
            place=f"{_shown(key.path, app_dir)}:{key.line}",
            function=key.function,
            call=waits_in(edited.get(os.path.realpath(key.path), key.path), key.line, columns, callee),
            kind=kind,
            count=round(number, 2),
            share=round(number / whole, 4),
        )


def _shown(path: str, app_dir: str) -> str:
    """Relative to the app's folder, which it may lie beside, or to that of installed packages."""
    for name in ("site-packages", "dist-packages"):
        if f"/{name}/" in path:
            return path.rpartition(f"/{name}/")[2]
    return Path(os.path.relpath(path, os.path.realpath(app_dir))).as_posix()
