"""The harness's end of the generator: starts its process, hands it orders, passes on what it tells."""

import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from loopwise.errors import GeneratorError
from loopwise.generator.protocol import GO, Event, Order
from loopwise.servers import processes

START_TIMEOUT_S = 60.0
READ_BYTES = 65_536
SILENCE_S = 30.0
"""A generator tells progress four times a second; after this long without a word it hangs."""

Hear = Callable[[Event], None]


class Generator(Protocol):
    """What an experiment needs of a generator; tests put a fake in its place."""

    def run(self, order: Order, hear: Hear) -> Event:
        """Generate one run, passing events on; returns `done`. Raises GeneratorError."""

    def go(self) -> None:
        """Let the order that is being carried out open its window, if it holds."""


class GeneratorProcess:
    """A generator that lives through many runs, so that none of them pays for its start."""

    def __init__(self, log: Path) -> None:
        self._log = log
        argv = [sys.executable, "-m", "loopwise.generator"]
        # A checkout runs as it is, so the generator must find us where we are, installed or not.
        here = str(Path(__file__).resolve().parents[2])
        env = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")])),
        }
        self._process = processes.start(argv, log=log, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._buffer = b""
        self._hear(START_TIMEOUT_S)

    @property
    def is_alive(self) -> bool:
        """The process runs."""
        return self._process.poll() is None

    def run(self, order: Order, hear: Hear) -> Event:
        """Generate one run, passing events on as they come; returns `done`.

        Raises:
            GeneratorError: the scenario can't be used, or the generator died or fell silent. What it had recorded
                by then is in the order's samples.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(order.model_dump_json() + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._died() from None
        while True:
            event = self._hear(SILENCE_S)
            if event.event == "failed":
                raise GeneratorError(event.message)
            hear(event)
            if event.event == "done":
                return event

    def go(self) -> None:
        """Let an order that holds open its window."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it died: the next event says so
            self._process.stdin.write(GO)
            self._process.stdin.flush()

    def close(self) -> None:
        """End the process."""
        processes.end(self._process, grace_s=0.0)

    def _hear(self, timeout_s: float) -> Event:
        """The next event."""
        assert self._process.stdout is not None
        deadline_s = time.monotonic() + timeout_s
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._buffer:
                if not selector.select(max(0.0, deadline_s - time.monotonic())):
                    self.close()
                    raise GeneratorError(f"the generator said nothing for {timeout_s:g} s and was ended")
                data = os.read(self._process.stdout.fileno(), READ_BYTES)
                if not data:
                    raise self._died()
                self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return Event.model_validate(json.loads(line))

    def _died(self) -> GeneratorError:
        self.close()
        status = self._process.returncode
        return GeneratorError(f"the generator ended with status {status}. {processes.quoted(self._log)}")


class Generators:
    """One generator for the whole experiment, and one of its own for each run of a Locust file.

    A user's Locust file may keep state in its module or add listeners at import: each replicate gets a fresh one.
    """

    def __init__(self, log: Path) -> None:
        self._log = log
        self._shared: GeneratorProcess | None = None
        self._at_work: GeneratorProcess | None = None

    def run(self, order: Order, hear: Hear) -> Event:
        """Generate one run; see GeneratorProcess.run."""
        if order.scenario is not None:
            self._at_work = own = GeneratorProcess(self._log)
            try:
                return own.run(order, hear)
            finally:
                own.close()
        self._at_work = self._living()
        return self._at_work.run(order, hear)

    def go(self) -> None:
        """Let the order that is being carried out open its window."""
        if self._at_work is not None:
            self._at_work.go()

    def warm_up(self) -> None:
        """Start the shared generator now rather than with the first run."""
        self._living()

    def _living(self) -> GeneratorProcess:
        if self._shared is None or not self._shared.is_alive:
            self._shared = GeneratorProcess(self._log)
        return self._shared

    def close(self) -> None:
        """End what runs."""
        if self._shared is not None:
            self._shared.close()


@contextmanager
def generators(log: Path) -> Iterator[Generators]:
    """Generators for the duration of a `with` block."""
    pool = Generators(log)
    try:
        yield pool
    finally:
        pool.close()
