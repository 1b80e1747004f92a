"""Cores of server and generator."""

from typing import Any

import pytest
from support.fakes import case_of

from loopwise.model import Server
from loopwise.servers.pinning import Pinning, pin

ANYWHERE = Pinning()


def apart(server: tuple[int, ...], generator: tuple[int, ...]) -> Pinning:
    return Pinning(server=server, generator=generator)


@pytest.mark.parametrize(
    ("cores", "workers", "processes", "pinning"),
    [
        ([0], 1, 1, ANYWHERE),
        ([0, 1], 1, 1, apart((1,), (0,))),
        ([0, 1], 2, 1, ANYWHERE),
        ([0, 1], 1, 2, ANYWHERE),
        ([0, 1, 2, 3], 1, 1, apart((1, 2, 3), (0,))),
        ([0, 1, 2, 3], 3, 1, apart((1, 2, 3), (0,))),
        ([0, 1, 2, 3], 2, 2, apart((2, 3), (0, 1))),
        ([0, 1, 2, 3], 4, 1, ANYWHERE),
        ([0, 1, 2, 3], 3, 2, ANYWHERE),
        (list(range(8)), 4, 2, apart((2, 3, 4, 5, 6, 7), (0, 1))),
        (list(range(8)), 4, 4, apart((4, 5, 6, 7), (0, 1, 2, 3))),
        (list(range(8)), 8, 1, ANYWHERE),
        ([3, 5, 9], 2, 1, apart((5, 9), (3,))),
        ([], 1, 1, ANYWHERE),
    ],
)
def test_server_and_generator_are_apart_if_every_process_fits(
    cores: list[int], workers: int, processes: int, pinning: Pinning
) -> None:
    case = case_of("any", server=Server(workers=workers))
    pinned = pin(case, cores, processes)
    assert pinned == pinning
    assert pinned.is_apart == (pinning != ANYWHERE)


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("process", {"server": Server()}),
        ("own", {"server": None, "url": "http://127.0.0.1:9000"}),
    ],
)
def test_process_pools_and_running_servers_are_not_pinned(mode: str, options: dict[str, Any]) -> None:
    assert pin(case_of("any", mode=mode, **options), list(range(8)), 1) == ANYWHERE
