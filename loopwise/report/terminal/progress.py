"""Progress of a running experiment: a live line in a terminal, plain lines elsewhere, nothing with --quiet."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from loopwise.analysis.causes import deadlock_of
from loopwise.analysis.stats import relative_half_width
from loopwise.generator.protocol import Event
from loopwise.machine import cores
from loopwise.measure.plan import Standing, run_s
from loopwise.model import TOTAL, Case, Estimate, PlannedRun, Round, Run
from loopwise.model.naming import NO_NAMES
from loopwise.report.terminal.console import say
from loopwise.visible import clean


class Quiet:
    """Receives progress callbacks and prints nothing."""

    def run_began(self, planned: PlannedRun, case: Case, position: int, total: int) -> None:
        """A run begins."""

    def run_progressed(self, event: Event) -> None:
        """The generator sent an event."""

    def run_ended(self, run: Run, throughput_rps: float | None, standing: Standing) -> None:
        """A run is on disk; `standing` is the progress of the whole experiment."""

    def round_ended(self, record: Round) -> None:
        """A round of slices is on disk."""


class Plain(Quiet):
    """Prints a line for each finished run."""

    def __init__(self, console: Console, names: Mapping[str, str] = NO_NAMES) -> None:
        self._console = console
        self._names = names
        """Of cases, by case_id; default: their ids."""
        self._place = ""

    def run_began(self, planned: PlannedRun, case: Case, position: int, total: int) -> None:
        """Remember the run's position."""
        del planned, case
        self._place = f"[{position:>{len(str(total))}}/{total}]"

    def run_ended(self, run: Run, throughput_rps: float | None, standing: Standing) -> None:
        """Print the line."""
        line = f"{self._place} {outcome(run, throughput_rps, self._names)}"
        if run.status == "ok" and run.case.case_id in standing.throughputs:
            line += f", {precision(standing.throughputs[run.case.case_id])}"
        say(self._console, line)

    def round_ended(self, record: Round) -> None:
        """Print the result of the round."""
        say(self._console, round_outcome(record, self._names))


class Live(Plain):
    """Shows the current run, the finished share and the time left in a bar below the lines of finished runs."""

    def __init__(self, console: Console, names: Mapping[str, str] = NO_NAMES) -> None:
        super().__init__(console, names)
        self._started_s = time.monotonic()
        self._before_s: float | None = None
        self._case = ""
        self._progress = Progress(
            SpinnerColumn(),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}", markup=False),
            console=console,
            transient=True,
        )
        self._task = self._progress.add_task("", total=None, left="")

    def __enter__(self) -> "Live":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def run_began(self, planned: PlannedRun, case: Case, position: int, total: int) -> None:
        """Show the current run."""
        super().run_began(planned, case, position, total)
        self._case = f"{_name(case.case_id, self._names)} #{planned.replicate}"
        text = f"{self._case}: starting"
        self._progress.update(self._task, total=total, completed=position - 1, description=text)

    def run_progressed(self, event: Event) -> None:
        """Show the phase and the requests so far."""
        if event.event == "progress":
            errors = f", {event.errors:,} errors" if event.errors else ""
            text = f"{self._case}: {event.phase}, {event.rows:,} requests{errors}"
            self._progress.update(self._task, description=text)

    def run_ended(self, run: Run, throughput_rps: float | None, standing: Standing) -> None:
        """Print the line above the bar, and the time left at the pace so far."""
        if self._before_s is None:  # the earlier runs of a resumed experiment were not timed here
            self._before_s = standing.done_s - run_s(run.case, cores())
        timed_s = max(standing.done_s - self._before_s, 1e-9)
        pace = (time.monotonic() - self._started_s) / timed_s
        self._progress.update(self._task, left=time_left(standing, pace))
        super().run_ended(run, throughput_rps, standing)


@contextmanager
def watching(console: Console, *, quiet: bool, names: Mapping[str, str] = NO_NAMES) -> Iterator[Quiet]:
    """The watcher that suits this console; it calls cases by their names, by case_id, or else by their ids."""
    if quiet:
        yield Quiet()
    elif console.is_terminal:
        with Live(console, names) as live:
            yield live
    else:
        yield Plain(console, names)


def _name(case_id: str, names: Mapping[str, str]) -> str:
    return clean(names.get(case_id, case_id))


def round_outcome(record: Round, names: Mapping[str, str] = NO_NAMES) -> str:
    """`slices #2: CANDIDATE ÷ BASELINE: ×1.024`, or the reason why there is no ratio."""
    sides = (_name(case_id, names) for case_id in (record.candidate_case, record.baseline_case))
    name = f"slices #{record.number}: {' ÷ '.join(sides)}"
    if record.status != "ok":
        return f"{name}: {record.status}: {record.error}"
    values = [side.metrics[TOTAL]["throughput_rps"] for side in (record.candidate, record.baseline)]
    return f"{name}: requests/s ×{values[0] / values[1]:.3f}"


def outcome(run: Run, throughput_rps: float | None, names: Mapping[str, str] = NO_NAMES) -> str:
    """`sleep-ms50-async-w1-uvicorn-u100 #2: 1,931 requests/s`, or the reason why there is no such number."""
    name = f"{_name(run.case.case_id, names)} #{run.replicate}"
    if run.status == "failed":
        return f"{name}: failed: {run.error}"
    deadlock = deadlock_of(run)
    if deadlock is not None:
        return f"{name}: {deadlock.evidence}"
    broken = [check for check in run.checks if not check.ok]
    void = next((check for check in broken if check.effect == "void"), None)
    if void is not None:
        return f"{name}: invalid: {void.detail}"
    marks = f" (flagged: {', '.join(check.name for check in broken)})" if broken else ""
    return f"{name}: {throughput_rps or 0:,.0f} requests/s{marks}"


def precision(known: Estimate) -> str:
    """`±3.1 % after 3 replicates`: the width of the case's interval so far."""
    if known.replicates < 2:
        return "no interval yet"
    half_width = relative_half_width(known) * 100
    return f"±{half_width:.{1 if half_width < 10 else 0}f} % after {known.replicates} replicates"


def time_left(standing: Standing, pace: float) -> str:
    """`2.1 to 8.4 min left, 12 of 20 cases precise enough`.

    Args:
        standing: of the experiment.
        pace: time that runs took ÷ what arithmetic gave them.
    """
    least, most = (round(seconds * pace / 60, 1) for seconds in standing.left)
    span = f"{least:.1f}" if least == most else f"{least:.1f} to {most:.1f}"
    return f"{span} min left, {standing.precise} of {standing.cases} cases precise enough"
