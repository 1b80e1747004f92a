"""The computing of the lessons. Without FastAPI: a pool's processes import this module alone, and start quickly."""

SMALL = 100_000
"""Rounds that take some 5 ms of pure Python."""
LARGE = 200_000


def compute(rounds: int) -> int:
    """Pure Python that holds the GIL: a linear congruential generator, and its last state."""
    state = 1
    for _ in range(rounds):
        state = (state * 1_664_525 + 1_013_904_223) & 0xFFFF_FFFF
    return state
