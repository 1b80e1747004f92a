"""The runs of a result, one at a time: from the rows of each to its figures and its digest."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from loopwise.analysis.checks import verdict
from loopwise.analysis.digest import TELEMETRY, Digest, digest
from loopwise.analysis.metrics import RunFigures, figures, figures_of
from loopwise.analysis.rows import COLUMNS, RunRows
from loopwise.errors import ResultError
from loopwise.model import Run
from loopwise.results.folder import ResultFolder


@dataclass
class Reading:
    """What is kept of the runs once their rows are let go."""

    figures: dict[str, list[tuple[Run, RunFigures]]] = field(default_factory=dict)
    """By case_id: runs that count, and invalid ones."""
    digests: dict[str, tuple[Digest, ...]] = field(default_factory=dict)
    """By case_id: of every run that has a window, invalid and disturbed ones among them."""
    reasons: dict[str, str] = field(default_factory=dict)
    """By case_id: why a run of it can't be used."""
    damaged: list[str] = field(default_factory=list)
    """A sentence for each file that can't be read."""


def read_runs(result: ResultFolder, runs: Sequence[Run]) -> Reading:
    """Read the rows of each run and reduce them; never more than one run's are in memory."""
    read = Reading()
    read.reasons = {run.case.case_id: _reason(run) for run in runs if run.status in {"failed", "invalid"}}
    for run in runs:
        if run.status == "failed":
            continue
        case_id, is_counted = run.case.case_id, run.status != "disturbed"
        try:
            found, kept = _reduce(result, run, read.damaged)
        except ResultError as error:
            read.damaged.append(str(error))
            if is_counted:
                read.reasons.setdefault(case_id, str(error))
            continue
        if is_counted:
            read.figures.setdefault(case_id, []).append((run, found))
        if kept is not None:
            read.digests[case_id] = (*read.digests.get(case_id, ()), kept)
    return read


def _reduce(result: ResultFolder, run: Run, damaged: list[str]) -> tuple[RunFigures, Digest | None]:
    table = result.samples(run, COLUMNS)
    if run.window is None:
        return figures(table, run), None
    telemetry = None
    try:
        telemetry = result.telemetry(run, TELEMETRY)
    except ResultError as error:
        damaged.append(str(error))
    rows = RunRows(table, run)
    return figures_of(rows), digest(rows, telemetry)


def _reason(run: Run) -> str:
    if run.status == "failed":
        return run.error or "the run failed"
    return verdict(run.checks) or "invalid"
