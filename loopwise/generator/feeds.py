"""Rows of feeds as one run deals them: in order, shuffled, or one for each user."""

import math
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from time import monotonic

import numpy as np

from loopwise.generator.protocol import Order
from loopwise.model import Feed
from loopwise.servers.feeds import Row, dealt


class Deal:
    """The rows of a feed that fall to one generator process, which deals them to requests or users.

    Args:
        feed: as in the suite.
        order: the run; each of its processes has a part of its own, so that none deals another's rows.

    Raises:
        DataError: the file can't be read, or has changed since the suite was read.
    """

    def __init__(self, feed: Feed, order: Order) -> None:
        rows = dealt(feed)
        mine = rows[order.part :: order.processes]
        self.feed = feed
        self.rows: list[Row] = mine if mine or feed.unique else rows
        self.numbers = self._numbers(order.seed + order.part)
        """Numbers of the rows as they are dealt; of a unique feed, each once."""
        self.failure = ""
        """Why nothing more can be dealt: one sentence."""
        self._load = order.load
        self._count = len(rows)

    def next_row(self) -> Row:
        """Deal a row. Raises StopIteration: those of a unique feed are all dealt."""
        return self.rows[next(self.numbers)]

    def _numbers(self, seed: int) -> Iterator[int]:
        count, shuffles = len(self.rows), self.feed.order == "shuffle"
        rng = np.random.default_rng(seed)
        if not self.feed.unique:
            if not shuffles:
                return cycle(range(count))
            return (number for _ in iter(int, 1) for number in rng.permutation(count).tolist())
        return self._once(rng.permutation(count).tolist() if shuffles else range(count))

    def _once(self, numbers: list[int] | range) -> Iterator[int]:
        began_s = monotonic()
        yield from numbers
        self.failure = self._ran_out(monotonic() - began_s)

    def _ran_out(self, elapsed_s: float) -> str:
        name, load = Path(self.feed.file).name, self._load
        if self.feed.order == "per_user":
            return f"{name}: its {self._count} unique rows are fewer than the users; add rows, or remove unique"
        total_s = max(load.warmup_s, elapsed_s - load.measure_s) + load.measure_s
        needed = max(self._count, math.ceil(self._count * total_s / max(elapsed_s, 1e-3))) + 1
        return (
            f"{name}: its {self._count} unique rows were all sent after {elapsed_s:.1f} s of {total_s:.1f} s of "
            f"warm-up and window; at this rate a run needs about {needed}: add rows, or remove unique"
        )
