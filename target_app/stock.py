"""The table of items that `sqlite` and `postgres` read and write: its content follows from arithmetic."""

from functools import lru_cache

from target_app.answers import insist
from target_app.workload import Answer

SEEDED_ROWS = 10_000
MOST_ROWS = 1000
"""A request may ask for so many, so that `after` can be at most SEEDED_ROWS - MOST_ROWS."""


def price_cents(row: int) -> int:
    """The price of the item with this id; differs from row to row, so that a wrong row shows."""
    return 100 + row * 7919 % 9901


@lru_cache(maxsize=4096)
def checksum(after: int, rows: int) -> int:
    """The sum of the prices of the rows that follow an id."""
    return sum(map(price_cents, range(after + 1, after + rows + 1)))


def read_answer(after: int, rows: int, found: list[int]) -> Answer:
    """What a read tells, from the prices that were found.

    Raises:
        WrongAnswerError: they are not those of the rows asked for.
    """
    total = sum(found)
    insist("prices of the rows read", (len(found), total), (rows, checksum(after, rows)))
    return {"operation": "read", "rows": len(found), "checksum": total}


def write_answer(rows: int, changed: int) -> Answer:
    """What a write tells, from the number of rows it changed.

    Raises:
        WrongAnswerError: it changed more or fewer rows than it was asked to.
    """
    insist("rows updated", changed, rows)
    return {"operation": "write", "rows": changed}
