"""Parse the logs of the probes in the workers, and join them with the samples of their processes."""

import json
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from statistics import median_low
from typing import Any, NamedTuple

from loopwise.model import Resource
from loopwise.results.columns import TELEMETRY_COLUMNS, ProbeLine, Sample
from loopwise.results.lags import merge_counts


class _Figures(NamedTuple):
    """A resource in a probe's line, as target_app/waits/resources.py writes it."""

    kind: str
    name: str
    made_at: str
    waited_at: str
    made: int
    places: int
    busy: int
    waiting: int
    wait_max_ms: float


def read(folder: Path) -> dict[int, list[ProbeLine]]:
    """By pid, the lines of every probe in order of time; a line that was cut off by a kill is left out."""
    logs: dict[int, list[ProbeLine]] = {}
    for path in sorted(folder.glob("*.jsonl")):
        lines: list[ProbeLine] = []
        for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
            with suppress(ValueError, KeyError, TypeError):
                line = json.loads(text)
                lines.append(line | {"time_ns": int(line["time_ns"])})
        if lines:
            logs[int(path.stem)] = sorted(lines, key=lambda line: int(line["time_ns"]))
    return logs


def join(samples: Sequence[Sample], logs: Mapping[int, Sequence[ProbeLine]]) -> list[Sample]:
    """The samples, those of a worker with what its probe wrote since the sample before.

    Lines between two samples are merged into the later one, as TELEMETRY_COLUMNS says; later ones are left out.
    """
    times_ns: dict[int, list[int]] = {}
    for sample in samples:
        times_ns.setdefault(sample.pid, []).append(sample.time_ns)
    groups = {pid: _groups(lines, times_ns.get(pid, [])) for pid, lines in logs.items()}
    return [_joined(sample, groups.get(sample.pid, {}).get(sample.time_ns)) for sample in samples]


def _groups(lines: Sequence[ProbeLine], times_ns: Sequence[int]) -> dict[int, list[ProbeLine]]:
    """The lines by the first of the ascending times that is not before them."""
    groups: dict[int, list[ProbeLine]] = {}
    for line in lines:
        index = bisect_left(times_ns, line["time_ns"])
        if index < len(times_ns):
            groups.setdefault(times_ns[index], []).append(line)
    return groups


def _joined(sample: Sample, lines: Sequence[ProbeLine] | None) -> Sample:
    if not lines:
        return sample
    probe = {column.name: column.merge(lines) for column in TELEMETRY_COLUMNS if column.merge is not None}
    counts = [line["lags"] for line in lines if line["lags"] is not None]  # none without an event loop
    return replace(sample, probe=probe, lags=merge_counts(counts) if counts else None)


def resources(logs: Mapping[int, Sequence[ProbeLine]], start_ns: int, end_ns: int) -> tuple[Resource, ...]:
    """What requests could wait for in each worker over the window, those most waited for first.

    Args:
        logs: by pid.
        start_ns: the window's begin.
        end_ns: its end.
    """
    found: list[Resource] = []
    for pid, lines in logs.items():
        inside = [line for line in lines if start_ns <= line["time_ns"] <= end_ns]
        series: dict[tuple[str, str, str], list[_Figures]] = {}
        for line in inside:
            for written in line.get("resources", ()):
                figures = _Figures(*written)
                series.setdefault((figures.kind, figures.name, figures.made_at), []).append(figures)
        found += [_resource(pid, each, len(inside)) for each in series.values()]
    return tuple(sorted(found, key=lambda each: (-each.full_ratio * each.waiting, -each.busy / each.places)))


def _resource(pid: int, series: Sequence[_Figures], samples: int) -> Resource:
    """One resource; it is missing in samples at which it was not in use."""
    last, waiting = series[-1], [each.waiting for each in series if each.waiting]
    facts: dict[str, Any] = {name: getattr(last, name) for name in ("kind", "name", "made_at", "waited_at")}
    return Resource(
        pid=pid,
        **facts,
        count=last.made,
        places=last.places,
        busy=round(sum(each.busy for each in series) / samples, 2),
        full_ratio=round(len(waiting) / samples, 4),
        waiting=median_low(waiting) if waiting else 0,
        wait_max_ms=max(each.wait_max_ms for each in series),
    )
