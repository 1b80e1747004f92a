"""Loads by path what chooses the line to blame, as an app's interpreter does: places.py and tally.py of target_app."""

import importlib
import importlib.util
import sys
from types import ModuleType

from loopwise.paths import target_app_dir

NAME = "loopwise_blame"
"""Its name in the interpreter of an app that `blame` serves, too."""


def blame_module(name: str) -> ModuleType:
    """A module of target_app/blame that needs the standard library only."""
    if NAME not in sys.modules:
        folder = target_app_dir() / "target_app" / "blame"
        spec = importlib.util.spec_from_file_location(
            NAME, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        assert spec is not None
        assert spec.loader is not None
        package = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(package)
        sys.modules[NAME] = package
    return importlib.import_module(f"{NAME}.{name}")
