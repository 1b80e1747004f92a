"""The generator's process: reads orders from stdin, tells events on stdout, logs to stderr. Ends when stdin does."""

# ruff: noqa: E402 - gevent must patch the standard library before anything else is imported
from gevent import monkey

monkey.patch_all()

import gc
import os
import sys
import traceback

from loopwise.generator.http import keep_stamping
from loopwise.generator.order import Event, Order
from loopwise.generator.session import run


def main() -> None:
    """Serve orders until the harness closes the pipe."""
    # Prints of a user's Locust file must not mix with the protocol: they go to the log.
    events = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def tell(event: Event) -> None:
        events.write(event.model_dump_json() + "\n")

    holder = keep_stamping()
    # What lives by now lives to the end: no collection needs to look at it again.
    gc.collect()
    gc.freeze()
    tell(Event(event="ready"))
    for line in sys.stdin:
        try:
            run(Order.model_validate_json(line), tell)
        except Exception as error:
            traceback.print_exc()
            tell(Event(event="failed", message=f"the generator failed: {error!r} (details in generator.log)"))
        gc.collect()
    holder.close()


if __name__ == "__main__":
    main()
