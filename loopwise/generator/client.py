"""The harness's end of the generator: starts its process, sends it orders and passes on its events."""

import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Protocol

from loopwise.errors import GeneratorError, SuiteError
from loopwise.generator.protocol import GO, WORKER_START_S, Event, Order
from loopwise.model import Suite
from loopwise.servers import processes
from loopwise.servers.variables import without

START_TIMEOUT_S = 60.0
READ_BYTES = 65_536
SILENCE_S = 30.0
"""A generator reports progress four times a second; after this long without an event it hangs."""

OnEvent = Callable[[Event], None]


def _command(*arguments: str) -> tuple[list[str], dict[str, str]]:
    """Command line and environment of a generator process, which no debug mode slows.

    Loopwise need not be installed: the generator finds it where this file is. -P: a file in the working directory that
    is named like a module of Python is not taken for it.
    """
    here = str(Path(__file__).resolve().parents[2])
    paths = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))
    return [sys.executable, "-P", "-m", "loopwise.generator", *arguments], {
        **without(os.environ, "told"),
        "PYTHONPATH": paths,
    }


def refuse_scripts(suite: Suite) -> None:
    """Try every Locust file of a suite with its options, and every load shape, each in a process of its own.

    Raises:
        SuiteError: one can't be used.
    """
    argv, env = _command("--examine")
    tried: set[str] = set()
    for case in suite.cases:
        order = Order(
            url=case.url or "http://127.0.0.1", scenario=case.scenario, options=case.options, load=case.load, samples=""
        )
        if not order.runs_code:
            continue
        text = order.model_dump_json()
        if text in tried:
            continue
        tried.add(text)
        name = Path(case.scenario or case.load.shape or "").name
        try:
            done = processes.ask(argv, env=env, question=text + "\n", timeout_s=START_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise SuiteError(
                f"{suite.name}: {name}: loading it takes longer than {START_TIMEOUT_S:g} s; let it do less at import"
            ) from None
        if not done.stdout:
            raise SuiteError(
                f"{suite.name}: {name}: loading it ended its process with status {done.returncode}; "
                "remove what ends it, such as os._exit()"
            )
        event = Event.model_validate_json(done.stdout)
        if event.event == "failed":
            raise SuiteError(f"{suite.name}: {event.message}")


class Generator(Protocol):
    """Generates runs for an experiment; tests use a fake."""

    def run(self, order: Order, on_event: OnEvent, /) -> Event:
        """Generate one run, passing events on; returns `done`. Raises GeneratorError."""

    def go(self) -> None:
        """Let an order with `holds` open its window."""


class GeneratorProcess:
    """A generator process that lives through many runs, so that none of them pays for its start."""

    def __init__(self, log: Path) -> None:
        self._log = log
        argv, env = _command()
        self._process = processes.start(argv, log=log, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._buffer = b""
        self._next_event(START_TIMEOUT_S)

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def run(self, order: Order, on_event: OnEvent) -> Event:
        """Generate one run, passing events on as they come; returns `done`.

        Raises:
            GeneratorError: the scenario can't be used, or the generator ended or hangs. What it had recorded by then
                is in the order's samples.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(order.model_dump_json() + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None
        timeout_s = SILENCE_S + WORKER_START_S * order.processes
        while True:
            event = self._next_event(timeout_s)
            timeout_s = SILENCE_S
            if event.event == "failed":
                raise GeneratorError(event.message)
            on_event(event)
            if event.event == "done":
                return event

    def go(self) -> None:
        """Let an order with `holds` open its window."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended, as `run` will report
            self._process.stdin.write(GO)
            self._process.stdin.flush()

    def close(self) -> None:
        """End the process."""
        processes.end(self._process, grace_s=0.0)

    def _next_event(self, timeout_s: float) -> Event:
        """The next event."""
        assert self._process.stdout is not None
        deadline_s = time.monotonic() + timeout_s
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._buffer:
                if not selector.select(max(0.0, deadline_s - time.monotonic())):
                    self.close()
                    raise GeneratorError(f"the generator sent no event for {timeout_s:g} s and was ended")
                data = os.read(self._process.stdout.fileno(), READ_BYTES)
                if not data:
                    raise self._ended()
                self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return Event.model_validate(json.loads(line))

    def _ended(self) -> GeneratorError:
        self.close()
        status = self._process.returncode
        return GeneratorError(f"the generator ended with status {status}. {processes.quoted(self._log)}")


class Generators:
    """One shared generator for an experiment, and a fresh one for each run of a Locust file or load shape.

    Such a file may keep state in its module or add listeners when it is imported.
    """

    def __init__(self, log: Path) -> None:
        self._log = log
        self._shared: GeneratorProcess | None = None
        self._active: GeneratorProcess | None = None

    def run(self, order: Order, on_event: OnEvent) -> Event:
        """Generate one run; see GeneratorProcess.run."""
        if order.runs_code:
            self._active = own = GeneratorProcess(self._log)
            try:
                return own.run(order, on_event)
            finally:
                own.close()
        self._active = self._running()
        return self._active.run(order, on_event)

    def go(self) -> None:
        """Let an order with `holds` open its window."""
        if self._active is not None:
            self._active.go()

    def warm_up(self) -> None:
        """Start the shared generator now rather than with the first run."""
        self._running()

    def _running(self) -> GeneratorProcess:
        if self._shared is None or not self._shared.is_alive:
            self._shared = GeneratorProcess(self._log)
        return self._shared

    def close(self) -> None:
        """End the shared generator."""
        if self._shared is not None:
            self._shared.close()


def generators(log: Path) -> closing[Generators]:
    """Generators for the duration of a `with` block."""
    return closing(Generators(log))
