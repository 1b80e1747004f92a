"""gunicorn's configuration file (`gunicorn -c`), copied beside the probe: uvicorn's worker, with its options.

gunicorn has no flags for them: LOOPWISE_LOOP, LOOPWISE_HTTP and LOOPWISE_LIMIT_CONCURRENCY are read here, and
LOOPWISE_ACCESS_LOG.
"""

import os
import sys
from typing import Any

try:
    from uvicorn_worker import UvicornWorker
except ImportError as error:
    raise RuntimeError(
        f"gunicorn serves ASGI apps by the package uvicorn-worker, which {sys.executable} cannot import"
        f" ({error}); run: {sys.executable} -m pip install uvicorn-worker"
    ) from error


def _uvicorn_options() -> dict[str, Any]:
    limit = os.environ.get("LOOPWISE_LIMIT_CONCURRENCY")
    return {
        "loop": os.environ.get("LOOPWISE_LOOP") or "auto",
        "http": os.environ.get("LOOPWISE_HTTP") or "auto",
        "limit_concurrency": int(limit) if limit else None,
    }


class LoopwiseWorker(UvicornWorker):  # type: ignore[misc]
    """uvicorn's worker under gunicorn, with the options of the case that is measured."""

    CONFIG_KWARGS = _uvicorn_options()


worker_class = f"{__name__}.{LoopwiseWorker.__name__}"  # gunicorn before 21 takes no class itself
loglevel = "warning"
errorlog = "-"
accesslog = "-" if os.environ.get("LOOPWISE_ACCESS_LOG") == "on" else None
# It would be a socket in the user's home, shared by all runs. gunicorn before 25.1 ignores the setting.
control_socket_disable = True
