"""A fake target_app, and suites made of a few lines."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from loopwise.errors import SuiteError
from loopwise.model import Cost, Suite
from loopwise.servers.target import Description
from loopwise.suite import load_suite

MODES = {
    "noop": ("async", "sync"),
    "sleep": ("async", "sync", "blocking", "to_thread"),
    "cpu": ("async", "sync", "process"),
}


class FakeTarget:
    """Answers as `python -m target_app describe` does, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[dict[str, Any]]] = []

    def __call__(self, requests: Sequence[Mapping[str, Any]]) -> list[Description]:
        self.asked.append([dict(request) for request in requests])
        return [
            self._describe(request["workload"], request["params"], request["mode"]).model_copy(
                update={"features": request["features"]}
            )
            for request in requests
        ]

    def _describe(self, workload: str, params: dict[str, Any], mode: str) -> Description:
        if workload not in MODES:
            return _refusal("workload", f'got "{workload}", allowed are {", ".join(MODES)}')
        if mode not in MODES[workload]:
            return _refusal("mode", f'got "{mode}", allowed are {", ".join(MODES[workload])}')
        if params.get("ms", 1) <= 0:
            return _refusal("params.ms", f"got {params['ms']}, allowed is more than 0")
        query = "&".join(f"{name}={value}" for name, value in params.items())
        path = f"/{workload}/{mode}{'?' if query else ''}{query}"
        return Description(ok=True, path=path, params=params, cost=Cost(wait_ms=params.get("ms", 0)))


def _refusal(key: str, error: str) -> Description:
    return Description(ok=False, key=key, error=error)


def suite_file(folder: Path, text: str, name: str = "x.toml") -> Path:
    """The text as a file in the folder."""
    path = folder / name
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return path


def suite_of(folder: Path, text: str, *overrides: str, **options: Any) -> Suite:
    """The suite that the text is, loaded with the fake target_app."""
    return load_suite(str(suite_file(folder, text)), overrides, **({"describe": FakeTarget()} | options))


def ids_of(suite: Suite) -> list[str]:
    """The suite's case ids, in order."""
    return [case.case_id for case in suite.cases]


def sentence(folder: Path, text: str, *overrides: str) -> str:
    """What loading the text says; always one line, beginning with the file."""
    suite_file(folder, "", "ok.py")
    with pytest.raises(SuiteError) as raised:
        suite_of(folder, text, *overrides)
    message = str(raised.value)
    assert message.startswith((f"{folder}/x.toml: ", "--set "))
    assert "\n" not in message
    return message
