"""Each server's command line, what it refuses and what it needs."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from support.suite import sentence

from loopwise.model import Server
from loopwise.paths import target_app_dir
from loopwise.servers.spec import refused_argument
from loopwise.servers.specs import PACKAGES, SERVERS, WSGI_SERVERS, refusal, spec_of

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
    (
        Server(name="gunicorn", interface="wsgi", threads=4, workers=2, backlog=99),
        ("--threads 4", "--workers 2", "--backlog 99", "--timeout 0", "--bind 127.0.0.1:8123"),
    ),
    (Server(name="granian", interface="wsgi", threads=4), ("--interface wsgi", "--blocking-threads 4", "--workers 1")),
]


@pytest.mark.parametrize(("server", "parts"), COMMAND_LINES)
def test_command_line_has_every_option_of_the_suite(server: Server, parts: tuple[str, ...]) -> None:
    argv = spec_of(server).argv(server, "/venv/bin/python", 8123, Path("/scratch"))
    assert argv[0] == "/venv/bin/python"
    line = " ".join(argv)
    assert [part for part in parts if part not in line] == []
    assert "0.0.0.0" not in line


def test_every_server_listens_on_loopback_only() -> None:
    for servers, interface in ((SERVERS, "asgi"), (WSGI_SERVERS, "wsgi")):
        for name, spec in servers.items():
            argv = spec.argv(Server.model_validate({"name": name, "interface": interface}), "p", 8123, Path("/scratch"))
            addresses = [value for option, value in pairwise(argv) if option in {"--host", "--bind"}]
            assert [each.partition(":")[0] for each in addresses] == ["127.0.0.1"], name
    assert [each for each in ("--host", "--bind", "-b", "--uds", "--fd") if refused_argument([each]) is None] == []


def test_command_lines_leave_out_options_that_are_not_set() -> None:
    assert {server.name for server, _ in COMMAND_LINES} == set(SERVERS) == set(VALUES)
    for name, spec in SERVERS.items():
        line = spec.argv(Server.model_validate({"name": name}), "python", 1, Path("/scratch"))
        assert not {"--backlog", "--limit-concurrency", "--backpressure"} & set(line)
    for name, spec in WSGI_SERVERS.items():
        line = spec.argv(Server(name=name, interface="wsgi"), "python", 1, Path("/scratch"))
        assert not {"--backlog", "--threads", "--blocking-threads", "--loop", "-c", "--access-logfile"} & set(line)


@pytest.mark.parametrize("name", ["gunicorn", "gunicorn-asgi"])
@pytest.mark.parametrize(("timeouts", "seconds"), [(None, "0"), ("production", "30")])
def test_gunicorn_kills_blocked_workers_only_if_asked(name: str, timeouts: str | None, seconds: str) -> None:
    server = Server.model_validate({"name": name, "timeouts": timeouts})
    line = SERVERS[name].argv(server, "python", 1, Path("/scratch"))
    assert line[line.index("--timeout") + 1] == seconds


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
def test_refusals_name_the_key_and_nothing_else_is_refused(name: str) -> None:
    refused, taken = VALUES[name]
    assert {key for each in refused for key in each} == set(SERVERS[name].refuses)
    for options in refused:
        found = SERVERS[name].refusal(Server.model_validate({"name": name, **options}))
        assert found is not None
        assert found[0] in options
    for options in [*taken, {}]:
        assert SERVERS[name].refusal(Server.model_validate({"name": name, **options})) is None


# server -> values that it refuses for a WSGI app, values that it takes
WSGI_VALUES: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {
    "gunicorn": (
        [{"loop": "uvloop"}, {"http": "h11"}, {"limit_concurrency": 9}],
        [{"threads": 9, "backlog": 9, "timeouts": "production"}],
    ),
    "granian": (
        [{"loop": "asyncio"}, {"http": "h11"}, {"limit_concurrency": 9}, {"backlog": 127}],
        [{"threads": 9, "backlog": 128}],
    ),
}


@pytest.mark.parametrize("name", SERVERS)
def test_a_wsgi_app_is_served_by_servers_with_an_interface_for_it(name: str) -> None:
    found = refusal(Server(name=name, interface="wsgi"))
    assert refusal(Server(name=name, interface="a2wsgi", loop="asyncio")) is None
    if name not in WSGI_SERVERS:
        assert found is not None
        assert found[0] == "interface"
        assert (
            f'{name} can\'t: {SERVERS[name].no_wsgi}; set server = "gunicorn" or "granian", or interface = "a2'
            in found[1]
        )
        return
    assert found is None
    refused, taken = WSGI_VALUES[name]
    assert {key for each in refused for key in each} == set(WSGI_SERVERS[name].refuses)
    for options in refused:
        sentence = refusal(Server.model_validate({"name": name, "interface": "wsgi", **options}))
        assert sentence is not None
        assert sentence[0] in options
    for options in taken:
        assert refusal(Server.model_validate({"name": name, "interface": "wsgi", **options})) is None


def test_an_interface_belongs_to_an_app_of_ones_own(tmp_path: Path) -> None:
    text = '[[matrix]]\nworkload = "noop"\nmode = "async"\ninterface = "wsgi"'
    assert "x.toml: matrix[0].interface: can't be combined with workload" in sentence(tmp_path, text)
    text = '[[matrix]]\napp = "shop:app"\nendpoint = "/"\ninterface = "wsgi"'
    assert 'x.toml: matrix[0].interface: got "wsgi", uvicorn can\'t' in sentence(tmp_path, text)


def test_refusal_in_a_suite_names_file_and_key(tmp_path: Path) -> None:
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
def test_remedy_names_package_and_interpreter(server: Server, log: str, package: str) -> None:
    spec = SERVERS[server.name]
    remedy = spec.remedy(server, "/p", log)
    assert remedy is not None
    assert remedy.startswith(("/p ", "the gunicorn of /p "))
    assert package in remedy
    assert spec.remedy(server, "/p", "ValueError: out of luck") is None


@pytest.mark.parametrize("name", SERVERS)
def test_every_option_that_loopwise_sets_is_refused_in_server_args(name: str) -> None:
    spec = SERVERS[name]
    full = {"name": name, "workers": 2, "backlog": 300, "limit_concurrency": 7, "access_log": True}
    taken = {
        key: value for key, value in full.items() if key not in spec.refuses or (name, key) == ("granian", "backlog")
    }
    argv = spec.argv(Server.model_validate(taken), "python", 1, Path("/scratch"))
    options = [each for each in argv[3:] if each.startswith("-") and each != "-"]
    assert [each for each in options if refused_argument([each]) is None] == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--workers", "4"], "`workers`"),
        (["--workers=4"], "`workers`"),
        (["-w4"], "`workers`"),
        (["--work", "4"], "`workers`"),  # argparse takes an option's beginning
        (["--proxy-headers", "--port", "80"], "`port`"),
        (["--env-file", ".env"], "`env_file`"),
        (["-c", "gunicorn.conf.py"], "write its settings as options"),
        (["--reload"], "can't be measured"),
        (["--blocking-threads", "4"], "`threads`"),
        (["--interface=wsgi"], "`interface`"),
        (["--", "other:app"], "remove it"),
        (["other:app"], "put the option before its value"),
    ],
)
def test_options_that_loopwise_sets_are_refused_in_a_sentence(tmp_path: Path, arguments: list[str], words: str) -> None:
    message = sentence(tmp_path, f'[[matrix]]\nworkload = "noop"\nmode = "async"\nserver_args = {arguments}')
    assert "x.toml: matrix[0].server_args: got " in message
    assert words in message


@pytest.mark.parametrize(
    "arguments",
    [
        ["--proxy-headers", "--forwarded-allow-ips", "*"],
        ["--preload"],
        ["--max-requests", "1000", "--max-requests-jitter=50"],
        ["--timeout-keep-alive", "75"],
        ["--keep-alive", "75"],
        ["--worker-connections", "500"],
        ["--runtime-threads", "2"],
    ],
)
def test_other_options_of_servers_are_taken(arguments: list[str]) -> None:
    assert refused_argument(arguments) is None


@pytest.mark.parametrize("name", SERVERS)
def test_the_access_log_is_off_unless_it_is_wanted(name: str) -> None:
    off, on = (
        SERVERS[name].argv(Server(name=name, access_log=wanted), "python", 1, Path("/scratch"))
        for wanted in (False, True)
    )
    assert not {"--access-log", "--access-logfile"} & set(off)
    # gunicorn's configuration file reads it from a variable, see test_target_gunicorn
    assert name == "gunicorn" or {"--access-log", "--access-logfile"} & set(on)


def test_packages_are_requirements_without_versions() -> None:
    assert PACKAGES == ("uvicorn", "gunicorn", "uvicorn-worker", "granian", "hypercorn")


def test_configuration_files_exist_in_target_app() -> None:
    names = [spec.configuration for spec in SERVERS.values() if spec.configuration]
    assert names == ["gunicorn_conf.py", "hypercorn_conf.py"]
    assert all((target_app_dir() / "target_app" / name).is_file() for name in names)
