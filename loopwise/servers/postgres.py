"""Run a temporary PostgreSQL for one experiment: `python postgres.py PROGRAMS [USER]`.

PROGRAMS is the folder of initdb and postgres. They refuse to run as root, so root names a USER for them. As soon as the
server accepts connections, one line of JSON with an environment variable, its address, is printed. The server ends with
this program, however that happens; at SIGTERM, as after the death of the harness, its folder is removed as well.
Standard library only.
"""

import ctypes
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

POLL_S = 0.01
START_TIMEOUT_S = 20.0
END_TIMEOUT_S = 5.0
PR_SET_PDEATHSIG = 1
SUPERUSER = "loopwise"
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # a path in a temporary folder is soon too long for a socket
    "max_connections": "300",
    "shared_buffers": "16MB",  # the table has 1 MB
    "fsync": "off",  # what is measured is the way to the database, not the disk
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",  # it would wake up in the middle of some runs
    "jit": "off",
}


def main(programs: Path, user: str | None) -> int:
    """Make a cluster, serve it until a signal, remove it; returns the exit status."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end_once)
    folder = _folder(user)
    server = None
    try:
        password = secrets.token_urlsafe(16)
        _make_cluster(programs, folder, password, user)
        port = _free_port()
        argv = [str(programs / "postgres"), "-D", str(folder / "data"), "-p", str(port)]
        argv += [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
        server = _start(argv, folder, user)
        _wait_ready(server, folder / "data" / "postmaster.pid")
        dsn = f"postgresql://{SUPERUSER}:{password}@127.0.0.1:{port}/postgres"
        print(json.dumps({"LOOPWISE_POSTGRES": dsn}), flush=True)
        return server.wait()
    finally:
        if server is not None:
            _end(server, signal.SIGQUIT)
        shutil.rmtree(folder, ignore_errors=True)


def _end_once(number: int, _frame: FrameType | None) -> None:
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, signal.SIG_IGN)
    sys.exit(128 + number)


def _folder(user: str | None) -> Path:
    """A new folder that the user can reach: all folders above it are searchable by others."""
    places = [Path(tempfile.gettempdir()).resolve(), Path("/tmp"), Path("/var/tmp"), Path("/dev/shm")]
    if user is not None:
        places = [place for place in places if _is_searchable(place)]
    if not places:
        sys.exit(f"postgres: no temporary folder can be reached by user {user}; set TMPDIR to one that can")
    folder = Path(tempfile.mkdtemp(prefix="loopwise-postgres-", dir=places[0]))
    if user is not None:
        shutil.chown(folder, user, pwd.getpwnam(user).pw_gid)
    return folder


def _is_searchable(place: Path) -> bool:
    return place.is_dir() and all(each.stat().st_mode & 0o001 for each in (place, *place.parents))


def _start(argv: Sequence[str], folder: Path, user: str | None) -> subprocess.Popen[bytes]:
    """Start a program as the user, with its output on stderr. It is killed when this one is."""
    identity: dict[str, Any] = {}
    if user is not None:
        identity = {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}
    return subprocess.Popen(
        argv,
        cwd=folder,
        env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        process_group=0,
        preexec_fn=_die_with_parent,  # noqa: PLW1509 - there are no other threads here
        **identity,
    )


def _die_with_parent() -> None:
    """Called after the change of user, which would undo it. PostgreSQL ends at once on SIGQUIT."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)


def _make_cluster(programs: Path, folder: Path, password: str, user: str | None) -> None:
    secret = folder / "password"
    secret.touch(mode=0o600)
    secret.write_text(password, encoding="ascii")
    if user is not None:
        shutil.chown(secret, user)
    argv = [str(programs / "initdb"), "-D", str(folder / "data"), "-U", SUPERUSER, "--pwfile", str(secret)]
    argv += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"]
    making = _start(argv, folder, user)
    try:
        status = making.wait()
    finally:
        _end(making, signal.SIGKILL)
        secret.unlink()
    if status:
        sys.exit(f"postgres: initdb ended with status {status}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_ready(server: subprocess.Popen[bytes], status_file: Path) -> None:
    """Wait for `ready` in the eighth line of PostgreSQL's pid file, as pg_ctl does."""
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while True:
        lines = status_file.read_text(encoding="utf-8").splitlines() if status_file.exists() else []
        if len(lines) >= 8 and lines[7].strip() == "ready":
            return
        if server.poll() is not None:
            sys.exit(f"postgres: ended with status {server.returncode} before it was ready")
        if time.monotonic() > deadline_s:
            sys.exit(f"postgres: not ready within {START_TIMEOUT_S:g} s")
        time.sleep(POLL_S)


def _end(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """End a program and the children still in its group."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return
    try:
        process.wait(END_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None))
