"""A generator's process: orders come on stdin, events go to stdout, the log to stderr. It ends when stdin closes.

With `--join HOST:PORT` it is a worker of another generator process, which sends the orders and takes the rows; with
`--examine` it only tries the Locust file or load shape of one order.
"""

# ruff: noqa: E402 - gevent must patch the standard library before anything else is imported
from gevent import monkey

monkey.patch_all()

import gc
import logging
import os
import sys
import traceback
from collections.abc import Callable

import gevent
import locust
from gevent.fileobject import FileObject

from loopwise.errors import GeneratorError
from loopwise.generator.connection import keep_stamping
from loopwise.generator.examine import examine
from loopwise.generator.protocol import Event, Order
from loopwise.generator.session import Driver, LocalDriver, run
from loopwise.generator.workers import DistributedDriver, Worker, Workers


class Drivers:
    """Drivers by the number of processes that an order asks for; workers are kept for the next order."""

    def __init__(self) -> None:
        self._workers: Workers | None = None

    def of(self, order: Order) -> Driver:
        """A driver for one run."""
        if order.processes == 1:
            return LocalDriver(order)
        workers = self._workers
        if workers is None or workers.count != order.processes or not workers.are_ready or order.runs_code:
            self.close()
            self._workers = workers = Workers(order.processes, locust.events if order.scenario is not None else None)
        return DistributedDriver(order, workers)

    def close(self) -> None:
        """End the workers."""
        if self._workers is not None:
            self._workers.close()
            self._workers = None


def _freeze() -> None:
    """Exempt what lives by now, and so to the end, from garbage collection."""
    gc.collect()
    gc.freeze()


def _pipe() -> Callable[[Event], None]:
    """Send events to the harness. What a Locust file prints must not mix with them: it goes to the log."""
    stdout = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def send(event: Event) -> None:
        stdout.write(event.model_dump_json() + "\n")

    return send


def examine_order() -> None:
    """Tell whether the Locust file or load shape of the order on stdin can be used."""
    send = _pipe()
    try:
        examine(Order.model_validate_json(sys.stdin.readline()))
    except GeneratorError as error:
        send(Event(event="failed", message=str(error)))
    else:
        send(Event(event="done"))


def serve_orders() -> None:
    """Carry out orders until the harness closes the pipe."""
    send = _pipe()
    drivers = Drivers()
    _freeze()
    send(Event(event="ready"))
    for line in sys.stdin:
        try:
            run(Order.model_validate_json(line), send, drivers.of)
        except Exception as error:
            drivers.close()
            traceback.print_exc()
            send(Event(event="failed", message=f"the generator failed: {error!r} (details in generator.log)"))
        gc.collect()
    drivers.close()


def serve_master(address: str) -> None:
    """Carry out a master's orders until Locust's runner quits, or stdin closes."""
    host, _, port = address.rpartition(":")
    worker = Worker(host, int(port))
    _freeze()
    orphaned = gevent.spawn(FileObject(sys.stdin.fileno(), "rb", closefd=False).read)
    served = gevent.spawn(worker.serve)
    gevent.wait([orphaned, served], count=1)
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(0 if served.successful() or not served.ready() else 1)


if __name__ == "__main__":
    holder = keep_stamping()
    if sys.argv[1:2] == ["--join"]:
        serve_master(sys.argv[2])
    elif sys.argv[1:2] == ["--examine"]:
        examine_order()
    else:
        serve_orders()
    holder.close()
