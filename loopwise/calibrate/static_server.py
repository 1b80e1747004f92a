"""The server that a generator is calibrated against: nginx with a configuration of its own, or fixed_answer.py."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from loopwise.calibrate.fixed_answer import BACKLOG, BODY
from loopwise.errors import ServerError
from loopwise.servers import processes
from loopwise.servers.lifecycle import POLL_S, free_port
from loopwise.servers.spec import HOST

PROGRAM = Path(__file__).with_name("fixed_answer.py")
START_TIMEOUT_S = 10.0
SYSTEM_FOLDERS = "/usr/local/sbin:/usr/sbin:/sbin"
"""Where nginx and tcpdump lie; not on every user's PATH."""
NGINX = """\
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr error;
events {{ use epoll; worker_connections 16384; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_timeout 3600s;
    keepalive_requests 1000000000;
    server {{
        listen {host}:{port} backlog={backlog};
        location / {{ default_type text/plain; return 200 "{body}"; }}
    }}
}}
"""


@dataclass(frozen=True)
class StaticServer:
    """A static server that answers, in one process with one thread."""

    name: str
    """`nginx/1.26.3`, or `built-in`."""
    port: int
    pid: int

    @property
    def url(self) -> str:
        """Base URL; every path has the same answer."""
        return f"http://{HOST}:{self.port}"

    def cpu_s(self) -> float:
        """CPU seconds used so far."""
        times = psutil.Process(self.pid).cpu_times()
        return float(times.user + times.system)


def find_program(name: str) -> str | None:
    """Path of an installed program, or None."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), SYSTEM_FOLDERS]))


@contextmanager
def serve_static(folder: Path, core: int | None) -> Iterator[StaticServer]:
    """Serve for the duration of a `with` block.

    Args:
        folder: empty; for the configuration, temporary files and the log.
        core: the server is pinned there; None: wherever the kernel likes.

    Raises:
        ServerError: it did not come up.
    """
    port, nginx, log = free_port(), find_program("nginx"), folder / "server.log"
    if nginx is None:
        name, argv = "built-in", [sys.executable, "-I", "-S", str(PROGRAM), str(port)]
    else:
        name, argv = nginx_version(nginx), nginx_argv(nginx, folder, port)
    process = processes.start(argv, log=log, cwd=folder)
    try:
        _wait_ready(process, name, port, log)
        if core is not None:
            os.sched_setaffinity(process.pid, {core})
        yield StaticServer(name, port, process.pid)
    finally:
        processes.end(process, grace_s=1.0)


def nginx_argv(nginx: str, folder: Path, port: int) -> list[str]:
    """Command line of an nginx that uses nothing outside the folder; writes its configuration there."""
    config = folder / "nginx.conf"
    body = BODY.decode().replace("\n", "\\n")
    text = NGINX.format(folder=folder, host=HOST, port=port, backlog=BACKLOG, body=body)
    config.write_text(text, encoding="utf-8")
    return [nginx, "-e", "stderr", "-p", str(folder), "-c", str(config)]


def nginx_version(nginx: str) -> str:
    """`nginx/1.26.3`."""
    told = subprocess.run([nginx, "-v"], capture_output=True, text=True, timeout=START_TIMEOUT_S, check=False)
    return (told.stderr or told.stdout).strip().rpartition(": ")[2] or "nginx"


def _wait_ready(process: subprocess.Popen[str], name: str, port: int, log: Path) -> None:
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while not _answers(port):
        if process.poll() is not None:
            raise ServerError(
                f"the static server {name} ended with status {process.returncode}. {processes.quoted(log)}"
            )
        if time.monotonic() > deadline_s:
            raise ServerError(
                f"the static server {name} did not answer within {START_TIMEOUT_S:g} s; "
                f"is the machine overloaded? {processes.quoted(log)}"
            )
        time.sleep(POLL_S)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=1.0) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: calibrate\r\n\r\n")
            return client.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False
