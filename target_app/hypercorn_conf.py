"""hypercorn's configuration file (`hypercorn -c file:…`), copied beside the probe: settings without a flag."""

import os

daemon = False
"""A daemonic worker may have no children, so that no app could start a process pool."""
startup_timeout = float(os.environ.get("LOOPWISE_STARTUP_TIMEOUT_S") or 60)
"""For the app's lifespan. The harness waits as long; a shorter limit in the server would cut that short."""
