"""The load generator of a test session: it starts while what measures is imported, and lasts until the session ends."""

import threading
from contextlib import ExitStack

from loopwise.generator.client import Generators, OnEvent
from loopwise.generator.protocol import Event, Order
from loopwise.servers.processes import temporary_folder


class SessionGenerator:
    """A generator process that all tests of a session share."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        folder = self._stack.enter_context(temporary_folder())
        self._generators = Generators(folder / "generator.log")
        self._stack.callback(self._generators.close)
        self._failures: list[Exception] = []
        self._is_up, self._is_over = threading.Event(), threading.Event()
        self._starter = threading.Thread(target=self._start, name="loopwise-generator", daemon=True)
        self._starter.start()

    def _start(self) -> None:
        """Start the process, and stay: what a thread has started is ended by the kernel as the thread ends."""
        try:
            self._generators.warm_up()
        except Exception as error:  # raised where it is waited for
            self._failures.append(error)
        self._is_up.set()
        self._is_over.wait()

    def run(self, order: Order, on_event: OnEvent, /) -> Event:
        """Generate one run, once the process is ready; see GeneratorProcess.run."""
        self._is_up.wait()
        while self._failures:
            raise self._failures.pop()
        return self._generators.run(order, on_event)

    def go(self) -> None:
        """Let an order with `holds` open its window."""
        self._generators.go()

    def close(self) -> None:
        """End the process, and remove its log."""
        self._is_up.wait()
        self._stack.close()
        self._is_over.set()
        self._starter.join()
