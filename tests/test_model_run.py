"""Typed records of a run: their JSON is what readers of older and newer results expect."""

import json
from pathlib import Path
from typing import Any

import pytest
from support.fakes import case_of, run_of

from loopwise.model import Cause, GeneratorFigures, HostFigures, Run, ServerFacts

RECORDED: list[tuple[str, dict[str, Any]]] = [
    ("server", {"argv": ["uvicorn"], "port": 8000, "pids": [7], "start_s": 0.5, "threads": None}),
    ("generator", {"cpu_s": 0.5, "wall_s": 1.0, "requests": 9, "pinned_to": [1], "stamp": "kernel"}),
    ("host", {"steal_ratio": 0.0, "cores_before": 2.0}),
]


def run_with(**records: Any) -> Run:
    """A run read from JSON that holds these records."""
    document = json.loads(run_of(case_of("c"), server={}, generator={}, host={}).model_dump_json())
    return Run.model_validate_json(json.dumps(document | records))


@pytest.mark.parametrize(("field", "record"), RECORDED)
def test_a_record_is_written_as_it_was_read(field: str, record: dict[str, Any]) -> None:
    assert json.loads(run_with(**{field: record}).model_dump_json())[field] == record


@pytest.mark.parametrize("field", ["server", "generator", "host"])
def test_an_empty_record_stays_empty_and_is_false(field: str) -> None:
    run = run_with(**{field: {}})
    assert not getattr(run, field)
    assert json.loads(run.model_dump_json())[field] == {}


@pytest.mark.parametrize("field", ["server", "generator", "host"])
def test_figures_of_other_versions_are_kept(field: str) -> None:
    run = run_with(**{field: {"gone_since_s": 1.5}})
    assert json.loads(run.model_dump_json())[field] == {"gone_since_s": 1.5}


@pytest.mark.parametrize("indent", [None, 2])
def test_lone_surrogates_are_written_as_escapes(indent: int | None) -> None:
    run = run_of(case_of("c"), error="no \udc80", server=ServerFacts(argv=["\ud800"], versions={"k\udfff": "\ud800"}))
    read = Run.model_validate_json(run.model_dump_json(indent=indent).encode())
    assert (read.error, read.server.argv) == (r"no \udc80", (r"\ud800",))
    assert read.server.versions == {r"k\udfff": r"\ud800"}
    assert run_with(error="\ud83d").error == r"\ud83d"
    assert run_with(error="\ud83d\ude80").error == "🚀"


def test_a_cause_of_another_version_is_readable() -> None:
    cause = {"cause": "small_writes", "share": 0.5, "evidence": "delayed acknowledgements"}
    assert run_with(causes=[cause]).causes == (Cause(**cause),)


def test_the_generator_has_no_cpu_ratio_without_a_window() -> None:
    assert GeneratorFigures(busiest_cpu_s=0.5).cpu_ratio is None
    assert GeneratorFigures(busiest_cpu_s=0.5, wall_s=2.0).cpu_ratio == 0.25


def test_unmeasured_figures_read_as_their_defaults() -> None:
    assert ServerFacts().pids == ()
    assert HostFigures().steal_ratio is None
    assert GeneratorFigures().cores == 1


OLD = sorted((Path(__file__).parent / "data" / "results").glob("*/runs/*/*/run.json"))


@pytest.mark.parametrize("path", OLD, ids=lambda path: "-".join(path.parts[-5:-1]))
def test_records_of_earlier_versions_are_written_unchanged(path: Path) -> None:
    before = json.loads(path.read_text(encoding="utf-8"))
    after = json.loads(Run.model_validate(before).model_dump_json())
    for name in {"server", "generator", "host", "causes"} & set(before):
        assert after[name] == before[name]
