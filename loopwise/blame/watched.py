"""Files that the blame probe leaves (target_app/blame): its findings, and stacks of an interpreter that is stuck."""

import re
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel

from loopwise.model import Noun

FRESH_S = 3.0
"""Longest wait for findings of this moment; the probe writes several times a second, unless it is stuck."""
POLL_S = 0.05


class Site(Noun):
    """What the innermost `async def` of the app was executing while the loop was held."""

    path: str
    line: int
    columns: tuple[int, int, int, int] | None = None
    """As in Spot."""
    function: str
    """Its qualified name; before Python 3.11 the bare one."""


class Spot(BaseModel):
    """A line and the time for which it held the loop."""

    path: str
    line: int
    is_app: bool
    columns: tuple[int, int, int, int] | None = None
    """First line, last line, first column, column after the last (in bytes) of what was executed; None before 3.11."""
    callee: str | None = None
    site: Site | None = None
    """In an `async def` of the app: this line, or the call that led here; None: in none."""
    total_ns: int
    longest_ns: int
    times: int


class Call(BaseModel):
    """A call that can block, made by a line of the app."""

    call: str
    path: str
    line: int
    times: int


class Tally(BaseModel):
    """Findings of one endpoint."""

    held_ns: int = 0
    unseen_ns: int = 0
    """Part of held_ns in which no line could be named."""
    spots: list[Spot] = []
    brief: list[Spot] = []
    """Lines of callbacks below the threshold."""
    calls: list[Call] = []


class ProbeReport(BaseModel):
    """The file of one process."""

    written_ns: int = 0
    watched_s: float = 0.0
    thread: int = 0
    endpoints: dict[str, Tally] = {}
    """By the number that the session gave the endpoint, or by a name of the probe's."""
    waits: dict[str, list[tuple[str, int]]] = {}
    """By endpoint, lines of the app at which a request waited for long without holding the loop, best guess first."""


class Place(NamedTuple):
    """A line of a file."""

    path: str
    line: int


def read_reports(folder: Path, *, fresh: bool = True) -> list[ProbeReport]:
    """Read the newest findings of each process.

    Args:
        folder: the probe writes there.
        fresh: wait until one of them is of this moment, for at most FRESH_S.
    """
    asked_ns = time.time_ns()
    deadline_s = time.monotonic() + FRESH_S
    while True:
        files = sorted(folder.glob("findings-*.json"))
        reports = [ProbeReport.model_validate_json(file.read_bytes()) for file in files]
        if not fresh or any(each.written_ns > asked_ns for each in reports) or time.monotonic() > deadline_s:
            return reports
        time.sleep(POLL_S)


def stuck_place(folder: Path, reports: Iterable[ProbeReport], app_dir: Path) -> Place | None:
    """The line at which C code keeps the GIL in a loop's thread, by what faulthandler wrote; None: there is none."""
    threads = {report.thread for report in reports}
    for file in folder.glob("stuck-*.txt"):
        text = file.read_text(encoding="utf-8", errors="replace")
        _, *parts = re.split(r"^(?:Current t|T)hread 0x([0-9a-f]+)", text, flags=re.M)
        for thread, stack in zip(parts[::2], parts[1::2], strict=True):
            if int(thread, 16) in threads:
                frames = re.findall(r'^  File "(.+)", line (\d+) in ', stack, flags=re.M)
                places = [Place(str(Path(path).resolve()), int(line)) for path, line in frames]
                return next((place for place in places if _is_own(place.path, app_dir)), next(iter(places), None))
    return None


def _is_own(path: str, app_dir: Path) -> bool:
    return "<" not in path and "-packages/" not in path and Path(path).is_relative_to(app_dir)


def merge(reports: Sequence[ProbeReport]) -> dict[str, Tally]:
    """Add up the findings of several processes, by endpoint."""
    merged: dict[str, Tally] = {}
    for report in reports:
        for key, tally in report.endpoints.items():
            known = merged.setdefault(key, Tally())
            merged[key] = Tally(
                held_ns=known.held_ns + tally.held_ns,
                unseen_ns=known.unseen_ns + tally.unseen_ns,
                spots=added([*known.spots, *tally.spots]),
                brief=added([*known.brief, *tally.brief]),
                calls=[*known.calls, *tally.calls],
            )
    return merged


def added(spots: Iterable[Spot]) -> list[Spot]:
    """Add up the spots of each line."""
    lines: dict[tuple[str, int], Spot] = {}
    for spot in spots:
        known = lines.get((spot.path, spot.line))
        changes: dict[str, Any] = {}
        if known is not None:
            changes = {name: getattr(known, name) + getattr(spot, name) for name in ("total_ns", "times")}
            changes["longest_ns"] = max(known.longest_ns, spot.longest_ns)
        lines[(spot.path, spot.line)] = (known or spot).model_copy(update=changes)
    return list(lines.values())
