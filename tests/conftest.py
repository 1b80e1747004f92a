"""Order and number of processes of the test suite."""

import os

import pytest


def pytest_xdist_auto_num_workers() -> int:
    """One process more than cores: tests with servers wait for most of their time."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let tests that start servers go first: their files take longest, and none should be left alone at the end."""
    items.sort(key=lambda item: item.get_closest_marker("e2e") is None)
