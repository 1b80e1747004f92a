"""Order and number of processes of the test suite."""

import os
from collections.abc import Iterator

import pytest


def pytest_xdist_auto_num_workers() -> int:
    """One process more than cores: tests with servers wait for most of their time."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture(scope="session", autouse=True)
def _key_of_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Results of tests are sealed with a key of their own, not with the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let tests that start servers go first: their files take longest, and none should be left alone at the end."""
    items.sort(key=lambda item: item.get_closest_marker("e2e") is None)
