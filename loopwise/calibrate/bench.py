"""The bench of a calibration: a static server, and runs of our generator against it with their rows."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from loopwise.analysis.stats import nearest_rank
from loopwise.calibrate.fixed_answer import BACKLOG, BODY
from loopwise.errors import ServerError
from loopwise.generator.client import Generator
from loopwise.generator.protocol import Event, Order
from loopwise.model import Endpoint, GeneratorFigures, Load
from loopwise.paths import scenarios_dir
from loopwise.results.columns import KERNEL, UNFINISHED
from loopwise.results.folder import seal_samples
from loopwise.servers import processes
from loopwise.servers.lifecycle import free_port
from loopwise.servers.spec import HOST
from loopwise.servers.startup import POLL_S

PROGRAM = Path(__file__).with_name("fixed_answer.py")
START_TIMEOUT_S = 10.0
SYSTEM_FOLDERS = "/usr/local/sbin:/usr/sbin:/sbin"
"""Folders of nginx and tcpdump that are not on every user's PATH."""
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
    """A running static server: one process, one thread."""

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
    """Run nginx, or fixed_answer.py where it is missing, for the duration of a `with` block.

    Args:
        folder: empty; for the configuration, temporary files and the log.
        core: the server is pinned to it; None: not pinned.

    Raises:
        ServerError: it did not start.
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
    """Write a configuration that uses nothing outside the folder; return the command line."""
    config = folder / "nginx.conf"
    body = BODY.decode().replace("\n", "\\n")
    text = NGINX.format(folder=folder, host=HOST, port=port, backlog=BACKLOG, body=body)
    config.write_text(text, encoding="utf-8")
    return [nginx, "-e", "stderr", "-p", str(folder), "-c", str(config)]


def nginx_version(nginx: str) -> str:
    """`nginx/1.26.3`."""
    version = subprocess.run([nginx, "-v"], capture_output=True, text=True, timeout=START_TIMEOUT_S, check=False)
    return (version.stderr or version.stdout).strip().rpartition(": ")[2] or "nginx"


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


INTS = NDArray[np.int64]
MASK = NDArray[np.bool_]
CONNECTIONS = 32
"""Connections of the saturated loads, with every tool."""
PERCENTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999}
ROWS_ABOVE = 10
"""Rows that must lie above a percentile beyond p99 to show it; fewer are single events."""
TIMES = ("scheduled_ns", "sent_ns", "received_ns", "read_ns")

Tell = Callable[[str], None]


class Rows(NamedTuple):
    """Columns of the rows of one run."""

    times: dict[str, INTS]
    """scheduled_ns (0 in closed load), sent_ns, received_ns, read_ns."""
    is_ok: MASK
    is_unfinished: MASK
    """Cut off by the end of the run."""
    is_kernel: MASK
    """The arrival time is the kernel's."""
    file_bytes: int


class Generated(NamedTuple):
    """Rows and generator figures of one run."""

    rows: Rows
    figures: GeneratorFigures
    start_ns: int
    end_ns: int
    server_cpu_s: float
    """CPU time of the static server in the window."""

    @property
    def in_window(self) -> MASK:
        """Rows answered in the window."""
        received_ns = self.rows.times["received_ns"]
        return self.rows.is_ok & (received_ns >= self.start_ns) & (received_ns < self.end_ns)

    @property
    def errors(self) -> int:
        """Rows that failed."""
        return int((~self.rows.is_ok & ~self.rows.is_unfinished).sum())


@dataclass(frozen=True)
class Bench:
    """Server, generator and settings that all steps of a calibration share."""

    generator: Generator
    server: StaticServer
    folder: Path
    """For rows and logs; whoever made it removes it."""
    core: int | None
    """The generators are pinned to it; None: not pinned."""
    seed: int
    window_s: float
    warmup_s: float
    tell: Tell

    def generate(self, load: Load, *, scenario: str | None = None, generator: Generator | None = None) -> Generated:
        """Run a load against the static server.

        Args:
            load: what to send.
            scenario: name of a Locust file in scenarios/calibrate; None: the declared endpoint.
            generator: used in place of the shared one.

        Raises:
            GeneratorError: the generator died, fell silent, or can't use the scenario.
        """
        folder = self.folder / "run"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        path = None if scenario is None else str(scenarios_dir() / "calibrate" / f"{scenario}.py")
        order = Order(
            url=self.server.url,
            endpoints=() if scenario else (Endpoint(path="/"),),
            scenario=path,
            load=load,
            seed=self.seed,
            samples=str(folder / "samples.arrow"),
            cores=() if self.core is None else (self.core,),
        )
        moments: dict[str, tuple[int, float]] = {}

        def on_event(event: Event) -> None:
            if event.event in {"window_opened", "window_closed"}:
                moments[event.event] = event.time_ns, self.server.cpu_s()

        done = (generator or self.generator).run(order, on_event)
        (start_ns, before_s), (end_ns, after_s) = moments["window_opened"], moments["window_closed"]
        seal_samples(folder)
        return Generated(read_rows(folder / "samples.parquet"), done.figures, start_ns, end_ns, after_s - before_s)


def read_rows(path: Path) -> Rows:
    """Read samples.parquet."""
    table = pq.read_table(path)
    times = {
        name: np.asarray(pc.fill_null(table.column(name), 0).to_numpy(zero_copy_only=False), dtype=np.int64)
        for name in TIMES
    }

    def equals(name: str, value: str) -> MASK:
        column = pc.equal(table.column(name).cast("string"), value)
        return np.asarray(pc.fill_null(column, False).to_numpy(zero_copy_only=False), dtype=bool)

    is_ok = np.asarray(pc.is_null(table.column("error")).to_numpy(zero_copy_only=False), dtype=bool)
    return Rows(times, is_ok, equals("error", UNFINISHED), equals("stamp", KERNEL), path.stat().st_size)


def percentiles_us(durations_ns: INTS) -> dict[str, float]:
    """Exact percentiles in µs, as far as enough rows lie above them; empty without rows."""
    ascending = np.sort(durations_ns) / 1e3
    return {
        name: nearest_rank(ascending, quantile)
        for name, quantile in PERCENTILES.items()
        if ascending.size and (quantile <= 0.99 or ascending.size * (1 - quantile) >= ROWS_ABOVE)
    }
