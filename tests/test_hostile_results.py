"""Results from somebody else: nothing they name is started, loaded, deleted or overwritten. Each test does the harm."""

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from support.cli import Bench, commanding
from support.fakes import Conduct, case_of, measured, new_result, suite_with

from loopwise.errors import ResultError, ServerError
from loopwise.measure.slices import undecided
from loopwise.model import Round
from loopwise.results.files import write_atomically
from loopwise.results.folder import ResultFolder
from loopwise.results.trust import has_own_seal, key_file
from loopwise.suite import make_suite
from loopwise.visible import visible


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Bench:
    return commanding(monkeypatch, capsys)


def result_of(tmp_path: Path, entry: dict[str, Any], **allowed: Any) -> ResultFolder:
    """A result of which nothing is measured yet, as its maker left it."""
    document = {"name": "theirs", "replicates": {"min": 1, "max": 1}, "matrix": [{"endpoint": "GET /a", **entry}]}
    suite = make_suite(document, label="suite.toml", folder=tmp_path, **allowed)
    return new_result(tmp_path / "r", suite)[0]


def edit(path: Path, change: Callable[[Any], object]) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


@contextmanager
def somebody_else(tmp_path: Path) -> Iterator[None]:
    """Within a `with` block results are made with another user's key."""
    with mock.patch.dict(os.environ, {"XDG_STATE_HOME": str(tmp_path / "their state")}):
        yield


def an_interpreter(tmp_path: Path) -> tuple[Path, Path]:
    """A program that leaves a file when it is started, and that file."""
    program, trace = tmp_path / "python", tmp_path / "was started"
    program.write_text(f"#!/bin/sh\ntouch '{trace}'\n")
    program.chmod(0o755)
    return program, trace


@pytest.mark.parametrize("maker", ["another user", "an earlier version", "this user, edited", "no home"])
def test_a_foreign_results_interpreter_is_not_started_unasked(bench: Bench, tmp_path: Path, maker: str) -> None:
    program, trace = an_interpreter(tmp_path)
    entry = {"app": "shop:app", "python": str(program)}
    with somebody_else(tmp_path) if maker == "another user" else mock.patch.dict(os.environ):
        result = result_of(tmp_path, entry)
    state = {"XDG_STATE_HOME": "/proc/nowhere"} if maker == "no home" else {}
    if maker == "an earlier version":
        edit(result.path / "experiment.json", lambda document: document.pop("seal"))
    if maker == "this user, edited":
        edit(result.path / "experiment.json", lambda document: document.update(seed=99))
    with mock.patch.dict(os.environ, state):
        status, _, err = bench("run", "--resume", result.path, "--quiet")
    assert (status, trace.exists()) == (2, False)
    assert err.startswith(f"error: {result.path}: was not made by you on this machine")
    assert str(program) in err
    assert "--trust" in err
    assert err.count("\n") == 1


def test_a_trusted_result_is_carried_out_and_sealed_as_ones_own(bench: Bench, tmp_path: Path) -> None:
    program, trace = an_interpreter(tmp_path)
    with somebody_else(tmp_path):
        result = result_of(tmp_path, {"app": "shop:app", "python": str(program)})
    assert not has_own_seal(result.experiment())
    assert bench("run", "--resume", result.path, "--trust", "--quiet")[0] == 3
    assert trace.exists()
    assert has_own_seal(result.experiment())


def test_resume_loads_no_remote_host_that_is_not_allowed(bench: Bench, tmp_path: Path) -> None:
    result = result_of(tmp_path, {"url": "http://192.0.2.1:9"}, allow_remote=["192.0.2.1"])
    status, _, err = bench("run", "--resume", result.path, "--trust", "--quiet")
    assert status == 2
    assert "matrix[0].url" in err
    assert "add --allow-remote 192.0.2.1" in err
    assert not (result.path / "runs").exists()


def with_url(document: Any) -> None:
    document["suite"]["cases"][0]["url"] = "http://192.0.2.1"


def without_server(document: Any) -> None:
    document["suite"]["cases"][0] |= {"url": "http://192.0.2.1", "server": None}


def with_hostile_path(document: Any) -> None:
    document["suite"]["cases"][0]["endpoints"][0]["path"] = "/a HTTP/1.1\r\nHost: elsewhere"


def with_missing_interpreter(document: Any) -> None:
    document["suite"]["cases"][0]["app"]["python"] = "/nowhere/python"


def with_loopwise_variable(document: Any) -> None:
    document["suite"]["cases"][0]["server"]["env"] = {"LOOPWISE_SCRATCH": "/etc"}


@pytest.mark.parametrize(
    "change", [with_url, without_server, with_hostile_path, with_missing_interpreter, with_loopwise_variable]
)
def test_what_no_suite_can_say_no_result_can(bench: Bench, tmp_path: Path, change: Callable[[Any], object]) -> None:
    program, trace = an_interpreter(tmp_path)
    result = result_of(tmp_path, {"app": "shop:app", "python": str(program)})
    edit(result.path / "experiment.json", change)
    status, _, err = bench("run", "--resume", result.path, "--trust", "--allow-remote", "192.0.2.1", "--quiet")
    assert (status, trace.exists()) == (2, False), err
    assert str(result.path / "experiment.json") in err


def precious(tmp_path: Path) -> Path:
    """A file of the user's, in a folder that a hostile result would like to empty."""
    folder = tmp_path / "precious" / "1"
    folder.mkdir(parents=True)
    (folder / "thesis.txt").write_text("years")
    return folder / "thesis.txt"


HOSTILE_IDS = ["../../precious", "..", "/etc", "a/b", "a\\b", ".hidden", "", "a\x00b", "a\nb", "x" * 300]


@pytest.mark.parametrize("case_id", HOSTILE_IDS)
def test_a_case_id_leads_out_of_no_result(bench: Bench, tmp_path: Path, case_id: str) -> None:
    kept = precious(tmp_path)
    result = result_of(tmp_path, {"url": "http://127.0.0.1:9"})

    def rename(document: Any) -> None:
        for each in (document["suite"]["cases"][0], document["plan"][0]):
            each["case_id"] = case_id

    edit(result.path / "experiment.json", rename)
    for command in (("run", "--resume", result.path, "--trust", "--quiet"), ("report", result.path)):
        status, _, err = bench(*command)
        assert status == 2
        assert "case_id" in err
    assert kept.read_text() == "years"


@pytest.mark.parametrize(("key", "value"), [("replicate", 0), ("replicate", -1), ("attempt", 0)])
def test_numbers_that_name_folders_are_counted_from_one(tmp_path: Path, key: str, value: int) -> None:
    result = result_of(tmp_path, {"url": "http://127.0.0.1:9"})
    edit(result.path / "experiment.json", lambda document: document["plan"][0].update({key: value}))
    with pytest.raises(ResultError, match=key):
        result.experiment()


def test_a_run_that_says_it_is_another_changes_nothing_there(tmp_path: Path) -> None:
    result = measured(tmp_path / "r")
    victim = result.run_folder("sync", 1)
    (victim / "samples.parquet").unlink()
    (victim / "samples.arrow").write_bytes(b"")
    edit(result.run_folder("async", 2) / "run.json", lambda run: run.update(replicate=1))
    runs, damaged = result.runs()
    assert len(runs) == 8
    assert [sentence for sentence in damaged if "belongs to" in sentence] == damaged != []
    assert (victim / "samples.arrow").exists()


def test_rounds_of_cases_that_no_suite_has_are_not_gone_on_with(tmp_path: Path) -> None:
    result = measured(tmp_path / "r")
    round_ = Round(pairing="slices", number=1, baseline_case="x", candidate_case="y", status="failed", started_at="")
    result.new_round_folder("x", "y", 1)
    result.write_round(round_)
    assert {name for pair, _ in undecided(result) for name in pair.names} <= {"sync", "async", "blocking"}


LINKS = [
    "charts",
    "exports",
    "report.html",
    ".report.html.new",
    "summary.csv",
    "generator.log",
    "crash.log",
    "runs/x/1",
]


@pytest.mark.parametrize("name", LINKS)
@pytest.mark.parametrize("command", ["report", "report --export csv", "resume"])
def test_links_in_a_result_lead_no_write_elsewhere(bench: Bench, tmp_path: Path, name: str, command: str) -> None:
    kept = precious(tmp_path)
    is_folder = name in {"charts", "exports", "runs/x/1"}
    if is_folder:
        (kept.parent / "csv").mkdir()
        (kept.parent / "csv" / "thesis.svg").write_text("years")
    result = measured(tmp_path / "r")
    link = result.path / name
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(kept.parent if is_folder else kept)
    before = {path: path.read_bytes() for path in kept.parent.rglob("*") if path.is_file()}
    arguments = {"resume": ["run", "--resume", result.path, "--trust"]}.get(
        command, [*command.split()[:1], result.path, *command.split()[1:]]
    )
    status, _, err = bench(*arguments)
    assert status == 2
    assert f"{link}: is a link" in err
    assert {path: path.read_bytes() for path in kept.parent.rglob("*") if path.is_file()} == before


def test_a_pipe_in_a_result_is_refused_and_not_waited_for(bench: Bench, tmp_path: Path) -> None:
    result = measured(tmp_path / "r")
    samples = result.run_folder("sync", 1) / "samples.parquet"
    samples.unlink()
    os.mkfifo(samples)
    status, _, err = bench("report", result.path)
    assert status == 2
    assert f"{samples}: is a pipe" in err


def test_a_link_is_replaced_and_what_it_names_is_kept(tmp_path: Path) -> None:
    kept = precious(tmp_path)
    for name in ("x.json", ".x.json.new"):
        (tmp_path / name).symlink_to(kept)
    write_atomically(tmp_path / "x.json", "{}")
    assert (tmp_path / "x.json").read_text() == "{}"
    assert not (tmp_path / "x.json").is_symlink()
    assert kept.read_text() == "years"


def test_deeply_nested_json_is_damage_and_no_crash(bench: Bench, tmp_path: Path) -> None:
    result = measured(tmp_path / "r")
    (result.path / "experiment.json").write_text("[" * 200_000)
    status, _, err = bench("report", result.path)
    assert (status, err.count("\n")) == (2, 1)


EVIL = "=1+1|\x1b[31m\u202e\ud800[red]<b>@all\nerror: fake"


def with_texts(document: Any, key: str = "") -> Any:
    """The document with a hostile text in place of those that name no file and no word of ours."""
    if isinstance(document, dict):
        return {name: with_texts(value, name) for name, value in document.items()}
    if isinstance(document, list):
        return [with_texts(value, key) for value in document]
    free = {"description", "cpu_model", "python", "system", "detail", "error", "evidence", "remedy", "kind", "label"}
    return EVIL if isinstance(document, str) and key in free else document


def test_texts_of_a_result_command_nothing_and_can_all_be_written(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = suite_with(case_of("a"), case_of("b", "async"), description="x")
    conducts = {"a": Conduct(error_ratio=0.3), "b": Conduct(faults={1: ServerError("x"), 2: ServerError("x")})}
    result = measured(tmp_path / "results" / "r", suite, conducts)
    for path in (result.path / "experiment.json", *result.path.glob("runs/*/*/run.json")):
        path.write_text(json.dumps(with_texts(json.loads(path.read_text()))))
    monkeypatch.setattr("loopwise.paths.results_dir", lambda: tmp_path / "results")
    files = ["--junit", tmp_path / "r.xml", "--markdown", tmp_path / "r.md", "--out", tmp_path / "compared"]
    said = ""
    for arguments in (
        ["report", result.path, "--export", "csv,json,parquet,markdown,hgrm,locust,k6"],
        ["report", result.path, "--json"],
        ["compare", result.path, result.path, *files],
        ["list", "results"],
        ["list", "results", "--html", "--out", tmp_path / "index.html"],
    ):
        status, out, err = bench(*arguments)
        assert (status, err) == (0, ""), arguments
        said += out
    assert visible(said) == said
    assert r"\x1b[31m\u202e\ud800[red]<b>@all" in said
    assert "\nerror: fake" not in said
    for path in (each for each in tmp_path.rglob("*") if each.suffix in {".html", ".md", ".csv", ".svg", ".xml"}):
        text = path.read_text(encoding="utf-8")
        assert visible(text) == text, path
        assert not re.search(r"[\",\n]=1" if path.suffix == ".csv" else "<b>@all", text), path


def test_the_key_is_private_and_a_readable_one_seals_nothing(tmp_path: Path) -> None:
    with somebody_else(tmp_path):
        result = result_of(tmp_path, {"url": "http://127.0.0.1:9"})
        assert key_file().stat().st_mode & 0o777 == 0o600
        assert has_own_seal(result.experiment())
        key_file().chmod(0o644)
        assert not has_own_seal(result.experiment())
