"""Memory of virtual users that mostly pause."""

import resource
from pathlib import Path

import psutil

from loopwise.calibrate.document import UserMemory
from loopwise.calibrate.generation import Bench
from loopwise.errors import RunError
from loopwise.generator.client import GeneratorProcess, Hear
from loopwise.generator.protocol import Event, Order
from loopwise.model import Load

FEW_USERS = 100
"""The first run pays for what is loaded once, whatever the number of users."""
SPARE_FILES = 500
THINK_S = 30.0
SPAWN_RATE = 5000.0
"""Users a second; a server's queue for new connections holds 4096 by default (net.core.somaxconn)."""


class WatchedGenerator(GeneratorProcess):
    """A generator whose memory is looked at while it runs."""

    peak_rss_bytes = 0
    """Greatest resident memory at the begin and end of the last run's window."""

    def run(self, order: Order, hear: Hear) -> Event:
        """Generate one run; see GeneratorProcess.run."""
        self.peak_rss_bytes = 0

        def look(event: Event) -> None:
            if event.event in {"window_opened", "window_closed"}:
                rss_bytes = int(psutil.Process(self._process.pid).memory_info().rss)
                self.peak_rss_bytes = max(self.peak_rss_bytes, rss_bytes)
            hear(event)

        return super().run(order, look)


def measure_memory(bench: Bench, users: int, log: Path) -> UserMemory:
    """Growth of a fresh generator's memory from a few users to many.

    Args:
        bench: server and folder.
        users: as many as open files are allowed, at most.
        log: of the generator.

    Raises:
        RunError: the generator failed, or the limit on open files leaves no room.
    """
    bench.tell(f"memory of {users:,} mostly idle users")
    room = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SPARE_FILES
    users = min(users, room)
    if users < 2 * FEW_USERS:
        raise RunError(f"room for {room} connections only; raise the limit on open files: `ulimit -n 65536`")
    generator = WatchedGenerator(log)
    try:
        few_bytes = _rss_bytes(bench, generator, FEW_USERS)
        many_bytes = _rss_bytes(bench, generator, users)
    finally:
        generator.close()
    growth_bytes = many_bytes - few_bytes
    return UserMemory(
        users=users, growth_bytes=growth_bytes, bytes_per_user=growth_bytes / (users - FEW_USERS)
    )


def _rss_bytes(bench: Bench, generator: WatchedGenerator, users: int) -> int:
    """The generator's memory in a window in which every user has had an answer and pauses."""
    load = Load(
        users=users,
        think_s=THINK_S,
        spawn_rate=SPAWN_RATE,
        warmup_s=users / SPAWN_RATE,
        warmup_max_s=20.0,
        measure_s=0.3,
        timeout_s=10.0,
    )
    bench.generate(load, generator=generator)
    return generator.peak_rss_bytes
