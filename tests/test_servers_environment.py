"""Variables of a server, copies of its data, and the command before a replicate."""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from support.fakes import case_of

from loopwise.errors import ServerError
from loopwise.model import App, Case, Command, Server
from loopwise.servers.environment import base_environment, environment, read_env_file
from loopwise.servers.fresh import Copies, copied
from loopwise.servers.preparation import prepare


def own(folder: Path, **keys: object) -> App:
    return App.model_validate({"target": "shop:app", "app_dir": str(folder), "python": sys.executable, **keys})


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=1", "1"),
        ("export A = x y # not this", "x y"),
        ("A=", ""),
        ("A='x # y' # z", "x # y"),
        (r'A="x\n\"y\" #z"', 'x\n"y" #z'),
        ("A=x#y", "x#y"),
        ("A=#y", ""),
        ("A=postgres://u:p@h/d?x=1", "postgres://u:p@h/d?x=1"),
    ],
)
def test_lines_of_an_environment_file_are_read_as_dotenv_does(tmp_path: Path, line: str, value: str) -> None:
    path = tmp_path / ".env"
    path.write_text(f"# a comment\n\n{line}\n")
    assert read_env_file(path) == {"A": value}


@pytest.mark.parametrize("line", ["A", "=1", "1A=2", "A='x", 'A="x'])
def test_a_broken_line_is_named_by_its_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / ".env"
    path.write_text(f"B=1\n{line}\n")
    with pytest.raises(ServerError, match=r"\.env, line 2: it is not NAME=VALUE"):
        read_env_file(path)


def test_a_case_sets_over_its_file_and_the_file_over_what_is_inherited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("A", "B", "C"):
        monkeypatch.setenv(name, "inherited")
    monkeypatch.setenv("WEB_CONCURRENCY", "4")
    monkeypatch.setenv("LOOPWISE_FACTORY_ARGS", "{}")
    (tmp_path / ".env").write_text("B=file\nC=file\nWEB_CONCURRENCY=3")
    server = Server(env={"C": "{fresh.DATA}/c", "PYTHONPATH": "src"}, env_file=str(tmp_path / ".env"))
    case = case_of("x", server=server, app=own(tmp_path))
    found = environment(case, tmp_path, {}, Copies({"DATA": "/copy"}))
    assert [found[name] for name in ("A", "B", "C")] == ["inherited", "file", "/copy/c"]
    assert found["PYTHONPATH"] == f"{tmp_path}{os.pathsep}src"
    assert not {"WEB_CONCURRENCY", "LOOPWISE_FACTORY_ARGS"} & set(found)  # they would make another case of it


def test_arguments_of_the_factory_reach_the_probe_with_copies_in_them(tmp_path: Path) -> None:
    app = own(tmp_path, factory_args={"path": "{fresh.data}", "sizes": [1, "{fresh.data}"]})
    found = environment(case_of("x", app=app), tmp_path, {}, Copies({"data": "/copy"}))
    assert json.loads(found["LOOPWISE_FACTORY_ARGS"]) == {"path": "/copy", "sizes": [1, "/copy"]}


def test_copies_hold_what_the_originals_hold_and_are_removed(tmp_path: Path) -> None:
    data = tmp_path / "data" / "inner"
    data.mkdir(parents=True)
    (data / "x").write_text("x")
    for name in ("shop.db", "shop.db-wal"):
        (tmp_path / name).write_text(name)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    sources = {"DATA": str(tmp_path / "data"), "DB": str(tmp_path / "shop.db")}
    with copied(sources, scratch) as copies:
        assert (Path(copies.paths["DATA"]) / "inner" / "x").read_text() == "x"
        assert Path(copies.paths["DB"] + "-wal").read_text() == "shop.db-wal"  # what SQLite wrote last
        Path(copies.paths["DB"]).write_text("changed")
        (Path(copies.paths["DATA"]) / "inner" / "x").unlink()
        copies.refuse_touched()
    assert list(scratch.iterdir()) == []
    assert (tmp_path / "shop.db").read_text() == "shop.db"
    assert (data / "x").exists()


@pytest.mark.parametrize("change", ["write", "add", "remove"])
def test_an_original_that_changes_voids_the_run(tmp_path: Path, change: str) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "x").write_text("x")
    with copied({"DATA": str(data)}, tmp_path) as copies:
        touched = data / ("new" if change == "add" else "x")
        if change == "remove":
            touched.unlink()
        else:
            touched.write_text("longer")
        with pytest.raises(ServerError) as raised:
            copies.refuse_touched()
    assert str(raised.value).startswith(f"{touched} was changed during the run, though `fresh` names {data}")


def test_a_copy_lies_on_the_file_system_of_its_original(tmp_path: Path) -> None:
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        memory = Path("/tmp")
    data = tmp_path / "data"
    data.touch()
    with tempfile.TemporaryDirectory(dir=memory) as scratch, copied({"D": str(data)}, Path(scratch)) as copies:
        assert Path(copies.paths["D"]).stat().st_dev == data.stat().st_dev
    assert [each.name for each in tmp_path.iterdir()] == ["data"]


def test_what_cannot_be_copied_is_one_sentence(tmp_path: Path) -> None:
    refused = pytest.raises(ServerError, match=r"^fresh: .*/gone can't be copied: No such file or directory; make")
    with refused, copied({"D": str(tmp_path / "gone")}, tmp_path):
        raise AssertionError
    assert list(tmp_path.iterdir()) == []


def before(folder: Path, text: str, **keys: Any) -> Case:
    return case_of("x", before_replicate=Command(text=text, folder=str(folder)), **keys)


def test_a_command_runs_in_its_folder_with_the_cases_variables(tmp_path: Path) -> None:
    case = before(tmp_path, 'echo "$LOOPWISE_REPLICATE $A" >> out', server=Server(env={"A": "x"}))
    prepare([case, case], 3, tmp_path / "log")  # the same command once
    prepare([case_of("y")], 3, tmp_path / "log")
    assert (tmp_path / "out").read_text() == "3 x\n"


def test_a_command_that_fails_voids_the_run_with_its_last_line(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("earlier\n")
    with pytest.raises(ServerError) as raised:
        prepare([before(tmp_path, "echo no database >&2; exit 4")], 1, tmp_path / "log")
    assert str(raised.value) == (
        "before_replicate `echo no database >&2; exit 4` ended with status 4, so nothing was measured; "
        "it printed: no database; correct the command"
    )
    with pytest.raises(ServerError, match=r"can't be started in .*/gone: No such file"):
        prepare([before(tmp_path / "gone", "true")], 1, tmp_path / "log")


def test_a_command_that_does_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loopwise.servers.preparation.TIMEOUT_S", 0.05)
    with pytest.raises(ServerError, match=r"did not end within 0\.05 s; start what"):
        prepare([before(tmp_path, "sleep 60")], 1, tmp_path / "log")


def test_a_relative_python_path_counts_from_where_loopwise_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", "src::/opt/lib")
    assert base_environment(Server(), Copies())["PYTHONPATH"] == f"{tmp_path}/src:/opt/lib"
