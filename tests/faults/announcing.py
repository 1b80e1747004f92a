"""Run the command line so that it announces the phase in which a fault is wanted, and waits there a moment.

Started by its path: `python announcing.py PLAN ARGUMENT…`. PLAN is JSON: `hook` (`module:Class.attribute`; with `@word`
only calls that have an argument whose event or phase it is), `nth`, `mark` and `go` (files), `pause_s`, `draws`.
"""

import functools
import importlib.abc
import importlib.util
import json
import sys
import time
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).parents[2]


class Wrapping(importlib.abc.MetaPathFinder):
    """Changes a module as soon as it is imported: nothing is imported earlier than it would be."""

    module = ""

    def wrap(self, module: ModuleType) -> None:
        """Change it."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        del path, target
        if name != self.module:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.loader is not None
        execute = spec.loader.exec_module

        def execute_and_wrap(module: ModuleType) -> None:
            execute(module)
            self.wrap(module)

        spec.loader.exec_module = execute_and_wrap  # type: ignore[method-assign]
        return spec


class Undrawing(Wrapping):
    """Leaves the charts out, which take most of a report's time."""

    module = "loopwise.report.charts.specs"

    def wrap(self, module: ModuleType) -> None:
        module.__dict__["save"] = lambda *_: []


class Announcer(Wrapping):
    """Lets one function announce that it is called."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.plan = plan
        self.module, _, place = plan["hook"].partition(":")
        self.place, _, self.word = place.partition("@")
        self.calls = 0

    def wrap(self, module: ModuleType) -> None:
        *owners, name = self.place.split(".")
        owner = functools.reduce(getattr, owners, module)
        setattr(owner, name, self.announced(getattr(owner, name)))

    def announced(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*arguments: Any, **named: Any) -> Any:
            if not self.word or any(
                self.word in {getattr(each, "event", None), getattr(each, "phase", None)} for each in arguments
            ):
                self.calls += 1
                if self.calls == self.plan["nth"]:
                    self.announce()
            return function(*arguments, **named)

        return call

    def announce(self) -> None:
        Path(self.plan["mark"]).touch()
        go, deadline_s = Path(self.plan["go"]), time.monotonic() + self.plan["pause_s"]
        while not go.exists() and time.monotonic() < deadline_s:
            time.sleep(0.005)


def main() -> None:
    sys.path[0] = str(ROOT)
    plan = json.loads(sys.argv.pop(1))
    sys.argv[0] = str(ROOT / "bench.py")
    if plan["hook"]:
        sys.meta_path.insert(0, Announcer(plan))
    if not plan["draws"]:
        sys.meta_path.insert(0, Undrawing())
    importlib.import_module("loopwise.__main__").main()


if __name__ == "__main__":
    main()
