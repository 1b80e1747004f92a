"""The real command line as a subprocess, and proof that it left nothing behind."""

import json
import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from loopwise.model import Run
from loopwise.results.folder import ResultFolder

ROOT = Path(__file__).parents[2]
MARK = "LOOPWISE_TEST_MARK"
"""An environment variable that every process of one test inherits, so that none can hide."""
BOUND_S = 90.0
"""How long is waited for what must happen; what happens is waited for no longer."""

PLAIN_APP = """
async def app(scope, receive, send):
    assert scope["type"] == "http"
    status = {"/missing": 404, "/broken": 500}.get(scope["path"], 200)
    body = b"all is lost" if status == 500 else b"ok"
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
"""
"""An ASGI app without any framework: it starts in no time."""

BRIEF: dict[str, Any] = {
    "load.users": 4,
    "load.warmup_s": 0.1,
    "load.measure_s": 0.3,
    "load.think_s": 0.01,
    "replicates.min": 1,
    "replicates.max": 1,
    "replicates.repeats": 0,
    "compare.slices_max": 0,
}
"""Settings of a suite that measures each case once, briefly, and without using a whole core for it."""


def brief(**changes: Any) -> list[str]:
    """BRIEF as `--set` options, some of them changed: `measure_s=1.0`."""
    return [word for key, value in _changed(changes).items() for word in ("--set", f"{key}={toml(value)}")]


def brief_suite(path: Path, *entries: Mapping[str, Any], **changes: Any) -> Path:
    """Write a suite of these [[matrix]] entries with the settings of BRIEF, some of them changed: `measure_s=1.0`."""
    tables: dict[str, dict[str, Any]] = {}
    for key, value in _changed(changes).items():
        table, _, name = key.partition(".")
        tables.setdefault(table, {})[name] = value
    blocks = [f"[{name}]\n{_lines(table)}" for name, table in tables.items()]
    blocks += [f"[[matrix]]\n{_lines(entry)}" for entry in entries]
    path.write_text(f'name = "{path.stem}"\n' + "".join(blocks), encoding="utf-8")
    return path


def _changed(changes: Mapping[str, Any]) -> dict[str, Any]:
    """BRIEF with other values for some of its keys, without those that are None.

    A key that is not among them is one of [load], unless it names its table: `compare.baseline`.
    """
    names = {key.partition(".")[2]: key for key in BRIEF}
    keys = {name: name if "." in name else names.get(name, f"load.{name}") for name in changes}
    changed = BRIEF | {keys[name]: value for name, value in changes.items()}
    return {key: value for key, value in changed.items() if value is not None}


def _lines(table: Mapping[str, Any]) -> str:
    return "".join(f"{key} = {toml(value)}\n" for key, value in table.items())


def toml(value: Any) -> str:
    """A value in TOML, which has JSON's strings, numbers and lists, but tables of its own."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {toml(each)}" for key, each in value.items()) + " }"
    return json.dumps(value)


@dataclass
class Bench:
    """Runs bench.py in a folder of its own."""

    folder: Path
    command: tuple[str, ...] = (sys.executable, str(ROOT / "bench.py"))
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    variables: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.scratch = self.folder / "scratch"
        self.scratch.mkdir(parents=True)

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        """Start a command; its output is one text."""
        return subprocess.Popen(
            [*self.command, *map(str, arguments)],
            cwd=self.folder,
            env={
                **os.environ,
                "TMPDIR": str(self.scratch),
                "NO_COLOR": "1",
                MARK: self.mark,
                **self.variables,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __call__(self, *arguments: str | Path, timeout_s: float = 300) -> tuple[int, str]:
        """Run a command to its end; returns exit status and output."""
        process = self.start(*arguments)
        try:
            output, _ = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise
        return process.returncode, output

    def processes(self, *words: str) -> list[psutil.Process]:
        """Living processes that any command of this bench started, those with all the words in their command line."""
        found, variable = [], f"{MARK}={self.mark}\0".encode()
        for pid in psutil.pids():
            with suppress(psutil.Error, OSError):
                if variable not in Path(f"/proc/{pid}/environ").read_bytes():
                    continue
                process = psutil.Process(pid)
                line = " ".join(process.cmdline())
                is_alive = process.status() != psutil.STATUS_ZOMBIE
                found += [process] if is_alive and all(word in line for word in words) else []
        return found

    def left_behind(self) -> list[str]:
        """What is still there of all commands: processes (each gets time to end) and scratch folders.

        The watchdog of this process, which lasts as long as it does, is none of them.
        """

        def remaining() -> list[psutil.Process]:
            own = {each.pid for each in psutil.Process().children()}
            return [
                each
                for each in self.processes()
                if each.pid not in own or "watchdog.py" not in " ".join(each.cmdline())
            ]

        with suppress(TimeoutError):
            until(lambda: not remaining())
        return [" ".join(process.cmdline()) for process in remaining()] + [
            path.name for path in self.scratch.glob("loopwise-*")
        ]


def until(condition: Callable[[], bool], bound_s: float = BOUND_S) -> None:
    """Wait for a condition.

    Raises:
        TimeoutError: it did not come true in time.
    """
    began_s = time.monotonic()
    while not condition():
        waited_s = time.monotonic() - began_s
        if waited_s > bound_s:
            raise TimeoutError("what was waited for did not happen")
        time.sleep(min(max(0.01, waited_s / 20), 0.05))  # looking costs CPU that others want


def runs_of(result: Path) -> list[Run]:
    """The runs on disk; none may be damaged."""
    runs, damaged = ResultFolder(result).runs()
    assert damaged == []
    return runs


def is_free(port: int) -> bool:
    """Nobody listens on the loopback port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def app_file(folder: Path, text: str, name: str = "plain.py") -> Path:
    """The text as a module in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path
