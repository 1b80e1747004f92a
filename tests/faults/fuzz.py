"""Fuzzers of suites, arguments and results: for a fixed number of inputs, or until the time is over."""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st
from support.fakes import case_of, measured, suite_with

from faults import damaged, fuzzed
from faults.inprocess import nothing_starts

PER_ROUND = 200
"""Inputs between two looks at the clock."""


class Fuzzer(NamedTuple):
    """What is drawn, and what is done with it in a folder; it returns what is wrong."""

    inputs: st.SearchStrategy[tuple[Any, ...]]
    attempt: Callable[..., list[str]]


class Fuzzed(NamedTuple):
    """How many inputs each fuzzer tried, and what was found: a text for each, which begins with the fuzzer's name."""

    tried: dict[str, int]
    found: list[str]

    def with_more(self, more: "Fuzzed") -> "Fuzzed":
        """Both together."""
        names = (*self.tried, *(name for name in more.tried if name not in self.tried))
        tried = {name: self.tried.get(name, 0) + more.tried.get(name, 0) for name in names}
        return Fuzzed(tried, [*self.found, *more.found])


FUZZERS = {
    "suites": Fuzzer(st.tuples(fuzzed.SUITES), fuzzed.try_suite),
    "arguments": Fuzzer(st.tuples(fuzzed.LINES), fuzzed.try_arguments),
    "damaged results": Fuzzer(st.tuples(damaged.HARMS, damaged.READERS), damaged.try_damaged),
}
"""By the name that the document gives them."""


@contextmanager
def ground() -> Iterator[Path]:
    """A folder with whatever fuzzed arguments name, and the result that is damaged; no command starts anything."""
    with tempfile.TemporaryDirectory(prefix="fuzzed-") as name:
        folder = Path(name)
        measured(folder / "result", suite_with(case_of("sync"), case_of("async", "async"), replicates=(1, 2)))
        shutil.copytree(folder / "result", folder / "damaged")
        (folder / "damaged" / "experiment.json").write_text("{")
        (folder / "suite.toml").write_text('[[matrix]]\nurl = "http://127.0.0.1:9"\nendpoint = "GET /a"\n')
        (folder / "broken.toml").write_text("name = [")
        (folder / "notes.txt").write_text("mine")
        (folder / "plain.py").write_text("app = None\n")
        (folder / "folder").mkdir()
        with nothing_starts(folder):
            yield folder


def fuzz(name: str, folder: Path, *, examples: int, seed: int | None) -> int:
    """Try as many inputs; returns how many were tried.

    Args:
        name: of the fuzzer.
        folder: the ground.
        examples: how many.
        seed: of the inputs; None: always the same ones.

    Raises:
        AssertionError: what is wrong with one; its notes say which it is.
    """
    fuzzer, tried = FUZZERS[name], 0

    def attempt(drawn: tuple[Any, ...]) -> None:
        nonlocal tried
        tried += 1
        problems = fuzzer.attempt(folder, *drawn)
        assert not problems, "; ".join(problems)

    configured = settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=seed is None,
        suppress_health_check=list(HealthCheck),
        # Whoever looks for all that is wrong does not wait for the first one to be made small.
        phases=[Phase.generate, Phase.shrink] if seed is None else [Phase.generate],
    )
    test = configured(given(fuzzer.inputs)(attempt))
    if seed is not None:
        test = seeded(seed)(test)
    test()
    return tried


def fuzz_for(minutes: float, seed: int) -> Fuzzed:
    """Fuzz with all fuzzers by turns until the time is over."""
    deadline_s = time.monotonic() + minutes * 60
    tried: dict[str, int] = dict.fromkeys(FUZZERS, 0)
    found: list[str] = []
    with ground() as folder:
        turn = 0
        while time.monotonic() < deadline_s:
            turn += 1
            for name in FUZZERS:
                examples = PER_ROUND // 5 if name == "damaged results" else PER_ROUND
                try:
                    tried[name] += fuzz(name, folder, examples=examples, seed=seed + turn)
                except Exception as error:
                    notes = "\n    ".join(getattr(error, "__notes__", []))
                    found.append(f"{name} (seed {seed + turn}): {error}\n    {notes}")
                    print(f"found: {found[-1]}", flush=True)
                    tried[name] += 1
    return Fuzzed(tried, found)
