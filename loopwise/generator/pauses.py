"""How long a process did not run although it was due: it was stopped, the machine was suspended, or code blocked it."""

import time

LIVING_CLOCK: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Unlike Linux's monotonic clock, this one runs on while the machine is suspended."""


class Pauses:
    """The longest pause of a loop.

    Args:
        tick_s: how long the loop sleeps.
    """

    def __init__(self, tick_s: float) -> None:
        self._tick_s = tick_s
        self.begin()

    def begin(self) -> None:
        """Forget earlier pauses."""
        self.longest_s = 0.0
        self._woke_s = time.clock_gettime(LIVING_CLOCK)

    def note(self) -> None:
        """Note how much longer than a tick it is since the last call."""
        now_s = time.clock_gettime(LIVING_CLOCK)
        self.longest_s = max(self.longest_s, now_s - self._woke_s - self._tick_s)
        self._woke_s = now_s
