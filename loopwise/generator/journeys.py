"""Journeys: declared steps that one user takes in order, with values from feeds and from earlier answers."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

from loopwise.generator.error_kinds import ErrorKind, capture_kind
from loopwise.generator.feeds import Deal
from loopwise.generator.request import Maker, Request
from loopwise.model import Feed
from loopwise.servers.feeds import Row


class Journey:
    """The requests of one user: an endless iterator that goes by the answers.

    A step that fails ends the pass through the steps, for those after it depend on it: the next request is the first
    step's again. Values that were captured stay until they are captured anew.

    Args:
        steps: makers of the requests, in order.
        deals: of the steps' feeds.
        own_rows: by feed, the user's row where each user has one.

    Raises:
        StopIteration: of `next`, when a feed's unique rows are all dealt.
    """

    def __init__(self, steps: Sequence[Maker], deals: Mapping[Feed, Deal], own_rows: Mapping[Feed | None, Row]) -> None:
        self._steps = list(steps)
        self._deals = deals
        self._own_rows = own_rows
        self._values: dict[str, Any] = {}
        self._at = 0
        self._is_passed = True

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Request:
        """The next step's request, or the first one's if the last answer was not as expected."""
        self._at = self._at % len(self._steps) if self._is_passed else 0
        step = self._steps[self._at]
        feed = step.endpoint.feed
        if feed is not None:
            self._values |= self._own_rows.get(feed) or self._deals[feed].next_row()
        self._is_passed = False
        return step.request(self._values)._replace(examine=self._examine)

    def _examine(self, body: bytes) -> str | None:
        """Take the values that the answer has; returns the kind of error if it is not as expected."""
        step = self._steps[self._at]
        if step.expectation.fault(body, self._values) is not None:
            return ErrorKind.BODY
        captured, missing = step.expectation.capture(body)
        if missing is not None:
            return capture_kind(missing)
        self._values |= captured
        self._is_passed = True
        if step.endpoint.once:
            del self._steps[self._at]
        else:
            self._at += 1
        return None
