"""Variables that would change what is measured: removed, told or recorded."""

import sys
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from support.e2e import PLAIN_APP, app_file
from support.fakes import case_of

from loopwise.analysis.comparison import served_differences
from loopwise.generator.client import GeneratorProcess
from loopwise.model import App, Endpoint, Server, ServerFacts
from loopwise.servers.environment import base_environment, environment, inherited
from loopwise.servers.fresh import Copies
from loopwise.servers.lifecycle import serve
from loopwise.servers.variables import RULES, Treatment, notes, recorded, treatment_of

# name -> what becomes of it
TABLE: list[tuple[str, Treatment | None]] = [
    ("WEB_CONCURRENCY", "removed"),
    ("UVICORN_WORKERS", "removed"),
    ("GUNICORN_CMD_ARGS", "removed"),
    ("GRANIAN_BLOCKING_THREADS", "removed"),
    ("HYPERCORN_WORKERS", "removed"),
    ("PYTHONASYNCIODEBUG", "told"),
    ("PYTHONDEVMODE", "told"),
    ("PYTHONTRACEMALLOC", "told"),
    ("PYTHONMALLOC", "told"),
    ("PYTHONOPTIMIZE", "recorded"),
    ("LD_PRELOAD", "recorded"),
    ("MALLOC_ARENA_MAX", "recorded"),
    ("OMP_NUM_THREADS", "recorded"),
    ("MKL_NUM_THREADS", "recorded"),
    ("OPENBLAS_NUM_THREADS", "recorded"),
    ("GUNICORN_NAME", None),
    ("PYTHONPATH", None),
    ("COMP_WORDS", None),
]


@pytest.mark.parametrize(("name", "treatment"), TABLE)
def test_a_variable_is_treated_as_its_rule_says(
    name: str, treatment: Treatment | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "1")
    assert treatment_of(name) == treatment
    assert (name in inherited()) == (treatment != "removed")
    assert (name in recorded({name: "1"}, ())) == (treatment in {"told", "recorded"})
    assert bool(notes({name: "1"})) == (treatment in {"removed", "told"})


def test_every_rule_is_documented() -> None:
    text = (Path(__file__).parents[1] / "docs" / "apps.md").read_text(encoding="utf-8")
    assert [rule.pattern for rule in RULES if f"`{rule.pattern}`" not in text] == []


def test_what_the_suite_says_itself_is_passed_on_and_not_recorded_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UVICORN_LIMIT_MAX_REQUESTS", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    (tmp_path / ".env").write_text("UVICORN_WORKERS=4\nUVICORN_ROOT_PATH=/x\nMKL_NUM_THREADS=2\nWEB_CONCURRENCY=4\n")
    server = Server(env={"OMP_NUM_THREADS": "1", "PYTHONDEVMODE": ""}, env_file=str(tmp_path / ".env"))
    found = environment(case_of("x", server=server), tmp_path, {})
    assert not {"UVICORN_LIMIT_MAX_REQUESTS", "UVICORN_WORKERS", "WEB_CONCURRENCY"} & set(found)
    assert (found["UVICORN_ROOT_PATH"], found["OMP_NUM_THREADS"]) == ("/x", "1")
    assert recorded(found, server.env) == {"MKL_NUM_THREADS": "2"}
    assert base_environment(Server(env={"UVICORN_H11_MAX_INCOMPLETE_EVENT_SIZE": "9"}), Copies())[
        "UVICORN_H11_MAX_INCOMPLETE_EVENT_SIZE"
    ]


def test_the_notes_name_what_is_set() -> None:
    assert notes({"PATH": "/bin", "PYTHONDEVMODE": "", "OMP_NUM_THREADS": "1"}) == []
    removed, slow = notes({"WEB_CONCURRENCY": "4", "GRANIAN_WORKERS": "2", "PYTHONDEVMODE": "1"})
    assert removed.startswith("servers don't get GRANIAN_WORKERS, WEB_CONCURRENCY, which would overrule the suite")
    assert slow.startswith("servers run with PYTHONDEVMODE, which may make them slower")


def facts(variables: dict[str, str] | None) -> ServerFacts:
    return ServerFacts(python="3.12.1", variables=variables)


def test_two_results_with_other_variables_must_not_be_compared_unasked() -> None:
    (found,) = served_differences(
        facts({"LD_PRELOAD": "/a.so", "OMP_NUM_THREADS": "1"}), facts({"OMP_NUM_THREADS": "1"})
    )
    assert (*found, found.forbids) == ("variables.LD_PRELOAD", "/a.so", None, True)
    assert served_differences(facts(None), facts({"LD_PRELOAD": "/a.so"})) == []  # of a version that recorded none


@pytest.mark.e2e
def test_a_server_and_the_generator_run_as_the_suite_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"WEB_CONCURRENCY": "3", "UVICORN_WORKERS": "2", "UVICORN_LIMIT_CONCURRENCY": "0"}.items():
        monkeypatch.setenv(name, value)
    for name, value in {"PYTHONDEVMODE": "1", "OMP_NUM_THREADS": "5", "MALLOC_ARENA_MAX": "7"}.items():
        monkeypatch.setenv(name, value)
    app_file(tmp_path, PLAIN_APP)
    app = App(target="plain:app", app_dir=str(tmp_path), python=sys.executable)
    case = case_of("x", "own", app=app, endpoints=(Endpoint(path="/"),), server=Server(env={"MALLOC_ARENA_MAX": "2"}))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with (
        serve(case, scratch=scratch, log=tmp_path / "server.log", calibration={}) as server,
        closing(GeneratorProcess(tmp_path / "generator.log")) as generator,
    ):
        assert server.pid is not None
        assert server.facts.variables == {"OMP_NUM_THREADS": "5", "PYTHONDEVMODE": "1"}
        assert server.facts.pids == (server.pid,)
        assert "PYTHONDEVMODE" in psutil.Process(server.pid).environ()
        assert generator.is_alive
        (load,) = [each for each in psutil.Process().children() if "loopwise.generator" in each.cmdline()]
        assert "PYTHONDEVMODE" not in load.environ()
