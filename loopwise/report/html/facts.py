"""What stands at the page's end: what was measured, on which machine, by which versions, and how the checks went."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loopwise.analysis.summary import Summary
from loopwise.model import Check, Experiment, Round, Run
from loopwise.report import format as fmt
from loopwise.report.cells import Cells
from loopwise.report.words import words


@dataclass(frozen=True)
class CheckRow:
    """What became of one check over all runs."""

    name: str
    limit: str
    effect: str
    passed: int
    total: int
    worst: str


def check_rows(runs: Sequence[Run | Round]) -> list[CheckRow]:
    """Checks over all runs (or a duel's rounds), by name, each with its worst value."""
    by_name: dict[str, list[Check]] = {}
    for run in runs:
        for check in run.checks:
            by_name.setdefault(check.name, []).append(check)
    rows = []
    for name, checks in by_name.items():
        worst = max(checks, key=_badness)
        effect = "makes a run invalid" if worst.effect == "void" else "marks a run"
        passed = sum(check.ok for check in checks)
        limit = f"{worst.limit:.4g}"
        rows.append(CheckRow(words(name), limit, effect, passed, len(checks), fmt.plain(worst.value)))
    return rows


def facts(summary: Summary) -> list[tuple[str, str]]:
    """What was measured, how often and when, as name and value."""
    experiment = summary.experiment
    suite = experiment.suite
    repeated = suite.replicates
    often = f"{repeated.min}" if repeated.min == repeated.max else f"{repeated.min} to {repeated.max}"
    listed = [
        ("suite", suite.name),
        ("label", experiment.label or ""),
        ("cases", f"{len(suite.cases):,}"),
        ("rounds" if summary.duel else "replicates of each case", often),
        (
            "order",
            "the sides swap from round to round"
            if summary.duel
            else f"shuffled within each block, seed {experiment.seed}",
        ),
        ("server and generator", _placement(summary.runs)),
        ("confidence of intervals", fmt.confidence(suite.compare.confidence)),
        ("practical margin", f"±{suite.compare.margin * 100:.4g} %"),
        ("begun", experiment.created_at),
        ("finished", experiment.finished_at or "not finished: the result covers what was measured so far"),
    ]
    return [(name, value) for name, value in listed if value]


def _placement(runs: Sequence[Run]) -> str:
    """Where server and generator had cores of their own, and where they had to share."""
    placed = [run for run in runs if run.server and run.generator]
    apart = {run.case.case_id for run in placed if run.server.pinned_to}
    shared = {run.case.case_id for run in placed} - apart
    if not placed:
        return ""
    if not shared:
        return "on cores of their own in every case"
    return (
        f"on cores of their own in {fmt.count(len(apart), 'case')}, sharing cores in {fmt.count(len(shared), 'case')}, "
        "where there were too few to part them"
    )


def environment(experiment: Experiment) -> list[tuple[str, list[tuple[str, str]]]]:
    """The machine and the versions, by topic; nested entries keep the path to them as their name."""
    topics: dict[str, list[tuple[str, str]]] = {}
    for key, value in {**experiment.environment, "calibration": experiment.calibration}.items():
        if isinstance(value, Mapping):
            topics.setdefault(words(key), []).extend(_leaves(value))
        else:
            topics.setdefault("machine", []).append((words(key), _said(value)))
    return [(topic, entries) for topic, entries in topics.items() if entries]


def status_counts(summary: Summary) -> dict[str, int]:
    """How many cases can be used, and how many runs there are."""
    cells = Cells(summary)
    invalid = sum(cells.why_invalid(case) is not None for case in cells.cases)
    return {
        "cases": len(cells.cases),
        "invalid": invalid,
        "runs": len(summary.runs),
        "rounds": len(summary.duel),
    }


def _badness(check: Check) -> tuple[bool, float]:
    """Failed ones first, the furthest beyond the limit leading; then whoever passed most narrowly.

    A limit may be an upper or a lower one; the distance to it serves both.
    """
    beyond = abs(check.value - check.limit)
    return (not check.ok, -beyond if check.ok else beyond)


def _leaves(tree: Mapping[Any, Any], path: str = "") -> Iterator[tuple[str, str]]:
    for key, value in tree.items():
        name = f"{path} {words(key)}".strip()
        if isinstance(value, Mapping):
            yield from _leaves(value, name)
        else:
            yield name, _said(value)


def _said(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(_said(entry) for entry in value) or "none"
    return (
        f"{value:,}" if isinstance(value, int) else f"{value:g}" if isinstance(value, float) else str(value)
    )
