"""Declared load whose users a LoadTestShape decides."""

import textwrap
from pathlib import Path
from typing import Any

import pytest
from support.fault_server import FaultServer
from support.generator import Generated, generate, get

from loopwise.errors import GeneratorError
from loopwise.generator.client import Generators

pytestmark = pytest.mark.e2e


def shaped(pool: Generators, folder: Path, server: FaultServer, body: str, **more: Any) -> Generated:
    """A run whose shape has this body of `tick`."""
    text = "from locust import LoadTestShape\nclass Steps(LoadTestShape):\n    def tick(self):\n"
    (folder / "steps.py").write_text(text + textwrap.indent(textwrap.dedent(body), " " * 8), encoding="utf-8")
    return generate(pool, folder, server.url, get("/ok"), shape=f"{folder / 'steps.py'}:Steps", **more)


@pytest.mark.parametrize("processes", [1, 2])
def test_users_follow_the_shape(processes: int, pool: Generators, server: FaultServer, tmp_path: Path) -> None:
    """First six, then two: Locust asks once a second."""
    run = shaped(
        pool,
        tmp_path,
        server,
        "return (6, 100) if self.get_run_time() < 0.5 else (2, 100)",
        processes=processes,
        warmup_s=0.3,
        measure_s=1.6,
        think_s=0.02,
        victim="/ok",
    )
    start_ns, end_ns = run.window()
    early = {row["connection"] for row in run.load if row["sent_ns"] < start_ns + 2e8}
    late = {row["connection"] for row in run.load if row["sent_ns"] > end_ns - 2e8}
    assert (len(early), len(late)) == (6, 2)
    assert late < early
    assert len(run.load) < len(run.rows)
    figures = run.events[-1].figures
    assert (figures.users, figures.users_wanted) == (2, 2)
    assert figures.users_mean is not None
    assert 2 < figures.users_mean < 6


def test_a_shape_that_ends_in_the_window_leaves_no_user(pool: Generators, server: FaultServer, tmp_path: Path) -> None:
    run = shaped(
        pool, tmp_path, server, "return (3, 100) if self.get_run_time() < 0.5 else None", measure_s=1.4, warmup_s=0.1
    )
    figures = run.events[-1].figures
    assert (figures.users, figures.users_wanted) == (0, 3)
    assert figures.users_gone_s is not None
    assert run.rows


@pytest.mark.parametrize("processes", [1, 2])
def test_a_shape_that_fails_in_the_run_ends_it_with_a_sentence(
    processes: int, pool: Generators, server: FaultServer, tmp_path: Path
) -> None:
    body = "return (3, 100) if self.get_run_time() < 0.5 else (3, 100, [object])"
    with pytest.raises(GeneratorError) as raised:
        shaped(pool, tmp_path, server, body, measure_s=1.6, processes=processes)
    assert str(raised.value).startswith("load.shape: steps.py: tick() of Steps returned user classes, allowed is")


def test_a_shape_gets_a_process_of_its_own_in_every_run(pool: Generators, server: FaultServer, tmp_path: Path) -> None:
    body = """
    Steps.asked = getattr(Steps, "asked", 0) + 1
    return Steps.asked, 100
    """
    for _ in range(2):
        run = shaped(pool, tmp_path, server, body, measure_s=0.3)
        assert run.events[-1].figures.users == 1
