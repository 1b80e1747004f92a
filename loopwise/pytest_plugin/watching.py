"""Time the callbacks of this process's event loops while a call lasts, and sample which lines they execute.

A callback's time is that of the loop's own thread: what it computes and what it waits for, without the time in which it
was ready and the kernel gave it no core. Nothing stays behind: what is replaced in asyncio and uvloop is put back when
the last call ends.
"""

import asyncio
import os
import resource
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from loopwise.pytest_plugin.blaming import blame_module

if TYPE_CHECKING:
    from target_app.blame.places import Places, Spot, Stack
    from target_app.blame.tally import Sample

SAMPLE_S = 0.001
SWITCH_S = 0.0005
"""How long the sampling thread waits before it asks for the GIL; Python's 5 ms would blind it for as long."""
SCHEDULING = ("call_soon", "call_soon_threadsafe", "call_later", "call_at")
"""Methods of uvloop's loops, whose handles are not Python's; all callbacks but those of transports pass by them."""
SCHEDSTAT = "/proc/thread-self/schedstat"
HAS_SWITCHES = hasattr(resource, "RUSAGE_THREAD")


class Held(NamedTuple):
    """A callback that held its loop for longer than is allowed."""

    thread: int
    ns: int
    shares: "dict[Spot, float]"
    """Each line's part of it; empty: it wasn't sampled, or no sample fell on a line that can be blamed."""


class Call:
    """Callbacks that ran while an endpoint was asked once.

    Args:
        limit_ns: callbacks that hold the loop for longer are kept one by one.
        places: chooses the line to blame; None: nothing is sampled.
    """

    def __init__(self, limit_ns: int, places: "Places | None" = None) -> None:
        self.places = places
        self.threads: set[int] = set()
        """Those whose loop worked for the call."""
        self._limit_ns = limit_ns
        self._longest: dict[int, tuple[int, ...]] = {}
        """Of the callbacks of a thread: the greatest time for which it held the loop, and by the wall clock."""
        self._over: list[Held] = []

    def note(self, thread: int, held_ns: int, wall_ns: int, shares: "Callable[[Places], dict[Spot, float]]") -> None:
        """Record a callback, in the loop's thread."""
        self._longest[thread] = tuple(map(max, self._longest.get(thread, (0, 0)), (held_ns, wall_ns)))
        if held_ns > self._limit_ns:
            self._over.append(Held(thread, held_ns, {} if self.places is None else shares(self.places)))

    @property
    def longest_ns(self) -> int:
        """The longest that one callback held a loop that worked for the call."""
        return max((self._longest.get(thread, (0, 0))[0] for thread in self.threads), default=0)

    @property
    def is_held(self) -> bool:
        """Whether a callback held the loop for longer than the limit."""
        return self.longest_ns > self._limit_ns

    @property
    def is_free(self) -> bool:
        """Whether each callback ended within the limit by any clock.

        A call can be neither: a thread that waits and is denied its core meanwhile does both at once.
        """
        return all(self._longest.get(thread, (0, 0))[1] <= self._limit_ns for thread in self.threads)

    @property
    def over(self) -> list[Held]:
        """Callbacks above the limit, of loops that worked for the call."""
        return [each for each in self._over if each.thread in self.threads]


working_for: ContextVar[Call | None] = ContextVar("loopwise_call", default=None)
"""The call that caused a callback: tasks, timers and threads inherit it with their context."""


def now_ns() -> int:
    """A monotonic clock, and not one of those that tests freeze."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


@contextmanager
def watching(call: Call) -> Iterator[None]:
    """Watch within a `with` block: callbacks that begin in it, and whatever its code causes works for the call."""
    _watch.begin(call)
    token = working_for.set(call)
    try:
        yield
    finally:
        working_for.reset(token)
        _watch.end(call)


def settle(timeout_s: float) -> None:
    """Wait until callbacks of other threads that are being executed have ended: their times are not known before."""
    open_now, deadline_ns = dict(_watch.running), now_ns() + round(timeout_s * 1e9)
    open_now.pop(threading.get_ident(), None)
    while any(_watch.running.get(thread) == began for thread, began in open_now.items()):
        if now_ns() > deadline_ns:
            return
        time.sleep(SAMPLE_S / 4)


class _Reading(NamedTuple):
    """Clocks of the running thread."""

    wall_ns: int
    cpu_ns: int
    delay_ns: int
    """Time in which it was ready and was given no core; 0 where the system doesn't tell."""
    waits: int
    """How often it gave its core up by itself, to wait; where the system doesn't tell, a number that always grows."""


def _read() -> _Reading:
    """All clocks at one moment: again where the thread lost its core between two of them."""
    while True:
        before, reading, after = _switches(), _read_clocks(), _switches()
        if before == after:
            return reading


def _read_clocks() -> _Reading:
    wall_ns = now_ns()
    waits = _switches()[0] if HAS_SWITCHES else wall_ns
    return _Reading(wall_ns, time.thread_time_ns(), _delay_ns(), waits)


def _switches() -> tuple[int, int]:
    """How often the thread gave its core up by itself, and how often it was taken."""
    if not HAS_SWITCHES:
        return 0, 0
    usage = resource.getrusage(resource.RUSAGE_THREAD)
    return usage.ru_nvcsw, usage.ru_nivcsw


def _delay_ns() -> int:
    try:
        file = os.open(SCHEDSTAT, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        return int(os.read(file, 100).split()[1])
    finally:
        os.close(file)


def _held_ns(begin: _Reading, end: _Reading) -> int:
    """The time for which a thread held its loop: by computing alone, or by waiting as well."""
    cpu_ns = end.cpu_ns - begin.cpu_ns
    if end.waits == begin.waits:
        return cpu_ns  # whatever else passed is the machine's doing
    return max(cpu_ns, end.wall_ns - begin.wall_ns - (end.delay_ns - begin.delay_ns))


class _Watch:
    """Calls that are under way, and the callbacks that are being executed meanwhile."""

    def __init__(self) -> None:
        self.calls: tuple[Call, ...] = ()
        self.running: dict[int, int] = {}
        """Thread of a loop -> when its callback began."""
        self._samples: dict[int, list[Sample]] = {}
        self._restore: list[Callable[[], None]] = []
        self._sampler: threading.Thread | None = None
        self._lock = threading.Lock()

    def begin(self, call: Call) -> None:
        """Watch for a call, too."""
        with self._lock:
            if not self.calls:
                self._restore = [_replaced(asyncio.Handle, "_run", _run), *_in_uvloop()]
            self.calls = (*self.calls, call)
            if call.places is not None and self._sampler is None:
                interval_s = sys.getswitchinterval()
                sys.setswitchinterval(min(interval_s, SWITCH_S))
                self._restore.append(partial(sys.setswitchinterval, interval_s))
                self._sampler = threading.Thread(
                    target=self._sample, args=(call.places,), name="loopwise-samples", daemon=True
                )
                self._sampler.start()

    def end(self, call: Call) -> None:
        """End a call; with the last one everything is as it was."""
        sampler = None
        with self._lock:
            self.calls = tuple(each for each in self.calls if each is not call)
            if not self.calls:
                while self._restore:
                    self._restore.pop()()
                sampler, self._sampler = self._sampler, None
        if sampler is not None:
            sampler.join()
            self._samples.clear()

    def timed(self, callback: Callable[[], Any], call: Call | None) -> Any:
        """Execute a callback of a loop, which works for a call, or for none."""
        if not self.calls:
            return callback()
        thread = threading.get_ident()
        if call is not None:
            call.threads.add(thread)
        outer = self.running.get(thread)
        begin = _read()
        self.running[thread] = begin.wall_ns
        self._samples.pop(thread, None)
        try:
            return callback()
        finally:
            end = _read()
            held_ns = _held_ns(begin, end)
            for each in self.calls:
                each.note(
                    thread,
                    held_ns,
                    end.wall_ns - begin.wall_ns,
                    partial(self._shares, thread, begin.wall_ns, end.wall_ns),
                )
            if outer is None:
                self.running.pop(thread, None)
            else:
                self.running[thread] = outer

    def _shares(self, thread: int, begin_ns: int, end_ns: int, places: "Places") -> "dict[Spot, float]":
        samples = [each for each in self._samples.get(thread, ()) if each.at_ns > begin_ns]
        shares: dict[Spot, float] = blame_module("tally").shares(places, samples, begin_ns, end_ns)
        return shares

    def _sample(self, places: "Places") -> None:
        """Note every millisecond what the loops that are in a callback execute; runs in a thread of its own."""
        sys.settrace(None)  # coverage's tracer would make each look at a stack slow
        stack_of, sample = blame_module("places").stack_of, blame_module("tally").Sample
        since_ns = now_ns()
        while self._sampler is threading.current_thread():
            time.sleep(SAMPLE_S)
            at_ns = now_ns()
            for thread in list(self.running):
                spot = places.spot(_inside(stack_of(sys._current_frames().get(thread))))
                self._samples.setdefault(thread, []).append(sample(since_ns, at_ns, spot))
            since_ns = at_ns


_watch = _Watch()


def _inside(stack: "Stack") -> "Stack":
    """The part of a stack that lies in the callback: outside of it are the loop, pytest and the test."""
    files = [frame.code.co_filename for frame in stack]
    return stack[: files.index(__file__)] if __file__ in files else []


def _replaced(owner: type, name: str, wrapper: Callable[..., Any]) -> Callable[[], None]:
    """Replace a method; returns what puts it back, unless somebody else has replaced it since."""
    inherited, original = name not in vars(owner), getattr(owner, name)
    new = partial(wrapper, original)

    def method(*args: Any, **options: Any) -> Any:
        return new(*args, **options)

    def restore() -> None:
        if getattr(owner, name) is method:
            if inherited:
                delattr(owner, name)
            else:
                setattr(owner, name, original)

    setattr(owner, name, method)
    return restore


def _run(original: Callable[[asyncio.Handle], None], handle: Any) -> None:
    """Run a handle of asyncio's own loops, and time it."""
    _watch.timed(partial(original, handle), handle._context.get(working_for))


def _in_uvloop() -> Iterator[Callable[[], None]]:
    """Replace what schedules callbacks on a uvloop, if the process uses it."""
    loop: Any = getattr(sys.modules.get("uvloop"), "Loop", None)
    for name in SCHEDULING if loop is not None else ():
        yield _replaced(loop, name, _schedule_later if name in {"call_later", "call_at"} else _schedule)


def _schedule(
    original: Callable[..., Any], loop: Any, callback: Callable[..., Any], *args: Any, context: Any = None
) -> Any:
    return original(loop, partial(_call_back, callback, args), context=context)


def _schedule_later(
    original: Callable[..., Any], loop: Any, when: float, callback: Callable[..., Any], *args: Any, context: Any = None
) -> Any:
    return original(loop, when, partial(_call_back, callback, args), context=context)


def _call_back(callback: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    return _watch.timed(partial(callback, *args), working_for.get())
