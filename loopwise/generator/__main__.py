"""A generator's process: orders come on stdin, events go to stdout, the log to stderr. It ends when stdin closes.

With `--join HOST:PORT` it is a worker of another generator process, which sends the orders and takes the rows.
"""

# ruff: noqa: E402 - gevent must patch the standard library before anything else is imported
from gevent import monkey

monkey.patch_all()

import gc
import os
import sys
import traceback

import gevent
from gevent.fileobject import FileObject

from loopwise.generator.connection import keep_stamping
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
        if self._workers is None or self._workers.count != order.processes or not self._workers.are_ready:
            self.close()
            self._workers = Workers(order.processes)
        return DistributedDriver(order, self._workers)

    def close(self) -> None:
        """End the workers."""
        if self._workers is not None:
            self._workers.close()
            self._workers = None


def _freeze() -> None:
    """Exempt what lives by now, and so to the end, from garbage collection."""
    gc.collect()
    gc.freeze()


def serve_orders() -> None:
    """Carry out orders until the harness closes the pipe."""
    # What a Locust file prints must not mix with the protocol: it goes to the log.
    stdout = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def send(event: Event) -> None:
        stdout.write(event.model_dump_json() + "\n")

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
    """Carry out a master's orders until stdin closes."""
    host, _, port = address.rpartition(":")
    worker = Worker(host, int(port))
    _freeze()
    gevent.spawn(worker.serve)
    FileObject(sys.stdin.fileno(), "rb", closefd=False).read()
    os._exit(0)


if __name__ == "__main__":
    holder = keep_stamping()
    if sys.argv[1:2] == ["--join"]:
        serve_master(sys.argv[2])
    else:
        serve_orders()
    holder.close()
