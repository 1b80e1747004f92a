"""Requests of declared endpoints: prepared as bytes, and dealt in proportion to their weights."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from loopwise.model import Endpoint
from loopwise.servers.wire import endpoint_bytes

DECK = 65_536
"""Endpoints of a mix are dealt from a prepared deck of about this size, so that no request costs a draw."""


class Request(NamedTuple):
    """A request as it goes over the wire."""

    data: bytes
    endpoint: int
    """Number of the endpoint's name in the recorder."""
    head: bool
    """Its method is HEAD: the answer has no body, whatever its headers announce."""
    expect_status: int | None


def prepare(endpoint: Endpoint, host: str, number: int) -> Request:
    """The request of a declared endpoint.

    Args:
        endpoint: as in the suite.
        host: of the Host header.
        number: of the endpoint's name in the recorder.
    """
    data = endpoint_bytes(endpoint, host)
    return Request(data, number, endpoint.method == "HEAD", endpoint.expect_status)


def deal(requests: Sequence[Request], weights: Sequence[int], seed: int) -> Iterator[Request]:
    """Yield the endless sequence of requests of a mix, each in exact proportion to its weight.

    Weights 3 and 1 give one of the second in each four from the first on, so the shares of a short run are exact, too.
    The same seed gives the same sequence.
    """
    if len(requests) == 1:
        while True:
            yield requests[0]
    hand = np.repeat(np.arange(len(weights)), np.array(weights) // np.gcd.reduce(weights))
    hands = np.tile(hand, (max(1, DECK // hand.size), 1))
    order = np.random.default_rng(seed).permuted(hands, axis=1).ravel().tolist()
    while True:
        for index in order:
            yield requests[index]
