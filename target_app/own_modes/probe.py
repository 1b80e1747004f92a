"""ASGI wrapper that serves an app's endpoint in another mode than it is written in, behind probe.py.

The harness copies this package as `loopwise_modes`, with the process pool of target_app beside it, to a folder on
PYTHONPATH of the app's own interpreter, and names `loopwise_modes.probe:app` to the probe. So: standard library only,
Python 3.9 or newer, and nothing of ours but the probe and the pool. LOOPWISE_OWN_MODE says what to do, as JSON:

target        the app, as LOOPWISE_APP names it
mode          async, sync, to_thread or process
endpoints     method and path of each request that is made: ["GET", "/items/1"]
dependencies  `own`: they stay as they are written; `same`: they get the mode, too

What is found impossible is told to the harness by a line on stderr (moded.REFUSED).
"""

from __future__ import annotations

import importlib
import json
import os
from typing import Any

import loopwise_probe  # probe.py under the name that the harness gives it

from .calls import Call
from .moded import Asked, Moded


def make() -> Moded:
    """Load the app that LOOPWISE_OWN_MODE names, and wrap it."""
    wanted = json.loads(os.environ["LOOPWISE_OWN_MODE"])
    app = loopwise_probe.load_app(wanted["target"], os.environ.get("LOOPWISE_APP_DIR"))
    asked = [Asked(method, path) for method, path in wanted["endpoints"]]
    make_pool = _pool if wanted["mode"] == "process" else None
    moded = Moded(
        app,
        wanted["mode"],
        asked,
        dependencies=wanted["dependencies"],
        make_pool=make_pool,
        error=loopwise_probe.AppError,
    )
    moded.check()
    return moded


def _pool(functions: list[Call]) -> Any:
    module = importlib.import_module("loopwise_process_pool")  # it lies beside us under this name
    return module.Pool(module.pool_processes(), functions)


app = make()
