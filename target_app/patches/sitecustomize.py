"""Put the hook into every Python process of a server, its children too; then run the sitecustomize that this one hides.

The harness copies this file to a folder on PYTHONPATH: so `site` imports it before anything of the app's.
"""

import importlib
import importlib.machinery
import importlib.util
import os
import sys
from pathlib import Path

HERE = str(Path(__file__).parent)


def _install() -> None:
    if "LOOPWISE_PATCHES" in os.environ:
        # This folder may have left sys.path again by the time that the app is imported.
        importlib.import_module("loopwise_patches.hook").install(os.environ["LOOPWISE_PATCHES"])


def _run_hidden() -> None:
    others = [folder for folder in sys.path if folder != HERE]
    spec = importlib.machinery.PathFinder.find_spec(__name__, others)
    if spec is not None and spec.loader is not None and spec.origin != __file__:
        module = importlib.util.module_from_spec(spec)
        sys.modules[__name__] = module
        spec.loader.exec_module(module)


_install()
_run_hidden()
