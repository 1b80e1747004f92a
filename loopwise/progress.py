"""How a running experiment looks: a live line in a terminal, plain lines elsewhere, nothing with --quiet."""

import time
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

from loopwise.generator.order import Event
from loopwise.model import Case, PlannedRun, Run


class Quiet:
    """Says nothing."""

    def run_began(self, planned: PlannedRun, case: Case, position: int, total: int) -> None:
        """A run begins."""

    def run_goes_on(self, event: Event) -> None:
        """The generator told something."""

    def run_ended(self, run: Run, throughput_rps: float | None) -> None:
        """A run is on disk."""


class Plain(Quiet):
    """A line for each run that ended."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._place = ""

    def run_began(self, planned: PlannedRun, case: Case, position: int, total: int) -> None:
        """Remember where we are."""
        del planned, case
        self._place = f"[{position:>{len(str(total))}}/{total}]"

    def run_ended(self, run: Run, throughput_rps: float | None) -> None:
        """Print the line."""
        self._console.print(f"{self._place} {outcome(run, throughput_rps)}", highlight=False, markup=False)


class Live(Plain):
    """A bar with what runs now, what is done and the time left, below the lines of the runs that ended."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._started_s = time.monotonic()
        self._runs_ended = 0
        self._case = ""
        self._progress = Progress(
            SpinnerColumn(),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
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
        """Show what runs now, and how long the rest will take at the pace so far."""
        super().run_began(planned, case, position, total)
        self._case = f"{case.case_id} #{planned.replicate}"
        left = ""
        if self._runs_ended:
            pace_s = (time.monotonic() - self._started_s) / self._runs_ended
            left = f"{pace_s * (total - position + 1) / 60:.1f} min left"
        self._progress.update(
            self._task, total=total, completed=position - 1, description=f"{self._case}: starting", left=left
        )

    def run_goes_on(self, event: Event) -> None:
        """Show the phase and the requests so far."""
        if event.event == "progress":
            errors = f", {event.errors:,} errors" if event.errors else ""
            text = f"{self._case}: {event.phase}, {event.rows:,} requests{errors}"
            self._progress.update(self._task, description=text)

    def run_ended(self, run: Run, throughput_rps: float | None) -> None:
        """Print the line above the bar."""
        self._runs_ended += 1
        super().run_ended(run, throughput_rps)


def outcome(run: Run, throughput_rps: float | None) -> str:
    """`sleep-ms50-async-w1-uvicorn-u100 #2: 1,931 requests/s`, or why there is no such number."""
    name = f"{run.case.case_id} #{run.replicate}"
    if run.status == "failed":
        return f"{name}: failed: {run.error}"
    broken = [check for check in run.checks if not check.ok]
    void = next((check for check in broken if check.effect == "void"), None)
    if void is not None:
        return f"{name}: invalid: {void.detail}"
    marks = f" (flagged: {', '.join(check.name for check in broken)})" if broken else ""
    return f"{name}: {throughput_rps or 0:,.0f} requests/s{marks}"
