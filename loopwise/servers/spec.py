"""The type of a server's spec: everything the harness knows about one server process manager."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loopwise.model import Server

HOST = "127.0.0.1"
ENTRY = "loopwise_probe:app"
"""The ASGI app that every server serves: the probe, which wraps the measured app."""
GRACE_S = "2"
"""How long a server waits for requests in flight after it was asked to stop."""


@dataclass(frozen=True)
class Refusal:
    """Why a server cannot do a suite key, or only with some values."""

    accepts: Callable[[Any], bool]
    """Whether a value that was set is possible all the same."""
    allowed: str
    because: str


def never(because: str) -> Refusal:
    """The key must not be set."""
    return Refusal(lambda _value: False, "no value", because)


def only(*values: Any, because: str) -> Refusal:
    """The key takes these values alone."""
    return Refusal(lambda value: value in values, ", ".join(map(str, values)), because)


def at_least(minimum: int, because: str) -> Refusal:
    """The key takes no smaller number."""
    return Refusal(lambda value: value >= minimum, f"{minimum} or more", because)


@dataclass(frozen=True)
class ServerSpec:
    """One server process manager: how it is started and stopped, what it needs and what it refuses."""

    name: str
    description: str
    argv: Callable[[Server, str, int, Path], list[str]]
    """Command line: (server, interpreter, port, scratch folder) -> argv."""
    needs: Mapping[str, str]
    """Module that the app's interpreter must have -> the requirement to install for it."""
    refuses: Mapping[str, Refusal] = field(default_factory=dict)
    """By suite key."""
    configuration: str | None = None
    """File of target_app that it reads from the scratch folder."""
    too_old: str | None = None
    """Text in its log that shows that the first package of `needs` is too old."""
    stop_root_alone: bool = False
    """Its workers die of a SIGTERM at once, without the app's shutdown: only the supervisor gets one."""

    @property
    def packages(self) -> tuple[str, ...]:
        """Names of the packages in `needs`."""
        return tuple(re.split(r"[<>=!~ ]", requirement)[0] for requirement in self.needs.values())

    def refusal(self, server: Server) -> tuple[str, str] | None:
        """The first key that cannot be done as asked, and the sentence for it; None if all can."""
        for key, refused in self.refuses.items():
            value = getattr(server, key)
            if value is not None and not refused.accepts(value):
                return key, (
                    f"got {value!r}, {self.name} can't: {refused.because} (allowed is {refused.allowed}); "
                    f"remove {key} or give {self.name} an entry of its own"
                )
        return None

    def remedy(self, server: Server, python: str, log: str) -> str | None:
        """What to install, if the log says that the server, or the event loop asked for, is missing."""
        wanted = dict(self.needs)
        if server.loop == "uvloop":
            wanted["uvloop"] = "uvloop"
        for module, requirement in wanted.items():
            if re.search(rf"No module named '?{module}\b|{module} is not installed|'{module}' implementation not", log):
                return f"{python} has no {module}; run: {python} -m pip install '{requirement}'"
        if self.too_old is not None and self.too_old in log:
            module, requirement = next(iter(self.needs.items()))
            return f"the {module} of {python} is too old; run: {python} -m pip install '{requirement}'"
        return None


def backlog(server: Server) -> list[str]:
    """The option for the listening socket's queue, which all servers call alike."""
    return [] if server.backlog is None else ["--backlog", str(server.backlog)]
