"""Calls a function as soon as a module has been imported, before whoever imports it uses it."""

from __future__ import annotations

import importlib.abc
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from .foreign import Foreign

Ready = Callable[[ModuleType], None]


class ImportWatch(importlib.abc.MetaPathFinder):
    """Finder that finds nothing of its own: the loaders of some modules tell it when they are done.

    Args:
        wanted: by name of a module, what to call with it. An exception there is ignored: the app must go on.
    """

    def __init__(self, wanted: Mapping[str, Ready]) -> None:
        self._wanted = dict(wanted)

    def install(self) -> None:
        """Watch from now on; modules that are there already are ready at once."""
        for name in list(self._wanted):
            module = sys.modules.get(name)
            if module is not None:
                self._tell(name, module)
        sys.meta_path.insert(0, self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a wanted module as the other finders do, and watch its loader."""
        if fullname not in self._wanted:
            return None
        for finder in sys.meta_path:
            if finder is self:
                continue
            spec = finder.find_spec(fullname, path, target)
            if spec is not None:
                self._watch(fullname, spec.loader)
                return spec
        return None

    def _watch(self, name: str, loader: Any) -> None:
        execute = getattr(loader, "exec_module", None)
        if execute is None or isinstance(loader, type):
            return  # A loader that all modules share.

        def execute_and_tell(module: ModuleType) -> None:
            execute(module)
            self._tell(name, module)

        try:
            loader.exec_module = execute_and_tell
        except AttributeError:
            return  # A loader written in C.

    def _tell(self, name: str, module: ModuleType) -> None:
        ready = self._wanted.pop(name, None)
        if ready is not None:
            with Foreign(name):
                ready(module)
