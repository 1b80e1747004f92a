"""A folder in which commands are started, stopped at a phase, and judged by what they leave."""

import json
import os
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from support.e2e import MARK, PLAIN_APP, Bench, app_file, is_free, until

from faults.fault import Ground
from loopwise.results.folder import ResultFolder

ANNOUNCING = Path(__file__).with_name("announcing.py")
END_S = 90.0
"""A command that was asked to end has ended by then, on a busy machine too."""
RUN_S = 240.0
"""The longest that any command here may take."""
PAUSE_S = 0.3
"""How long a command waits in a phase for a fault that comes unasked."""
DOCUMENTED = frozenset({0, 1, 2, 3, 130})
"""Exit statuses of a command that no fault of ours has ended."""
BAD_WORDS = (
    "Traceback",
    "fault of Loopwise itself",
    "Exception ignored",
    "was never retrieved",
    "was never awaited",
    "Fatal Python error",
)
HEAD = """
name = "faults"
[load]
users = 2
warmup_s = 0.2
measure_s = 0.4
[replicates]
min = 2
max = 2
repeats = 0
"""
ENTRY = """
[[matrix]]
app = "plain:app"
app_dir = "."
endpoint = "GET /"
"""
SUITES = {
    "small": f"{HEAD}[compare]\nslices_max = 0\n{ENTRY}",
    "sliced": f'{HEAD}[compare]\nbaseline = {{ loop = "asyncio" }}\nmargin = 0.0\nconfidence = 0.9999\nslices_max = 3\n'
    f'{ENTRY}loop = ["asyncio", "auto"]\n',
}
"""One case, twice; and two that no two replicates tell apart with such confidence, so that slices follow."""


class Ended(NamedTuple):
    """What a command that ended has said."""

    status: int
    output: str

    @property
    def last_line(self) -> str:
        return (self.output.strip().splitlines() or [""])[-1]


class Place(Bench):
    """A folder with an app and suites, in which commands run; what they start is known by a mark in its environment."""

    def __init__(self, ground: Ground) -> None:
        super().__init__(ground.folder)
        self.ground = ground
        self.data = self.folder
        self.variables["XDG_STATE_HOME"] = str(ground.state)
        self.reached, self.go = self.folder / "reached", self.folder / "go"
        app_file(self.folder, PLAIN_APP)
        for name, text in SUITES.items():
            (self.folder / f"{name}.toml").write_text(text)

    @property
    def result(self) -> Path:
        """Where commands write their results."""
        return self.data / "result"

    @property
    def finished(self) -> Path:
        """A finished result of its own, which commands read."""
        path = self.data / "finished"
        if not path.exists():
            shutil.copytree(self.ground.finished, path)
        return path

    def launch(
        self,
        arguments: Sequence[str | Path],
        *,
        hook: str = "",
        nth: int = 1,
        pause_s: float = PAUSE_S,
        draws: bool = True,
        prefix: Sequence[str] = (),
        env: Mapping[str, str | None] | None = None,
        **options: Any,
    ) -> "subprocess.Popen[str]":
        """Start a command in a session of its own.

        Args:
            arguments: of bench.py.
            hook: announces this phase (announcing.py); empty: none.
            nth: which of its occurrences.
            pause_s: how long it waits there, unless `go` comes first.
            draws: False: its report has no charts, which saves most of its time.
            prefix: program and arguments that start the command.
            env: variables besides; None takes one away.
            options: of Popen.
        """
        for each in (self.reached, self.go):
            each.unlink(missing_ok=True)
        plan = {
            "hook": hook,
            "nth": nth,
            "mark": str(self.reached),
            "go": str(self.go),
            "pause_s": pause_s,
            "draws": draws,
        }
        variables = {**os.environ, "TMPDIR": str(self.scratch), "NO_COLOR": "1", MARK: self.mark, **self.variables}
        changed: dict[str, str | None] = {**variables, **(env or {})}
        settings: dict[str, Any] = {
            "cwd": self.folder,
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.STDOUT,
        } | options
        return subprocess.Popen(
            [*prefix, sys.executable, str(ANNOUNCING), json.dumps(plan), *map(str, arguments)],
            env={name: value for name, value in changed.items() if value is not None},
            text=True,
            errors="replace",
            start_new_session=True,
            **settings,
        )

    def wait(self, process: "subprocess.Popen[str]", bound_s: float = RUN_S) -> Ended:
        """Wait for the end of a command; one that has none is killed.

        Raises:
            TimeoutError: it had none.
        """
        try:
            output, _ = process.communicate(timeout=bound_s)
        except subprocess.TimeoutExpired:
            process.kill()
            output, _ = process.communicate()
            raise TimeoutError(f"did not end within {bound_s:g} s; it said: {output[-500:]!r}") from None
        return Ended(process.returncode, output or "")

    def run(self, *arguments: str | Path, bound_s: float = RUN_S, **options: Any) -> Ended:
        """Carry out a command."""
        return self.wait(self.launch(arguments, **options), bound_s)

    def await_phase(self, process: "subprocess.Popen[str]") -> bool:
        """Wait until a command announces its phase; False: it ended before."""
        until(lambda: self.reached.exists() or process.poll() is not None, RUN_S)
        return self.reached.exists()

    def ports(self) -> list[int]:
        """Ports that processes of this place listen at."""
        found = []
        for each in self.processes():
            with suppress(psutil.Error):
                connections = each.net_connections(kind="tcp")
                found += [one.laddr.port for one in connections if one.status == psutil.CONN_LISTEN]
        return found

    def leftovers(self, ports: Sequence[int] = (), *, scratch: bool = True) -> list[str]:
        """What is left of all commands: processes (each gets time to end), ports, temporary files."""
        deadline_s = time.monotonic() + END_S
        while (left := self.processes()) and time.monotonic() < deadline_s:
            time.sleep(0.05)
        problems = [f"process left: {line[:200]}" for each in left if (line := _line(each))]
        problems += [f"port {port} is held" for port in ports if not is_free(port)]
        if scratch:
            problems += [f"temporary file left: {path.name}" for path in self.scratch.glob("loopwise-*")]
        return problems

    def end_all(self) -> None:
        """Kill what is left."""
        for each in self.processes():
            with suppress(psutil.Error):
                each.kill()

    def measured(self) -> dict[Path, tuple[int, bytes]]:
        """Every file of every finished run and round, with its time and its bytes."""
        found = [*self.result.glob("runs/*/*/run.json"), *self.result.glob("pairs/*/*/*/round.json")]
        files = [path for record in found for path in record.parent.iterdir()]
        return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def _line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def said(ended: Ended, allowed: frozenset[int] = DOCUMENTED) -> list[str]:
    """What is wrong with exit status and output of a command."""
    problems = []
    if ended.status not in allowed:
        problems.append(f"status {ended.status}; last line: {ended.last_line[:300]!r}")
    for word in BAD_WORDS:
        if word in ended.output:
            begin = ended.output.index(word)
            problems.append(f"output has {word!r}: {ended.output[begin : begin + 100]!r} … {ended.output[-300:]!r}")
    return problems


def resumed(place: Place) -> list[str]:
    """Go on with a result that ended early; what of it does not hold."""
    if not (place.result / "experiment.json").exists():
        return []
    kept = place.measured()
    ended = place.run("run", "--resume", place.result, "--quiet", draws=False)
    problems = [f"--resume: {each}" for each in said(ended, frozenset({0, 3}))]
    if problems:
        return problems
    now = place.measured()
    problems += [f"--resume changed {path.name} of {path.parent}" for path in kept if now.get(path) != kept[path]]
    experiment = ResultFolder(place.result).experiment()
    problems += [
        f"{each.case_id} {each.replicate}: still planned" for each in experiment.plan if each.state == "planned"
    ]
    if experiment.finished_at is None:
        problems.append("--resume left it unfinished")
    if not (place.result / "report.html").exists():
        problems.append("--resume made no report")
    return problems


def sentence(ended: Ended) -> list[str]:
    """What is wrong with the words of a command that failed: it says one sentence."""
    lines = [line for line in ended.output.splitlines() if line.startswith("error: ")]
    if ended.status in {2, 3} and len(lines) > 1:
        return [f"{len(lines)} errors: {lines}"]
    if ended.status == 2 and not lines and "Usage: " not in ended.output:
        return [f"no error is named: {ended.output[-300:]!r}"]
    return []


def again(place: Place, command: Sequence[str]) -> list[str]:
    """Carry out a command once more, now that nothing is in its way; what does not hold."""
    suite = place.data / "fresh" / "suite.toml"
    if suite.exists():
        tomllib.loads(suite.read_text())  # it is whole, or it is not there
        suite.unlink()
    return [f"again: {each}" for each in said(place.run(*command), frozenset({0, 1, 3}))]
