"""Decide which cores the server and the generator are pinned to."""

from collections.abc import Sequence
from typing import NamedTuple

from loopwise.model import Case


class Pinning(NamedTuple):
    """Numbers of cores; empty: any of them."""

    server: tuple[int, ...] = ()
    generator: tuple[int, ...] = ()

    @property
    def is_apart(self) -> bool:
        """Whether server and generator share no core."""
        return bool(self.server and self.generator)


def pin(case: Case, cores: Sequence[int], processes: int) -> Pinning:
    """Give server and generator different cores if there are enough for both.

    The generator gets a core per process and the server all others, provided that every worker can have one. A process
    pool counts every core of the machine and would not fit beside the generator; a running server is not ours to move.

    Args:
        case: the case to be served.
        cores: numbers of the cores that we may use.
        processes: generator processes.
    """
    if case.server is None or "process" in case.modes or len(cores) < case.server.workers + processes:
        return Pinning()
    return Pinning(server=tuple(cores[processes:]), generator=tuple(cores[:processes]))
