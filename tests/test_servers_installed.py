"""Options by the installed version of a server, and interpreters that are too old."""

import sys
from pathlib import Path

import pytest

from loopwise.errors import ServerError
from loopwise.model import Server
from loopwise.servers.installed import installed_version, numbers
from loopwise.servers.specs import SERVERS

# server, version, options that are left out, options that stay
VERSIONS = [
    ("uvicorn", (0, 17, 6), {"--timeout-graceful-shutdown", "2"}, {"--http", "auto", "--workers", "3"}),
    ("uvicorn", (0, 22), set(), {"--timeout-graceful-shutdown", "2"}),
    ("gunicorn", (20, 1), set(), {"--graceful-timeout"}),
    ("gunicorn-asgi", (25, 0, 3), {"--no-control-socket"}, {"--bind", "127.0.0.1:1", "--workers"}),
    ("gunicorn-asgi", (25, 1), set(), {"--no-control-socket"}),
    ("granian", (1, 0, 2), {"--workers-kill-timeout", "--backpressure", "2"}, {"--backlog", "300", "warning"}),
    ("granian", (1, 7), set(), {"--workers-kill-timeout", "--backpressure", "2"}),
    ("hypercorn", (0, 14, 4), set(), {"--graceful-timeout", "loopwise_probe:app"}),
]


@pytest.mark.parametrize(("name", "version", "gone", "stay"), VERSIONS)
def test_options_that_a_version_lacks_are_left_out_with_their_values(
    name: str, version: tuple[int, ...], gone: set[str], stay: set[str]
) -> None:
    spec = SERVERS[name]
    values = {"name": name, "workers": 3} | ({"backlog": 300} if name == "granian" else {})
    argv = spec.argv(Server.model_validate(values), "python", 1, Path("/scratch"))
    kept = spec.argv_for(argv, version)
    assert not gone & set(kept)
    assert stay <= set(kept)
    assert spec.argv_for(argv, None) == argv


def test_an_option_that_was_asked_for_is_not_left_out() -> None:
    spec = SERVERS["granian"]
    argv = spec.argv(Server(name="granian", access_log=True), "python", 1, Path("/scratch"))
    with pytest.raises(ServerError, match=r"granian 1\.3\.2 has no --access-log, which 1\.4 or newer has"):
        spec.argv_for(argv, (1, 3, 2))


def test_the_version_is_that_of_the_apps_interpreter() -> None:
    found = installed_version(sys.executable, "uvicorn", {})
    assert found is not None
    assert found > (0, 17)
    assert installed_version(sys.executable, "a-package-that-nobody-installs", {}) is None
    assert installed_version("/nowhere/python", "uvicorn", {}) is None
    assert numbers("1.2.3rc1") == (1, 2, 3)


def test_an_older_python_is_refused_in_a_sentence(tmp_path: Path) -> None:
    old = tmp_path / "python"
    old.write_text("#!/bin/sh\necho 3.8\n")
    old.chmod(0o755)
    with pytest.raises(ServerError, match=r"python is Python 3\.8, allowed is 3\.9 or newer; give the app"):
        installed_version(str(old), "uvicorn", {})
