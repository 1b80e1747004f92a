"""A few faults of the campaign (tests/faults) that no other test does, and a few inputs of each fuzzer."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from faults import fuzz
from faults.campaign import all_faults, do, finished_result
from faults.fault import Ground

FAULTS = {each.name: each for each in all_faults()}
SAMPLE = [
    "SIGHUP: init, import of the app",
    "pipe instead of a file: init --env-file",
    "limit_concurrency 1: run",
]
SEED = 1
EXAMPLES = {"suites": 60, "arguments": 60, "damaged results": 12}


@pytest.fixture(scope="module")
def finished() -> Iterator[Ground]:
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        yield finished_result(Path(folder))


@pytest.mark.e2e
@pytest.mark.parametrize("name", SAMPLE)
def test_a_fault_is_survived(name: str, finished: Ground) -> None:
    assert do(FAULTS[name], 0, finished, SEED).problems == []


def test_names_of_faults_are_unique() -> None:
    assert len(FAULTS) == len(all_faults())


@pytest.mark.parametrize("name", fuzz.FUZZERS)
def test_whatever_is_put_in_a_command_ends_with_a_sentence(name: str) -> None:
    with fuzz.ground() as folder:
        assert fuzz.fuzz(name, folder, examples=EXAMPLES[name], seed=None) > 0
