"""The assertion that no callback holds the event loop while an endpoint is asked; the best of several calls decides."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopwise.errors import EndpointError, UsageError
from loopwise.pytest_plugin import asking
from loopwise.pytest_plugin.asking import Request
from loopwise.pytest_plugin.blaming import blame_module
from loopwise.pytest_plugin.watching import Call, now_ns, settle, watching
from loopwise.servers.source import called, source_line

if TYPE_CHECKING:
    from target_app.blame.places import Places

BUDGET_S, LEAST_CALLS, UNCLEAR_CALLS = 1.5, 2, 5
"""After this time no more calls are made than are needed to decide: so many, or so many where most are neither."""
LOOKS, NAMED = 3, 2
"""Calls at most in which lines are sampled, and those that are enough where the line is seen."""
LISTED, LEAST_SHARE = 3, 0.05
"""Lines that a failure shows, of those that take at least so much of the time."""


class LoopHeldError(AssertionError):
    """A callback held the event loop for longer than is allowed in every call; names the lines."""


class Trial:
    """Decides after each call whether another one is needed.

    The first call is not counted: it imports, connects and fills caches. One call in which every callback ended in time
    decides: other processes, the garbage collector or the hypervisor may hold any single call, but not a sound endpoint
    each time. Without such a call most calls decide. Only then are lines sampled, in calls of their own: a sampling
    thread that loses its core while it has the GIL holds the loop, too.
    """

    def __init__(self, request: Request, longest_ms: float, times: int) -> None:
        if not longest_ms > 0:
            raise UsageError(f"loopwise: longest_ms: got {longest_ms!r}, allowed is a number above 0")
        if times < 1:
            raise UsageError(f"loopwise: times: got {times!r}, allowed is a number of calls from 1")
        self.request = request
        self._longest_ms, self._times = longest_ms, times
        self._places: Places | None = None
        self._calls: list[Call] = []
        """The first one does not count."""
        self._looks: list[Call] = []
        """Calls in which lines are sampled."""
        self._began_ns = now_ns()

    def next_call(self) -> Call | None:
        """The next call to make; None: it is decided."""
        if self._is_free:
            return None
        if not self._is_timed():
            call = Call(self._limit_ns)
            self._calls.append(call)
        elif self._are_most_held and not self._is_named():
            call = Call(self._limit_ns, self._look())
            self._looks.append(call)
        else:
            return None
        return call

    @property
    def _is_free(self) -> bool:
        """Whether the last call that counts held nothing."""
        counted = self._calls[1:] + self._looks
        return bool(counted) and counted[-1].is_free

    def _is_timed(self) -> bool:
        """Whether calls enough were made without sampling."""
        counted = len(self._calls) - 1
        if self._are_most_held:
            return len(self._held) >= self._times or (self._is_late and counted >= LEAST_CALLS)
        return self._is_late and counted >= UNCLEAR_CALLS

    def _is_named(self) -> bool:
        named = [call for call in self._looks if any(held.shares for held in call.over)]
        return len(named) >= NAMED or len(self._looks) >= LOOKS or bool(named and self._is_late)

    @property
    def _is_late(self) -> bool:
        return now_ns() - self._began_ns > BUDGET_S * 1e9

    @property
    def _held(self) -> list[Call]:
        """Counted calls in which a callback held the loop."""
        return [call for call in self._calls[1:] if call.is_held]

    @property
    def _are_most_held(self) -> bool:
        return 2 * len(self._held) > len(self._calls) - 1 > 0

    @property
    def _limit_ns(self) -> int:
        return round(self._longest_ms * 1e6)

    def _look(self) -> "Places":
        if self._places is None:
            self._places = blame_module("places").Places(os.sep, str(Path(__file__).parent))  # all that isn't installed
        return self._places

    def decide(self) -> None:
        """Raise LoopHeldError where every counted call held a loop for too long."""
        __tracebackhide__ = True
        if not all(call.threads for call in [*self._calls, *self._looks]):
            raise EndpointError(
                f"{self.request.name}: was answered without a callback of an event loop that can be watched; run the "
                "app on asyncio or uvloop (anyio_backend: asyncio)"
            )
        if not self._is_free and self._are_most_held:
            raise LoopHeldError(self._failure())

    def _failure(self) -> str:
        counted = len(self._calls) - 1
        times_ms = sorted(call.longest_ns / 1e6 for call in self._held)
        least, most = f"{times_ms[0]:.1f}", f"{times_ms[-1]:.1f}"
        begin = (
            f"{self.request.name} held the event loop for {least if least == most else f'{least} to {most}'} ms in one "
            f"callback, in {len(times_ms)} of {counted} calls; allowed are {self._longest_ms:g} ms"
        )
        return "\n".join([begin, *self._blamed()])

    def _blamed(self) -> list[str]:
        """The lines that held the loop, most time first, each with its source."""
        lines = blame_module("tally").Lines()
        for call in self._looks:
            for held in call.over:
                lines.add(held.ns, held.shares)
        rows = sorted(lines.as_json(), key=lambda row: -row["total_ns"])
        rows = [row for row in rows if row["is_app"]] or rows  # the client's own steps lie in the same callback
        total_ns = sum(row["total_ns"] for row in rows)
        shown = [row for row in rows[:LISTED] if row["total_ns"] >= LEAST_SHARE * total_ns]
        if not shown:
            return ["", "no line could be told: C code that never lets go of the GIL, or a call that ended too soon"]
        return [text for row in shown for text in ("", *_shown(row, len(self._looks)))]


def _shown(row: dict[str, Any], calls: int) -> Sequence[str]:
    path, line = row["path"], row["line"]
    place = os.path.relpath(path) if Path(path).is_relative_to(Path.cwd()) else path
    what = called(path, row["columns"]) or row["callee"]
    longest = f"{row['longest_ns'] / 1e6:.1f} ms at most, {row['times']}× in {calls} call{'s' if calls > 1 else ''}"
    return (
        f"{place}:{line}{'' if row['is_app'] else ' (library)'}",
        f"    {source_line(path, line)}",
        f"    {what + ': ' if what else ''}{longest}",
    )


def run(subject: Any, trial: Trial) -> None:
    """Ask until it is decided, from a test that is no coroutine.

    Raises:
        LoopHeldError: every counted call held a loop for too long.
        UsageError: nothing that can be asked here.
        EndpointError: another answer than expected.
    """
    __tracebackhide__ = True
    asking.refuse_other_than_app(subject)
    if asking.is_client(subject) and not asking.is_async_client(subject):
        _ask_client(subject, trial)
    elif asking.is_in_loop():
        raise UsageError(
            "loopwise: this test runs in an event loop, so write: await loopwise.assert_loop_free_async(…)"
        )
    else:
        asking.run_alone(_ask_async(subject, trial))
    trial.decide()


async def run_async(subject: Any, trial: Trial) -> None:
    """Ask until it is decided, from a test that is a coroutine; raises as `run`."""
    __tracebackhide__ = True
    asking.refuse_other_than_app(subject)
    if asking.is_client(subject) and not asking.is_async_client(subject):
        _ask_client(subject, trial)
    elif not asking.is_in_loop():
        raise UsageError("loopwise: only asyncio's loops can be watched; run this test on anyio_backend asyncio")
    else:
        await _ask_async(subject, trial)
    trial.decide()


def _ask_client(client: Any, trial: Trial) -> None:
    while (call := trial.next_call()) is not None:
        with watching(call):
            asking.ask_client(client, trial.request)
            settle(trial.request.timeout_s)


async def _ask_async(subject: Any, trial: Trial) -> None:
    async with asking.client_of(subject) as client:
        while (call := trial.next_call()) is not None:
            with watching(call):
                await asking.ask_in_task(client, trial.request)
