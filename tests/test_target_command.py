import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from target_app.__main__ import main
from target_app.catalogue import describe

ROOT = Path(__file__).parents[1]
ALL = "noop, sleep, cpu, sqlite, json, hash, mixed, files, upstream, cache, postgres"


def command(*arguments: str, stdin: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("LOOPWISE_")}
    return subprocess.run(
        [sys.executable, "-m", "target_app", *arguments],
        input=stdin,
        cwd=ROOT,
        env={**environment, **variables},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def request(workload: Any, mode: Any, **params: Any) -> dict[str, Any]:
    return {"workload": workload, "mode": mode, "params": params}


ACCEPTED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (
        request("sleep", "async", ms=50),
        {"path": "/sleep/async?ms=50", "params": {"ms": 50}, "cost": {"wait_ms": 50, "cpu_ms": 0}},
    ),
    (
        request("sleep", "sync", ms=2.0),
        {"path": "/sleep/sync?ms=2", "params": {"ms": 2}, "cost": {"wait_ms": 2, "cpu_ms": 0}},
    ),
    (
        request("sleep", "sync"),
        {"path": "/sleep/sync", "params": {}, "cost": {"wait_ms": 50, "cpu_ms": 0}},
    ),
    (
        {"workload": "noop", "mode": "process"},
        {"path": "/noop/process", "params": {}, "cost": {"wait_ms": 0, "cpu_ms": 0}},
    ),
    (
        request("cpu", "process", ms=2.5),
        {"path": "/cpu/process?ms=2.5", "params": {"ms": 2.5}, "cost": {"wait_ms": 0, "cpu_ms": 2.5}},
    ),
    (
        request("cpu", "blocking", iterations=5000),
        {"path": "/cpu/blocking?iterations=5000", "params": {"iterations": 5000}, "cost": None},
    ),
    (
        request("sqlite", "async", rows=5, operation="write"),
        {
            "path": "/sqlite/async?operation=write&rows=5",
            "params": {"operation": "write", "rows": 5},
            "cost": None,
        },
    ),
    (
        request("upstream", "async", ms=20, distribution="lognormal"),
        {
            "path": "/upstream/async?ms=20&distribution=lognormal",
            "params": {"ms": 20, "distribution": "lognormal"},
            "cost": {"wait_ms": 20, "cpu_ms": 0},
            "needs": ["upstream"],
        },
    ),
    (
        request("cache", "sync", behind="upstream", hit_ratio=0.75, ms=40),
        {
            "path": "/cache/sync?behind=upstream&hit_ratio=0.75&ms=40",
            "params": {"behind": "upstream", "hit_ratio": 0.75, "ms": 40},
            "cost": {"wait_ms": 10, "cpu_ms": 0},
            "needs": ["upstream"],
        },
    ),
    (request("cache", "sync"), {"path": "/cache/sync", "params": {}, "cost": None}),
    (
        request("mixed", "to_thread", io_ms=5, cpu_ms=1.5),
        {
            "path": "/mixed/to_thread?io_ms=5&cpu_ms=1.5",
            "params": {"io_ms": 5, "cpu_ms": 1.5},
            "cost": {"wait_ms": 10, "cpu_ms": 1.5},
        },
    ),
    (
        request("postgres", "async", driver="asyncpg"),
        {
            "path": "/postgres/async?driver=asyncpg",
            "params": {"driver": "asyncpg"},
            "cost": None,
            "needs": ["postgres"],
        },
    ),
]

REFUSED: list[tuple[dict[str, Any], str, str]] = [
    (request("nap", "async"), "workload", f'got "nap", allowed are {ALL}'),
    (request(["a"], "async"), "workload", f'got ["a"], allowed are {ALL}'),
    ({}, "workload", f"got null, allowed are {ALL}"),
    (
        request("sleep", "asink"),
        "mode",
        'got "asink", allowed for sleep are async, sync, blocking, to_thread, process',
    ),
    (request("noop", 3), "mode", "got 3, allowed for noop are async, sync, to_thread, process"),
    (
        request("noop", "blocking"),
        "mode",
        'got "blocking" (it does nothing that could block the event loop),'
        " allowed for noop are async, sync, to_thread, process",
    ),
    (
        request("sqlite", "process"),
        "mode",
        'got "process" (a query waits for the file and for other writers,'
        " which more processes do not shorten),"
        " allowed for sqlite are async, sync, blocking, to_thread",
    ),
    (request("sleep", "sync", sm=1), "params.sm", "got an unknown parameter; sleep takes ms"),
    (request("noop", "sync", ms=1), "params.ms", "got an unknown parameter; noop takes no parameters"),
    (request("sleep", "sync", ms=True), "params.ms", "got true, allowed is a number from 0 to 60000"),
    (request("sleep", "sync", ms="50"), "params.ms", 'got "50", allowed is a number from 0 to 60000'),
    (request("sleep", "sync", ms=-0.5), "params.ms", "got -0.5, allowed is a number from 0 to 60000"),
    (request("sleep", "sync", ms=None), "params.ms", "got null, allowed is a number from 0 to 60000"),
    (
        request("cpu", "sync", iterations=2.0),
        "params.iterations",
        "got 2.0, allowed is a whole number from 1 to 1000000000",
    ),
    (
        request("cpu", "sync", ms=1, iterations=2),
        "params.iterations",
        "got both ms and iterations, allowed is one of the two; leave one out",
    ),
    (
        request("sqlite", "sync", operation="x" * 100),
        "params.operation",
        f'got "{"x" * 59}…, allowed is read, write',
    ),
    (
        request("hash", "sync", algorithm="md5"),
        "params.algorithm",
        'got "md5", allowed is sha256, blake2b, zlib',
    ),
    (
        request("sqlite", "sync", connection="none"),
        "params.connection",
        'got "none", allowed is request, pool, shared',
    ),
    (
        request("upstream", "sync", ms=5, sigma=0.5),
        "params.sigma",
        'got sigma with distribution "fixed", allowed is it with "lognormal"; leave sigma out',
    ),
    (request("upstream", "sync", client="new"), "params.client", 'got "new", allowed is shared, request'),
    (
        request("upstream", "process"),
        "mode",
        'got "process" (an answer takes the service equally long, whichever process asks),'
        " allowed for upstream are async, sync, blocking, to_thread",
    ),
    (
        request("cache", "async", hit_ratio=1.5),
        "params.hit_ratio",
        "got 1.5, allowed is a number from 0 to 1",
    ),
    (
        request("cache", "async", ms=5),
        "params.ms",
        'got ms with behind "sqlite", allowed is it with "upstream"; leave ms out',
    ),
    (
        request("files", "sync", size_kb=0),
        "params.size_kb",
        "got 0, allowed is a whole number from 1 to 65536",
    ),
    (request("mixed", "sync", ms=5), "params.ms", "got an unknown parameter; mixed takes io_ms, cpu_ms"),
    (
        request("postgres", "to_thread", driver="asyncpg"),
        "params.driver",
        'got "asyncpg" in mode "to_thread", allowed there is psycopg: asyncpg is async only',
    ),
    ({**request("sleep", "sync"), "params": [1]}, "params", "got [1], allowed is a table of parameters"),
]


@pytest.mark.parametrize(("asked", "answer"), ACCEPTED)
def test_a_right_request_is_described_by_path_parameters_and_cost(
    asked: dict[str, Any], answer: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LOOPWISE_CPU_ITERATIONS_PER_MS", raising=False)
    assert describe(asked) == {"ok": True, "features": "", **answer}


@pytest.mark.parametrize(("asked", "key", "sentence"), REFUSED)
def test_a_wrong_request_is_refused_by_key_and_sentence(asked: dict[str, Any], key: str, sentence: str) -> None:
    assert describe(asked) == {"ok": False, "key": key, "error": sentence}


def test_iterations_cost_what_the_constant_in_the_environment_makes_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LOOPWISE_CPU_ITERATIONS_PER_MS", "1000")
    assert describe(request("cpu", "sync", iterations=2500))["cost"] == {"wait_ms": 0, "cpu_ms": 2.5}


def test_describe_answers_a_list_on_stdin_in_its_order() -> None:
    asked = [case[0] for case in ACCEPTED] + [case[0] for case in REFUSED]
    ended = command("describe", stdin=json.dumps(asked))
    assert (ended.returncode, ended.stderr) == (0, "")
    answers = json.loads(ended.stdout)
    assert [answer["ok"] for answer in answers] == [True] * len(ACCEPTED) + [False] * len(REFUSED)
    assert answers[0]["path"] == ACCEPTED[0][1]["path"]


def test_list_gives_every_workload_with_its_modes_and_the_facts_of_its_parameters() -> None:
    listed = json.loads(command("list").stdout)
    assert list(listed["workloads"]) == ALL.split(", ")
    assert list(listed["modes"]) == ["async", "sync", "blocking", "to_thread", "process"]
    assert listed["modes"]["sync"] == "`def`, which FastAPI runs in AnyIO's thread pool."
    assert listed["workloads"]["sleep"]["params"] == {
        "ms": {
            "type": "number",
            "default": 50,
            "minimum": 0,
            "maximum": 60000,
            "description": "Time waited, in milliseconds.",
        }
    }
    assert listed["workloads"]["sqlite"]["params"]["operation"]["allowed"] == ["read", "write"]
    facts = [fact for entry in listed["workloads"].values() for fact in entry["params"].values()]
    assert all(fact["description"] and ("maximum" in fact or "allowed" in fact) for fact in facts)


@pytest.mark.parametrize(
    ("params", "missing", "names"),
    [
        ({}, {"psycopg_pool"}, "psycopg-pool"),
        ({"driver": "asyncpg"}, {"asyncpg"}, "asyncpg"),
    ],
)
def test_a_driver_that_is_not_installed_is_told_of_with_the_remedy(
    params: dict[str, Any], missing: set[str], names: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("target_app.workloads.postgres.find_spec", lambda name: None if name in missing else object())
    answer = describe(request("postgres", "async", **params))
    assert answer["error"] == f'postgres needs {names}; install it: pip install "loopwise[postgres]"'


def test_list_says_which_service_a_workload_needs() -> None:
    listed = json.loads(command("list").stdout)["workloads"]
    assert {name: entry["needs"] for name, entry in listed.items() if entry["needs"]} == {
        "upstream": ["upstream"],
        "postgres": ["postgres"],
    }


def test_calibrate_prints_the_speed_of_this_machine() -> None:
    assert json.loads(command("calibrate").stdout)["cpu_iterations_per_ms"] > 100


@pytest.mark.parametrize(
    ("arguments", "stdin", "sentence"),
    [
        ((), "", "got nothing, allowed is one of describe, list, calibrate"),
        (("explain",), "", "got explain, allowed is one of describe, list, calibrate"),
        (("describe",), "{not json", "describe: stdin is no JSON"),
        (("describe",), '{"workload": "sleep"}', "describe: stdin must be a JSON list"),
    ],
)
def test_a_wrong_command_ends_with_status_2_and_a_sentence(
    arguments: tuple[str, ...], stdin: str, sentence: str
) -> None:
    ended = command(*arguments, stdin=stdin)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert sentence in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_constant_that_is_no_number_is_told_of_and_not_raised(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOPWISE_CPU_ITERATIONS_PER_MS", "fast")
    monkeypatch.setattr("sys.stdin", iter(()))
    monkeypatch.setattr("json.load", lambda _stdin: [request("cpu", "sync", iterations=1)])
    assert main(["describe"]) == 2
    assert 'LOOPWISE_CPU_ITERATIONS_PER_MS: got "fast"' in capsys.readouterr().err


def test_describing_loads_neither_a_web_framework_nor_a_server() -> None:
    heavy = (
        *("fastapi", "starlette", "uvicorn", "anyio", "aiosqlite"),
        *("httpx", "uvloop", "psycopg", "psycopg_pool", "asyncpg"),
    )
    code = f"import sys, target_app.__main__; print([name for name in {heavy} if name in sys.modules])"
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
    )
    assert ended.stdout == "[]\n"
