"""The facts of the Method section: the suite, the machine, the versions, and the results of the checks."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from loopwise.analysis.summary import Summary
from loopwise.analysis.wording import count
from loopwise.model import Check, Experiment, Round, Run
from loopwise.report import format as fmt
from loopwise.report.words import words


class CheckRow(NamedTuple):
    """One check over all runs."""

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


def _badness(check: Check) -> tuple[bool, float]:
    """Sorts failed checks last, by their distance beyond the limit; passed ones by how near they came.

    A limit may be an upper or a lower one; the distance serves both.
    """
    beyond = abs(check.value - check.limit)
    return (not check.ok, -beyond if check.ok else beyond)


def suite_facts(summary: Summary) -> list[tuple[str, str]]:
    """What was measured, how often and when, as name and value."""
    experiment = summary.experiment
    suite = experiment.suite
    low, high = suite.replicates.min, suite.replicates.max
    is_duel = bool(summary.duel)
    facts = {
        "suite": suite.name,
        "label": experiment.label or "",
        "cases": f"{len(suite.cases):,}",
        "rounds" if is_duel else "replicates of each case": f"{low}" if low == high else f"{low} to {high}",
        "order": "the sides swap from round to round"
        if is_duel
        else f"shuffled within each block, seed {experiment.seed}",
        "server and generator": _placement(summary.runs),
        "confidence of intervals": fmt.confidence(suite.compare.confidence),
        "practical margin": f"±{suite.compare.margin * 100:.4g} %",
        "begun": experiment.created_at,
        "finished": experiment.finished_at or "not finished: the result covers what has been measured so far",
    }
    return [(name, value) for name, value in facts.items() if value]


def _placement(runs: Sequence[Run]) -> str:
    """In how many cases server and generator had cores of their own."""
    placed = [run for run in runs if run.server and run.generator]
    apart = {run.case.case_id for run in placed if run.server.pinned_to}
    shared = {run.case.case_id for run in placed} - apart
    if not placed:
        return ""
    if not shared:
        return "on cores of their own in every case"
    return (
        f"on cores of their own in {count(len(apart), 'case')}, sharing cores in "
        f"{count(len(shared), 'case')}, where there were too few to separate them"
    )


def environment(experiment: Experiment) -> list[tuple[str, list[tuple[str, str]]]]:
    """The machine and the versions, by topic; nested entries keep the path to them as their name."""
    topics: dict[str, list[tuple[str, str]]] = {}
    for key, value in {**experiment.environment, "calibration": experiment.calibration}.items():
        if isinstance(value, Mapping):
            topics.setdefault(words(key), []).extend(_leaves(value))
        else:
            topics.setdefault("machine", []).append((words(key), _text(value)))
    return [(topic, entries) for topic, entries in topics.items() if entries]


def _leaves(tree: Mapping[Any, Any], path: str = "") -> Iterator[tuple[str, str]]:
    for key, value in tree.items():
        name = f"{path} {words(key)}".strip()
        if isinstance(value, Mapping):
            yield from _leaves(value, name)
        else:
            yield name, _text(value)


def _text(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_text, value)) or "none"
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    return f"{value:,}" if isinstance(value, int) else f"{value:g}" if isinstance(value, float) else str(value)
