"""The probe's instruments: samples of a worker process's event loop and pools, ten times a second.

Copied beside the probe as `loopwise_instruments.py`, so: standard library only, Python 3.9 or newer, nothing of ours.
A thread writes a line of JSON per sample to `<folder>/<pid>.jsonl`, each with one system call, so that a kill loses
nothing. It reads marks that the event loop leaves and never asks the loop for anything, so a blocked loop is seen while
it is blocked.

The loop leaves marks: at both ends of every request, and a heartbeat every few milliseconds. The heartbeat's lateness
is the loop's lag: how long a callback waits that became due at that moment. The longest gap between two marks while a
heartbeat is overdue is a stall: one piece of code that kept the loop. Many short callbacks make lag, but no stall.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Any

INTERVAL_S = 0.1
BEAT_S = 0.004
"""The heartbeat's period: half of it is the error of a stall's length, and a beat costs a few microseconds."""
STALL_S = 0.004
"""A heartbeat that is overdue by less is late by the timer's own resolution and by the callbacks before it."""
SUB_BUCKETS = 16
"""Buckets of lag per doubling, from 1 µs on: each is at most a sixteenth wide."""

OF_THE_LOOP = ("lags", "lag_max_ms", "stall_ms", "blocked_s")
"""Figures of a sample that a worker without an event loop does not have."""
MAX_THREADS = 64
"""To ask the kernel for the times of more threads would cost too much."""

Gauge = Callable[[], Mapping[str, int]]


def bucket(lag_s: float) -> int:
    """Return the number of a lag's bucket; loopwise.results.lags holds the inverse."""
    lag_us = max(0, int(lag_s * 1e6))
    shift = max(0, lag_us.bit_length() - 5)
    return shift * SUB_BUCKETS + (lag_us >> shift)


def threads_of(executor: Any) -> list[int] | None:
    """Return thread limit, busy threads and waiting calls of an executor; None: it is none as we know it."""
    try:
        queued = executor._work_queue.qsize()
        # The semaphore of idle threads counts those that go on to the next call as well.
        busy = executor._max_workers if queued else len(executor._threads) - executor._idle_semaphore._value
        return [executor._max_workers, max(0, busy), queued]
    except AttributeError:
        return None


class Instruments:
    """Instruments of one worker process; `enter` and `leave` run for every request and cost the most.

    Args:
        folder: where the file goes.
        gauges: further figures by name, each a function that gives max, busy and queued of a pool; may grow later.
    """

    def __init__(self, folder: str, gauges: Mapping[str, Gauge]) -> None:
        self.limiter: Any = None
        """AnyIO's default limiter of this loop, once it exists."""
        self.waits: Any = None
        """What requests wait for (waits/watching.py); None: it is not watched."""
        self.stacks: Any = None
        """Where threads and tasks stand (stacks.py); None: it is not looked for."""
        self.serving: Any = None
        """Executor whose threads serve requests, in place of the limiter's; None: there is none."""
        self._folder = folder
        self._gauges = gauges
        self._started = 0
        self._done = 0
        self._mark_s = self._due_s = monotonic()
        self._mark_is_beat = True
        # Filled by the loop, emptied by the thread: appending and popping are atomic, sums would not be.
        self._lags_s: deque[float] = deque()
        self._stalls_s: deque[float] = deque()
        self._pauses_s: deque[float] = deque()
        self._collection_s: float | None = None
        self._blocked_s = 0.0
        self._is_blocked = False
        """Whether code kept the loop at the last sample."""
        self._paused_s = 0.0
        self._loop: Any = None
        self._executor: ThreadPoolExecutor | None = None
        self._schedule = -1
        # Granian's own threads aren't Python's either, and serve.
        self._natives = None if "granian" in sys.modules else NativeThreads()
        self._sink = -1

    def start(self, loop: Any) -> None:
        """Begin to sample; call once, in the running loop's own thread."""
        self._loop = loop
        try:
            self._schedule = os.open(f"/proc/self/task/{threading.get_native_id()}/schedstat", os.O_RDONLY)
        except OSError:
            self._schedule = -1  # Only Linux tells.
        self._find_executor()
        self._mark_s = self._due_s = monotonic()
        self._beat()
        self._begin()

    def _begin(self) -> None:
        """Open the file and start the thread that writes to it."""
        os.makedirs(self._folder, exist_ok=True)
        path = os.path.join(self._folder, f"{os.getpid()}.jsonl")
        self._sink = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        gc.callbacks.append(self._collect)
        threading.Thread(target=self._watch, name="loopwise-probe", daemon=True).start()

    def enter(self) -> None:
        """Mark the begin of a request."""
        now_s = monotonic()
        if now_s - self._mark_s > STALL_S and now_s - self._due_s > STALL_S:
            self._stalls_s.append(now_s - self._stall_began_s())
        self._mark_s = now_s
        self._mark_is_beat = False
        self._started += 1

    def leave(self) -> None:
        """Mark the end of a request."""
        now_s = monotonic()
        if now_s - self._mark_s > STALL_S and now_s - self._due_s > STALL_S:
            self._stalls_s.append(now_s - self._stall_began_s())
        self._mark_s = now_s
        self._mark_is_beat = False
        self._done += 1

    def _beat(self) -> None:
        now_s = monotonic()
        late_s = now_s - self._due_s
        self._lags_s.append(late_s)
        if late_s > STALL_S and now_s - self._mark_s > STALL_S:
            self._stalls_s.append(now_s - self._stall_began_s())
        self._mark_s = now_s
        self._mark_is_beat = True
        self._due_s = now_s + BEAT_S
        self._loop.call_later(BEAT_S, self._beat)

    def _stall_began_s(self) -> float:
        """Time at which a stall began: the last request's mark, or midway between the last beat and the overdue one."""
        return (self._mark_s + self._due_s) / 2 if self._mark_is_beat else self._mark_s

    def _collect(self, phase: str, _info: Mapping[str, int]) -> None:
        if phase == "start":
            self._collection_s = monotonic()
        elif self._collection_s is not None:
            self._pauses_s.append(monotonic() - self._collection_s)

    def _find_executor(self) -> None:
        """Find the default executor: asyncio's loop shows it, uvloop's hides it and is given one."""
        loop = self._loop
        if hasattr(loop, "_default_executor"):
            return
        set_executor = loop.set_default_executor

        def remember(executor: ThreadPoolExecutor) -> None:
            self._executor = executor
            set_executor(executor)

        remember(ThreadPoolExecutor(thread_name_prefix="asyncio"))
        try:
            loop.set_default_executor = remember
        except AttributeError:
            self._executor = None

    def _watch(self) -> None:
        due_s = monotonic() + INTERVAL_S
        while True:
            time.sleep(max(0.0, due_s - monotonic()))
            late_s = monotonic() - due_s
            line = json.dumps(self.sample(late_s), separators=(",", ":"))
            try:
                os.write(self._sink, line.encode() + b"\n")
            except OSError:
                return  # The folder's disk is full or gone; the app goes on.
            due_s = max(due_s + INTERVAL_S, monotonic())

    def sample(self, late_s: float) -> dict[str, Any]:
        """Take one sample; marks left by the loop since the last one are consumed.

        `lags` counts by bucket, `…_max_ms` and `stall_ms` are of the time since the last sample; `blocked_s`, `gc_s`,
        `loop_cpu_s`, `loop_wait_s`, `native_cpu_s`, `native_wait_s`, `started` and `done` are sums since the beginning;
        `stands` is there when stacks were looked at.
        """
        loop = self._loop_figures()
        pause_s = self._drain_pauses()
        natives = self._natives.figures() if self._natives is not None else (None, None, None)
        done = self._done
        resources = self._resources()
        return {
            "time_ns": time.time_ns(),
            "late_ms": round(late_s * 1e3, 3),
            **loop,
            **dict(zip(("native_threads", "native_cpu_s", "native_wait_s"), natives)),
            "limiter": self._limiter(),
            "executor": self._executor_figures(),
            "gauges": self._gauge_figures(resources),
            "resources": resources,
            "started": self._started,
            "done": done,
            "gc_max_ms": round(pause_s * 1e3, 3),
            "gc_s": round(self._paused_s, 6),
            **self._stands(),
        }

    def _stands(self) -> dict[str, Any]:
        if self.stacks is None:
            return {}
        try:
            looks = self.stacks.look(is_blocked=self._is_blocked)
        except Exception as error:  # It follows anybody's frames, in an interpreter of any age.
            self.stacks = None
            sys.stderr.write(f"loopwise_probe: stacks are not looked at any more ({type(error).__name__}: {error})\n")
            return {}
        return {"stands": looks} if looks else {}

    def _loop_figures(self) -> dict[str, Any]:
        """The part of a sample that is about the event loop."""
        lags, lag_max_s = self._drain_lags()
        stall_s = self._drain_stalls()
        now_s = monotonic()
        # The due time is read first: a beat between the two readings makes the second the later one.
        overdue_s, silent_s = now_s - self._due_s, now_s - self._mark_s
        open_s = now_s - self._stall_began_s() if min(overdue_s, silent_s) > STALL_S else 0.0
        self._is_blocked = open_s > 0.0
        cpu_s, wait_s = self._loop_schedule()
        return {
            "lags": lags,
            "lag_max_ms": round(max(lag_max_s, overdue_s, 0.0) * 1e3, 3),
            "stall_ms": round(max(stall_s, open_s) * 1e3, 3),
            "blocked_s": round(self._blocked_s + open_s, 6),
            "loop_cpu_s": cpu_s,
            "loop_wait_s": wait_s,
        }

    def _drain_lags(self) -> tuple[dict[int, int], float]:
        """Count lags by bucket, and find the greatest.

        A beat that is late stands for the beats that could not be made meanwhile: without them a stall of a second
        would count once, and five free milliseconds as much.
        """
        counts: dict[int, int] = {}
        greatest_s = 0.0
        while self._lags_s:
            lag_s = max(0.0, self._lags_s.popleft())
            greatest_s = max(greatest_s, lag_s)
            while lag_s >= 0.0:
                number = bucket(lag_s)
                counts[number] = counts.get(number, 0) + 1
                lag_s -= BEAT_S
        return counts, greatest_s

    def _drain_stalls(self) -> float:
        longest_s = 0.0
        while self._stalls_s:
            stall_s = self._stalls_s.popleft()
            self._blocked_s += stall_s
            longest_s = max(longest_s, stall_s)
        return longest_s

    def _drain_pauses(self) -> float:
        longest_s = 0.0
        while self._pauses_s:
            pause_s = self._pauses_s.popleft()
            self._paused_s += pause_s
            longest_s = max(longest_s, pause_s)
        return longest_s

    def _loop_schedule(self) -> tuple[float | None, float | None]:
        """Seconds in which the loop's thread ran, and in which it was ready but had no core."""
        if self._schedule < 0:
            return None, None
        try:
            ran_ns, waited_ns = os.pread(self._schedule, 96, 0).split()[:2]
        except (OSError, ValueError):
            return None, None
        return int(ran_ns) / 1e9, int(waited_ns) / 1e9

    def _limiter(self) -> Sequence[int | None] | None:
        """Tokens in all, tokens in use, and tasks waiting; or the same of the threads that serve instead."""
        if self.serving is not None:
            return threads_of(self.serving)
        if self.limiter is None:
            return None
        try:
            found = self.limiter.statistics()
            total = found.total_tokens
            return [int(total), int(found.borrowed_tokens), int(found.tasks_waiting)]
        except (OverflowError, RuntimeError):
            return None  # No limit was set (infinity), or a borrower came while they were listed.

    def _executor_figures(self) -> list[int] | None:
        """Thread limit, busy threads and waiting calls of asyncio's default executor."""
        return threads_of(self._executor or getattr(self._loop, "_default_executor", None))

    def _resources(self) -> list[Any]:
        """What requests wait for; executors that serve requests or the loop are reported by themselves."""
        if self.waits is None:
            return []
        reported = (self._executor or getattr(self._loop, "_default_executor", None), self.serving)
        return list(self.waits.sample([each for each in reported if each is not None]))

    def _gauge_figures(self, resources: list[Any]) -> dict[str, list[int]]:
        found = {}
        for name, gauge in list(self._gauges.items()):
            try:
                figures = gauge()
                found[name] = [int(figures[key]) for key in ("max", "busy", "queued")]
            except Exception:  # a gauge is anybody's code; the others must go on
                continue
        if self.waits is not None and "dependency_pool" not in found:
            figures = self.waits.fullest_pool(resources)
            if figures is not None:
                found["dependency_pool"] = figures
        return found


class ThreadInstruments(Instruments):
    """Instruments of a worker whose threads call a WSGI app.

    It has no event loop, so there are no figures of one, but for CPU and waits for a core: they are those of all its
    threads. Busy threads are requests that the app has begun and not
    ended. Who waits for a thread is in the server's own queue, where nobody inside can see it: the harness counts the
    requests that were sent and that no thread works on.

    Args:
        folder: where the file goes.
        gauges: as of other instruments.
        threads: of the worker; None: not known.
    """

    def __init__(self, folder: str, gauges: Mapping[str, Gauge], threads: int | None) -> None:
        super().__init__(folder, gauges)
        self._threads = threads
        self._all = AllThreads()
        # Filled by all threads, emptied by the one that samples: appending and popping are atomic, sums are not.
        self._begun: deque[None] = deque()
        self._ended: deque[None] = deque()

    def start(self, loop: None = None) -> None:
        """Begin to sample; call once."""
        assert loop is None
        self._begin()

    def enter(self) -> None:
        """Mark the begin of a request."""
        self._begun.append(None)

    def leave(self) -> None:
        """Mark the end of a request."""
        self._ended.append(None)

    def sample(self, late_s: float) -> dict[str, Any]:
        """Take one sample, as other instruments do."""
        # The ends first, so that no request has ended that has not begun.
        self._done += _drained(self._ended)
        self._started += _drained(self._begun)
        return super().sample(late_s)

    def _loop_figures(self) -> dict[str, Any]:
        _, ran_s, waited_s = self._all.figures()
        return {**dict.fromkeys(OF_THE_LOOP), "loop_cpu_s": ran_s, "loop_wait_s": waited_s}

    def _limiter(self) -> Sequence[int | None] | None:
        """Threads, and those that work on a request; who waits for one is not seen from inside."""
        if self._threads is None:
            return None
        return [self._threads, min(self._threads, self._started - self._done), None]


def _drained(marks: deque[None]) -> int:
    """Empty it, and return how many it held."""
    count = len(marks)
    for _ in range(count):
        marks.popleft()
    return count


class NativeThreads:
    """Threads of this process that Python didn't start: those of BLAS, OpenMP and other libraries."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, int]] = {}
        """By thread: nanoseconds in which it ran, and in which it was ready but had no core; ended ones included."""

    def _left_out(self) -> set[str]:
        # The main thread of a forked worker (gunicorn's) has its parent's number there.
        return {str(os.getpid()), *(str(thread.native_id) for thread in threading.enumerate())}

    def figures(self) -> tuple[int | None, float | None, float | None]:
        """Return how many ran since the last call, and the seconds in which all ran and waited for a core."""
        try:
            threads = os.listdir("/proc/self/task")
        except OSError:
            return None, None, None  # Only Linux tells.
        ours = self._left_out()
        if len(threads) > MAX_THREADS and len(threads) > len(ours) + MAX_THREADS:
            return None, None, None
        running = 0
        for thread in threads:
            if thread in ours:
                self._seen.pop(thread, None)
                continue
            try:
                with open(f"/proc/self/task/{thread}/schedstat", "rb") as source:
                    ran_ns, waited_ns = map(int, source.read().split()[:2])
            except (OSError, ValueError):
                continue  # It has ended.
            running += ran_ns > self._seen.get(thread, (0, 0))[0]
            self._seen[thread] = ran_ns, waited_ns
        ran_s, waited_s = (sum(each[part] for each in self._seen.values()) / 1e9 for part in (0, 1))
        return running, ran_s, waited_s


class AllThreads(NativeThreads):
    """All threads of this process but the one that asks."""

    def _left_out(self) -> set[str]:
        return {str(threading.get_native_id())}
