"""Findings of a blame pass: lines that held the event loop, short calls that could, and what was asked."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from loopwise.blame.watched import Site, Spot, Tally, added
from loopwise.model import Noun
from loopwise.report.terminal.screen import plain
from loopwise.report.terminal.tables import WordTable
from loopwise.results.columns import UNFINISHED
from loopwise.servers.source import called, source_line

LISTED = 8
"""Endpoints that a sentence lists one by one."""
SHORT_MS_PER_REQUEST = 1.0
"""Callbacks below the threshold are reported where a line takes at least so much of the loop for each request."""
SHORT_SHARE_OF_TIME = 0.02
"""The same for callbacks that belong to no request: of the time in which the loop was watched."""


class BlamedLine(Noun):
    """A line that held the loop."""

    endpoint: str
    path: str
    line: int
    is_app: bool
    """False: library code, since no line of the app's own folder was being executed."""
    function: str | None
    """The call that the line was making, as it is written there; None: the line's own work."""
    source: str
    total_ms: float
    longest_ms: float
    """The longest that it held a single callback."""
    times: int
    """Callbacks that it held."""
    share: float
    """Of the time for which this endpoint held the loop, 0–1."""
    columns: tuple[int, int, int, int] | None = None
    """First line, last line, first column, column after the last (in bytes) of the expression; None before 3.11."""
    site: Site | None = None
    """In an `async def` of the app: this line, or the call that led here; None: in none."""

    @property
    def place(self) -> str:
        """`shop/main.py:12`, marked where it is a library's line."""
        return _place(self)

    def is_over(self, limit_ms: float | None) -> bool:
        """Whether it held the loop for longer in one callback; None: there is no limit."""
        return limit_ms is not None and self.longest_ms > limit_ms

    def __str__(self) -> str:
        return (
            f"{self.place}: {self.endpoint}: {self.function or self.source}: {self.total_ms:.1f} ms in all, "
            f"{self.longest_ms:.1f} ms at most, {self.times}×, share {self.share:.2f}"
        )


class ShortCall(Noun):
    """A call that can block, made on the loop, too short here to hold it."""

    endpoint: str
    call: str
    path: str
    line: int
    times: int

    def __str__(self) -> str:
        return (
            f"short here, but can block: {self.endpoint}: {_shown(self.path)}:{self.line} "
            f"made {self.call} {self.times}× on the loop"
        )


class ManyShort(Noun):
    """A line in many callbacks that are each below the threshold, and add up."""

    endpoint: str
    path: str
    line: int
    is_app: bool
    function: str | None
    """As in BlamedLine."""
    source: str
    times: int
    """Callbacks, estimated from those that were sampled."""
    mean_ms: float
    total_ms: float
    columns: tuple[int, int, int, int] | None = None
    site: Site | None = None
    """As in BlamedLine."""

    def __str__(self) -> str:
        return (
            f"adds up: {self.endpoint}: {self.times:,} of {self.mean_ms:.1f} ms at {_place(self)} "
            f"({self.function or self.source}), {self.total_ms:.1f} ms in all"
        )


class Load(Noun):
    """The requests that an endpoint got."""

    endpoint: str
    requests: int
    seconds: float
    expect_status: int | None = None
    """The status that counts as success; None: any 2xx."""

    def succeeded(self, status: str) -> bool:
        """Whether an answer is as expected; `101` is the status of a WebSocket that was opened."""
        if self.expect_status is not None:
            return status == str(self.expect_status)
        return status.startswith("2") or status == "101"

    def __str__(self) -> str:
        return f"{self.endpoint} {self.requests}× in {self.seconds:.1f} s"


class LeftOut(Noun):
    """An endpoint of the app that was not asked."""

    endpoint: str
    reason: str = ""
    """Empty where the name says it: `/ws (WebSocket)`."""

    def __str__(self) -> str:
        return f"{self.endpoint} ({self.reason})" if self.reason else self.endpoint


class Unanswered(Noun):
    """An endpoint that was given up."""

    endpoint: str
    outcome: Literal["no_answer", "no_end", "server_ended"]
    after_s: float
    requests: int
    """Requests that counted before."""
    holds_loop: bool
    path: str | None = None
    line: int | None = None
    """Where it holds the loop, or waits; None: not known."""
    exit_status: int | None = None

    def __str__(self) -> str:
        place = "" if self.path is None else f" at {_shown(self.path)}:{self.line}"
        if self.outcome == "server_ended":
            return (
                f"{self.endpoint}: the server ended with status {self.exit_status} while it was asked; was it meant to?"
            )
        what = "no answer" if self.outcome == "no_answer" else "the answer began and did not end"
        where = f"it holds the event loop{place}" if self.holds_loop else f"the loop is free, it waits{place}"
        return f"{self.endpoint}: {what} in {self.after_s:g} s, so it was given up: {where}"


class Findings(Noun):
    """The outcome of a pass; `blame --json` prints it."""

    lines: list[BlamedLine] = Field(default_factory=list)
    """Most time first."""
    short_calls: list[ShortCall] = Field(default_factory=list)
    many_short: list[ManyShort] = Field(default_factory=list)
    unanswered: list[Unanswered] = Field(default_factory=list)
    asked: list[Load] = Field(default_factory=list)
    left_out: list[LeftOut] = Field(default_factory=list)
    idle_s: float = 0.0
    """Time for which the loop was watched without requests."""
    answers: dict[str, dict[str, int]] = Field(default_factory=dict)
    """Endpoint -> status, or why there is none -> requests."""
    loops: list[str] = Field(default_factory=list)
    """Event loops that were observed: `asyncio`, `uvloop`."""
    notes: list[str] = Field(default_factory=list)

    @property
    def complaints(self) -> list[str]:
        """A sentence for each endpoint that answered otherwise than with success."""
        return [
            f"{load.endpoint}: answered {', '.join(f'{count}× {status}' for status, count in statuses.items())}; "
            "is it asked as it should be?"
            for load in self.asked
            # What the end of the pass cut off was asked well.
            if (statuses := {each: n for each, n in self.answers.get(load.endpoint, {}).items() if each != UNFINISHED})
            and not all(map(load.succeeded, statuses))
        ]

    def joined(self, other: "Findings") -> "Findings":
        """These findings and those of another app."""
        lines = [*self.lines, *other.lines]
        return Findings(
            lines=sorted(lines, key=lambda each: -each.total_ms),
            short_calls=[*self.short_calls, *other.short_calls],
            many_short=[*self.many_short, *other.many_short],
            unanswered=[*self.unanswered, *other.unanswered],
            asked=[*self.asked, *other.asked],
            left_out=[*self.left_out, *other.left_out],
            idle_s=self.idle_s,
            answers=self.answers | other.answers,
            loops=sorted({*self.loops, *other.loops}),
            notes=list(dict.fromkeys([*self.notes, *other.notes])),
        )

    @property
    def scope(self) -> list[str]:
        """Sentences that say what was asked, how often and for how long, and what was left out."""
        sentences = []
        if len(self.asked) > LISTED:
            requests, seconds = sum(each.requests for each in self.asked), sum(each.seconds for each in self.asked)
            sentences.append(f"asked {len(self.asked)} endpoints {requests}× in {seconds:.1f} s (each: --json)")
        elif self.asked:
            sentences.append(f"asked {'; '.join(map(str, self.asked))}")
        if self.idle_s:
            sentences.append(f"watched {self.idle_s:g} s without requests")
        if self.left_out:
            more = f"; and {rest} more (all: --json)" if (rest := len(self.left_out) - LISTED) > 0 else ""
            sentences.append(f"left out {'; '.join(map(str, self.left_out[:LISTED]))}{more}")
        return sentences


def blamed_lines(tallies: Mapping[str, Tally], names: Mapping[str, str]) -> list[BlamedLine]:
    """The lines of all endpoints, most time first. `names`: the probe's key of an endpoint -> its name."""
    lines = [
        BlamedLine(
            endpoint=names.get(key, key),
            **_line(spot),
            total_ms=spot.total_ns / 1e6,
            longest_ms=spot.longest_ns / 1e6,
            times=spot.times,
            share=spot.total_ns / seen_ns if (seen_ns := tally.held_ns - tally.unseen_ns) else 0.0,
        )
        for key, tally in tallies.items()
        for spot in tally.spots
    ]
    return sorted(lines, key=lambda each: -each.total_ms)


def many_short(
    tallies: Mapping[str, Tally], names: Mapping[str, str], requests: Mapping[str, int], watched_s: float
) -> list[ManyShort]:
    """Lines whose short callbacks add up, most time first. `requests`: by the endpoint's name."""
    found = []
    for key, tally in tallies.items():
        name = names.get(key, key)
        asked = requests.get(name)
        least_ms = SHORT_MS_PER_REQUEST * asked if asked else SHORT_SHARE_OF_TIME * watched_s * 1e3
        found += [
            ManyShort(
                endpoint=name,
                **_line(spot),
                times=spot.times,
                mean_ms=spot.total_ns / 1e6 / spot.times,
                total_ms=spot.total_ns / 1e6,
            )
            for spot in added(tally.brief)
            if spot.total_ns / 1e6 >= least_ms and spot.times
        ]
    return sorted(found, key=lambda each: -each.total_ms)


def short_calls(tallies: Mapping[str, Tally], names: Mapping[str, str]) -> list[ShortCall]:
    """Calls that can block, from lines of the app that are not blamed: they may be slow elsewhere."""
    counted: dict[tuple[str, str, str, int], int] = {}
    for key, tally in tallies.items():
        blamed = {(spot.path, spot.line) for spot in tally.spots}
        for call in tally.calls:
            if (call.path, call.line) not in blamed:
                row = (names.get(key, key), call.call, call.path, call.line)
                counted[row] = counted.get(row, 0) + call.times
    return [
        ShortCall(endpoint=endpoint, call=call, path=path, line=line, times=times)
        for (endpoint, call, path, line), times in counted.items()
    ]


def _line(spot: Spot) -> dict[str, Any]:
    """Fields that BlamedLine and ManyShort share."""
    return {
        "path": spot.path,
        "line": spot.line,
        "is_app": spot.is_app,
        "function": called(spot.path, spot.columns) or spot.callee,
        "source": source_line(spot.path, spot.line),
        "columns": spot.columns,
        "site": spot.site,
    }


def blame_table(lines: Sequence[BlamedLine]) -> WordTable:
    """The lines for a terminal."""
    figures = ("total ms", "longest ms", "times", "share")
    rows = [
        (
            plain(each.endpoint),
            plain(each.place),
            plain(each.function or each.source),
            f"{each.total_ms:.1f}",
            f"{each.longest_ms:.1f}",
            str(each.times),
            f"{each.share:.2f}",
        )
        for each in lines
    ]
    return WordTable(("endpoint", "line", "calls", *figures), rows, figures, "Lines that hold the event loop")


def _place(each: BlamedLine | ManyShort) -> str:
    return f"{_shown(each.path)}:{each.line}{'' if each.is_app else ' (library)'}"


def _shown(path: str) -> str:
    """Relative to the working directory where it lies below it."""
    return os.path.relpath(path) if Path(path).is_relative_to(Path.cwd()) else path
