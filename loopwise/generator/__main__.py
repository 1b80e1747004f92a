"""The generator's process: reads orders from stdin, tells events on stdout, logs to stderr. Ends when stdin does."""

# ruff: noqa: E402 - gevent must patch the standard library before anything else is imported
from gevent import monkey

monkey.patch_all()

import gc
import io
import os
import sys
import traceback

from loopwise.generator.connection import keep_stamping
from loopwise.generator.kinds import traffic_of
from loopwise.generator.protocol import Event, Order
from loopwise.generator.recorder import Recorder
from loopwise.generator.session import Alone, Crew, run
from loopwise.generator.workers import Distributed, Workers


class Crews:
    """Who carries out an order: this process, or as many workers as it asks for; they are kept for the next."""

    def __init__(self) -> None:
        self._workers: Workers | None = None

    def of(self, order: Order) -> Crew:
        """A crew for one run."""
        if order.processes == 1:
            return Alone(order)
        if self._workers is None or self._workers.count != order.processes or not self._workers.are_ready:
            self.close()
            self._workers = Workers(order.processes)
        local = traffic_of(order, Recorder(io.BytesIO()))
        local.close()
        return Distributed(order, self._workers, local)

    def close(self) -> None:
        """End the workers."""
        if self._workers is not None:
            self._workers.close()
            self._workers = None


def main() -> None:
    """Serve orders until the harness closes the pipe."""
    # Prints of a user's Locust file must not mix with the protocol: they go to the log.
    events = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def tell(event: Event) -> None:
        events.write(event.model_dump_json() + "\n")

    holder = keep_stamping()
    crews = Crews()
    # What lives by now lives to the end: no collection needs to look at it again.
    gc.collect()
    gc.freeze()
    tell(Event(event="ready"))
    for line in sys.stdin:
        try:
            run(Order.model_validate_json(line), tell, crews.of)
        except Exception as error:
            crews.close()
            traceback.print_exc()
            tell(Event(event="failed", message=f"the generator failed: {error!r} (details in generator.log)"))
        gc.collect()
    crews.close()
    holder.close()


if __name__ == "__main__":
    main()
