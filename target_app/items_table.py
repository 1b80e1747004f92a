"""The items table of `sqlite` and `postgres`, whose content follows from arithmetic."""

from functools import lru_cache

from target_app.verification import verify
from target_app.workload import Answer

SEEDED_ROWS = 10_000
MOST_ROWS = 1000
"""A request may ask for so many, so that `after` can be at most SEEDED_ROWS - MOST_ROWS."""


def price_cents(row: int) -> int:
    """Price of the item with this id; prices differ from row to row, so that a wrong row is noticed."""
    return 100 + row * 7919 % 9901


@lru_cache(maxsize=4096)
def checksum(after: int, rows: int) -> int:
    """Sum of the prices of the rows that follow an id."""
    return sum(map(price_cents, range(after + 1, after + rows + 1)))


def read_answer(after: int, rows: int, found: list[int]) -> Answer:
    """Build the answer of a read from the prices that it returned.

    Raises:
        WrongAnswerError: they are not those of the rows asked for.
    """
    total = sum(found)
    verify("prices of the rows read", (len(found), total), (rows, checksum(after, rows)))
    return {"operation": "read", "rows": len(found), "checksum": total}


def write_answer(rows: int, changed: int) -> Answer:
    """Build the answer of a write from the number of rows that it changed.

    Raises:
        WrongAnswerError: it changed more or fewer rows than it was asked to.
    """
    verify("rows updated", changed, rows)
    return {"operation": "write", "rows": changed}
