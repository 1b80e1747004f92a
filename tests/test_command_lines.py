"""Each server's command line, and what it refuses."""

from pathlib import Path
from typing import Any

import pytest
from support.suite import sentence

from loopwise.model import Server
from loopwise.servers.specs import NEEDS, REFUSALS, SERVERS, refusal, remedy

# server, options -> what its command line holds
COMMAND_LINES: list[tuple[Server, tuple[str, ...]]] = [
    (Server(), ("-m uvicorn", "--port 8123", "--loop auto", "--http auto")),
    (Server(loop="uvloop", http="h11"), ("--loop uvloop", "--http h11")),
    (
        Server(workers=2, limit_concurrency=7, backlog=99),
        ("--workers 2", "--limit-concurrency 7", "--backlog 99"),
    ),
    (Server(name="gunicorn"), ("-m gunicorn", "--bind 127.0.0.1:8123", "--workers 1", "--timeout 0")),
    (
        Server(name="gunicorn", workers=3, backlog=99),
        ("--workers 3", "--backlog 99", "-c /scratch/gunicorn_conf.py"),
    ),
    (
        Server(name="gunicorn-asgi", workers=2, loop="uvloop"),
        ("--worker-class asgi", "--asgi-loop uvloop", "--workers 2", "--timeout 0", "--bind 127.0.0.1:8123"),
    ),
    (
        Server(name="granian", workers=2, loop="asyncio"),
        ("--interface asgi", "--host 127.0.0.1", "--port 8123", "--workers 2", "--loop asyncio"),
    ),
    (Server(name="granian", workers=2, backlog=300), ("--backlog 300", "--backpressure 512")),
    (
        Server(name="hypercorn", workers=2, backlog=99),
        ("--bind 127.0.0.1:8123", "--workers 2", "--worker-class asyncio", "--backlog 99"),
    ),
    (
        Server(name="hypercorn", loop="uvloop"),
        ("--worker-class uvloop", "-c file:/scratch/hypercorn_conf.py"),
    ),
]


@pytest.mark.parametrize(("server", "parts"), COMMAND_LINES)
def test_a_servers_command_line_says_what_the_suite_says(server: Server, parts: tuple[str, ...]) -> None:
    argv = SERVERS[server.name](server, "/venv/bin/python", 8123, Path("/scratch"))
    assert argv[0] == "/venv/bin/python"
    line = " ".join(argv)
    assert [part for part in parts if part not in line] == []
    assert "0.0.0.0" not in line


def test_every_server_has_a_command_line_above_and_leaves_out_what_is_not_set() -> None:
    assert {server.name for server, _ in COMMAND_LINES} == set(SERVERS) == set(REFUSALS) == set(NEEDS)
    for name, make in SERVERS.items():
        line = make(Server.model_validate({"name": name}), "python", 1, Path("/scratch"))
        assert not {"--backlog", "--limit-concurrency", "--backpressure"} & set(line)


# server -> values that it refuses, values that it takes
VALUES: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {
    "uvicorn": ([], [{"http": "h11", "limit_concurrency": 9, "backlog": 9, "threads": 9}]),
    "gunicorn": ([], [{"http": "httptools", "limit_concurrency": 9, "backlog": 9, "threads": 9}]),
    "gunicorn-asgi": (
        [{"http": "h11"}, {"http": "httptools"}, {"limit_concurrency": 9}, {"backlog": 900}],
        [{"loop": "uvloop", "threads": 9, "port": 9000}],
    ),
    "granian": (
        [{"http": "h11"}, {"http": "httptools"}, {"limit_concurrency": 9}, {"backlog": 127}],
        [{"loop": "asyncio", "backlog": 128, "threads": 9}],
    ),
    "hypercorn": (
        [{"http": "httptools"}, {"limit_concurrency": 9}],
        [{"http": "h11", "loop": "uvloop", "backlog": 1, "threads": 9}],
    ),
}


@pytest.mark.parametrize("name", SERVERS)
def test_what_a_server_cannot_do_is_refused_by_its_key_and_nothing_else_is(name: str) -> None:
    refused, taken = VALUES[name]
    assert {key for each in refused for key in each} == set(REFUSALS[name])
    for options in refused:
        found = refusal(Server.model_validate({"name": name, **options}))
        assert found is not None
        assert found[0] in options
    for options in [*taken, {}]:
        assert refusal(Server.model_validate({"name": name, **options})) is None


def test_a_refusal_names_file_and_key_before_anything_starts(tmp_path: Path) -> None:
    text = '[[matrix]]\nworkload = "noop"\nmode = "async"\nserver = ["uvicorn", "granian"]\nhttp = "h11"'
    message = sentence(tmp_path, text)
    assert "x.toml: matrix[0].http: got 'h11', granian can't: it parses HTTP by itself" in message
    assert "allowed is auto" in message


@pytest.mark.parametrize(
    ("server", "log", "package"),
    [
        (Server(name="granian"), "/p: No module named granian", "pip install 'granian'"),
        (Server(name="hypercorn"), "/p: No module named hypercorn", "pip install 'hypercorn'"),
        (Server(name="gunicorn-asgi"), "Error: class uri 'asgi' invalid or not found", "'gunicorn>=25'"),
        (
            Server(name="granian", loop="uvloop"),
            "RuntimeError: 'uvloop' implementation not available.",
            "'uvloop'",
        ),
        (Server(name="hypercorn", loop="uvloop"), "Exception: uvloop is not installed", "'uvloop'"),
    ],
)
def test_a_missing_package_is_named_with_the_interpreter_that_lacks_it(
    server: Server, log: str, package: str
) -> None:
    told = remedy(server, "/p", log)
    assert told is not None
    assert told.startswith(("/p ", "the gunicorn of /p "))
    assert package in told
    assert remedy(server, "/p", "ValueError: out of luck") is None
