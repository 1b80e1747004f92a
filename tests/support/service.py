"""Real services for tests of what asks them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from loopwise.servers.services import SERVICES, Services


@contextmanager
def running(name: str, folder: Path) -> Iterator[dict[str, str]]:
    """A service for the duration of a `with` block; yields its environment variables."""
    with Services(folder) as services, services.during([name], "1/1") as variables:
        yield dict(variables)


def need_postgres() -> None:
    """Skips a test where PostgreSQL is not installed; fails it in CI, where it must be."""
    why = SERVICES["postgres"].missing()
    if why and os.environ.get("CI"):
        pytest.fail(f"PostgreSQL must be tested here: {why}")
    if why:
        pytest.skip(why)
