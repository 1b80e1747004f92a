"""Dependencies and the background task that features add to routes; no web framework is needed."""

from collections import Counter
from collections.abc import Iterator

done: Counter[str] = Counter()
"""How often each of them ran in this process, which no answer shows."""


def sync_dependency() -> None:
    """A `def` dependency."""
    done["sync_dependency"] += 1


async def async_dependency() -> None:
    """An `async def` dependency."""
    done["async_dependency"] += 1


def yield_dependency() -> Iterator[None]:
    """A `def` dependency whose second half runs after the route."""
    try:
        yield
    finally:
        done["yield_dependency"] += 1


def background_task() -> None:
    """Runs once the answer is sent."""
    done["background_task"] += 1
