"""Guards the probe's access to internals of other libraries: an error is logged once, and the app goes on."""

from __future__ import annotations

import sys
from types import TracebackType

_TOLD: set[str] = set()


class Foreign:
    """A `with` block in which an exception is suppressed, and written to the server's log once for each name.

    Args:
        name: what is not watched then: "redis", "threading.Condition".
    """

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        """Enter the block."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> bool:
        """Log and suppress an Exception; interrupts and the like pass."""
        if not isinstance(error, Exception):
            return False
        if self._name not in _TOLD:
            _TOLD.add(self._name)
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            sys.stderr.write(f"loopwise_probe: {self._name} is not watched, a version that is not known ({reason})\n")
        return True
