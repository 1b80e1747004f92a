"""Requests of declared endpoints: made as bytes, and dealt in proportion to their weights."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import cycle
from typing import NamedTuple

import numpy as np

from loopwise.generator.error_kinds import ErrorKind
from loopwise.model import Endpoint
from loopwise.servers.expectations import Expectation
from loopwise.servers.templates import Template, Values

DECK = 65_536
"""Endpoints of a mix are dealt from a prepared deck of about this size, so that no request costs a draw."""

Examine = Callable[[bytes], str | None]
"""The body of an answer with the expected status -> the kind of error if it is not as expected."""


class Request(NamedTuple):
    """A request as it goes over the wire."""

    data: bytes
    endpoint: int
    """Number of the endpoint's name in the recorder."""
    head: bool
    """Its method is HEAD: the answer has no body, whatever its headers announce."""
    expect_status: int | None
    examine: Examine | None = None
    """Called with the answer, if it is kept and its status is expected."""


class Maker:
    """Makes the requests of a declared endpoint.

    Args:
        endpoint: as in the suite.
        host: of the Host header.
        number: of the endpoint's name in the recorder.
        in_headers: names whose values are sent in headers.

    Raises:
        DataError: a file that it sends can't be read, or has changed since the suite was read.
        RequestError: HTTP can't carry it.
    """

    def __init__(self, endpoint: Endpoint, host: str, number: int, in_headers: frozenset[str] = frozenset()) -> None:
        self.endpoint = endpoint
        self.expectation = Expectation(endpoint, in_headers)
        self._fill = Template(endpoint, host).fill
        self._number = number
        self._head = endpoint.method == "HEAD"
        self._examine = None if self.expectation.is_empty else partial(self._fault, {})

    def request(self, values: Values) -> Request:
        """The request with these values in its places."""
        examine = partial(self._fault, values) if self.expectation.is_filled else self._examine
        return Request(self._fill(values), self._number, self._head, self.endpoint.expect_status, examine)

    def _fault(self, values: Values, body: bytes) -> str | None:
        return None if self.expectation.fault(body, values) is None else ErrorKind.BODY


def deck(weights: Sequence[int], seed: int) -> Iterator[int]:
    """Yield the endless sequence of indexes in a mix, each in exact proportion to its weight.

    Weights 3 and 1 give one of the second in each four from the first on, so the shares of a short run are exact, too.
    The same seed gives the same sequence.
    """
    hand = np.repeat(np.arange(len(weights)), np.array(weights) // np.gcd.reduce(weights))
    hands = np.tile(hand, (max(1, DECK // hand.size), 1))
    return cycle(np.random.default_rng(seed).permuted(hands, axis=1).ravel().tolist())
