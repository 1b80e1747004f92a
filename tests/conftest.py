"""Order and number of processes of the test suite; generators and a server that tests of load share."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support.fault_server import FaultServer

from loopwise.generator.client import GeneratorProcess, Generators, generators


def pytest_xdist_auto_num_workers() -> int:
    """Two processes more than cores: tests with servers wait for most of their time."""
    return (os.cpu_count() or 1) + 2


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Import no file for `-m alone` that has no such test: that would take longer than some of these tests."""
    is_asked_for = config.option.markexpr != "alone" or collection_path.suffix != ".py"
    return None if is_asked_for or "pytest.mark.alone" in collection_path.read_text(encoding="utf-8") else True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let tests that start servers go first: their files take longest, and none should be left alone at the end."""
    items.sort(key=lambda item: item.get_closest_marker("e2e") is None)


@pytest.fixture(autouse=True)
def quiet_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands in this process find no busy machine, whatever else runs."""
    monkeypatch.setattr("loopwise.calibrate.doctor.busy_now", lambda: "")


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GeneratorProcess]:
    """A generator process for the runs of one module."""
    with closing(GeneratorProcess(tmp_path_factory.mktemp("generator") / "generator.log")) as process:
        yield process


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Generators]:
    """Generators for orders of any number of processes, and for scripts."""
    with generators(tmp_path_factory.mktemp("generator") / "generator.log") as pool:
        yield pool


@pytest.fixture
def server() -> Iterator[FaultServer]:
    """A server with an answer of each kind."""
    with FaultServer() as server:
        yield server
