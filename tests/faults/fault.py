"""What a fault is, and what became of it."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

Group = Literal["process", "resource", "extreme"]
GROUPS: dict[Group, str] = {
    "process": "Signals and killed processes",
    "resource": "What the system refuses",
    "extreme": "Extremes that a suite may hold",
}
"""Groups of faults, with their headings in the document."""


class Ground(NamedTuple):
    """Where a fault is done: an empty folder, finished results to copy, and dice of its own."""

    folder: Path
    finished: Path
    """A finished result; whoever harms it copies it."""
    state: Path
    """XDG_STATE_HOME of all commands, with the key that sealed the finished result."""
    dice: random.Random


@dataclass(frozen=True)
class Fault:
    """A harm that is done to a command."""

    group: Group
    kind: str
    """What is done: `SIGTERM`, `disk full`."""
    command: str
    """To which command."""
    phase: str
    """In which phase of it, or to which part of its input; empty: from the start."""
    holds: str
    """What must hold afterwards, as a sentence of the document."""
    do: Callable[[Ground], list[str]]
    """Does it; returns what did not hold."""
    needs_mounts: bool = False
    """Only a process that may mount file systems can do it."""

    @property
    def name(self) -> str:
        """`SIGTERM: run, window`."""
        return f"{self.kind}: {self.command}{f', {self.phase}' if self.phase else ''}"


class Done(NamedTuple):
    """What became of a fault."""

    fault: Fault
    problems: list[str]
    """What did not hold; none: it was survived."""
    seconds: float
    seed: int
    day: str
    """On which it was done: `2026-11-26`."""
