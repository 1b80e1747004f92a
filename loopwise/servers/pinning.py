"""Which cores the server and the generator get. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

from loopwise.model import Case
from loopwise.model.modes import uses_pool


class Placement(NamedTuple):
    """Cores by number; an empty tuple is any of them."""

    server: tuple[int, ...] = ()
    generator: tuple[int, ...] = ()

    @property
    def is_apart(self) -> bool:
        """Server and generator do not share a core."""
        return bool(self.server and self.generator)


def place(case: Case, cores: Sequence[int], processes: int) -> Placement:
    """Give server and generator different cores where there are enough for both.

    The generator gets a core per process, the server all others, provided that every worker can have one. A process
    pool counts every core of the machine and would not fit beside the generator; a server that runs already is not
    ours to move.

    Args:
        case: what is to be served.
        cores: numbers of the cores that we may use.
        processes: generator processes.
    """
    if case.server is None or uses_pool(case) or len(cores) < case.server.workers + processes:
        return Placement()
    return Placement(server=tuple(cores[processes:]), generator=tuple(cores[:processes]))
