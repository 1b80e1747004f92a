"""What the commands do, once their arguments are read. Each returns its exit status."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from loopwise.driver import generators
from loopwise.errors import Interrupted, UsageError
from loopwise.experiment import Execution, design
from loopwise.interrupts import interruptible
from loopwise.machine import raise_open_files_limit
from loopwise.model import Experiment, Suite
from loopwise.paths import results_dir
from loopwise.progress import Live, Plain, Quiet
from loopwise.store import EXPERIMENT, ResultFolder, find_results, result_name

FAILED_RUNS, GATE_FAILED = 3, 1


def measure(
    console: Console,
    suite: Suite,
    *,
    out: Path | None,
    label: str | None,
    seed: int | None,
    quiet: bool,
) -> int:
    """Run a suite into a new result folder, and report it."""
    path = out or results_dir() / result_name(suite.name, label, datetime.now(UTC))
    if (path / EXPERIMENT).exists():
        raise UsageError(
            f"--out: {path} holds a result already; go on with it by --resume {path}, or name another folder"
        )
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UsageError(f"--out: {path} exists and is not an empty folder; name another one")
    result = ResultFolder(path)
    experiment = design(suite, seed=seed, label=label, name=path.resolve().name)
    result.write_experiment(experiment)
    return _execute(console, result, experiment, quiet=quiet)


def resume(console: Console, path: Path, *, quiet: bool) -> int:
    """Measure what an interrupted experiment still lacks, and report it."""
    result = ResultFolder(path)
    return _execute(console, result, result.experiment(), quiet=quiet)


def _execute(console: Console, result: ResultFolder, experiment: Experiment, *, quiet: bool) -> int:
    raise_open_files_limit()
    try:
        with interruptible(), generators(result.generator_log) as pool:
            pool.warm_up()
            if quiet:
                experiment = Execution(result, experiment, pool, Quiet()).run()
            elif console.is_terminal:
                with Live(console) as live:
                    experiment = Execution(result, experiment, pool, live).run()
            else:
                experiment = Execution(result, experiment, pool, Plain(console)).run()
    except Interrupted as error:
        done = sum(planned.state != "planned" for planned in result.experiment().plan)
        raise Interrupted(
            f"{error}: {done} of {len(experiment.plan)} runs are kept; "
            f"go on with: bench.py run --resume {result.path}, or see them with: bench.py report {result.path}"
        ) from None
    report(console, result.path, as_json=False, quiet=quiet)
    bad = sum(planned.state in {"failed", "invalid"} for planned in experiment.plan)
    return FAILED_RUNS if bad else 0


def report(console: Console, path: Path, *, as_json: bool, quiet: bool = False) -> int:
    """(Re)build charts, tables and page of a result from what is on disk."""
    from loopwise.report.build import build
    from loopwise.report.terminal import answer_table

    result = ResultFolder(path)
    summary = build(result)
    if as_json:
        print_json((result.path / "summary.json").read_text(encoding="utf-8"))
        return 0
    if not quiet:
        console.print(answer_table(summary))
        for sentence in summary.damaged:
            console.print(f"damaged: {sentence}", markup=False)
    console.print(f"report: {result.path / 'report.html'}", markup=False, highlight=False, soft_wrap=True)
    return 0


def compare(
    console: Console,
    base: Path,
    others: Sequence[Path],
    *,
    fail_on: Sequence[str],
    out: Path | None,
    as_json: bool,
) -> int:
    """Overlay results; a verdict per shared case; a gate fails on a verdict only."""
    from loopwise import comparison
    from loopwise.report.compare import compare_table, write_overlay
    from loopwise.summary import summarise

    gates = [comparison.parse_gate(text) for text in fail_on]
    before = summarise(ResultFolder(base))
    settings = before.experiment.suite.compare
    rows: list[dict[str, Any]] = []
    status = 0
    for path in others:
        after = summarise(ResultFolder(path))
        verdicts = comparison.compare(
            before.cases, after.cases, margin=settings.margin, confidence=settings.confidence
        )
        if not verdicts:
            raise UsageError(
                f"{base} and {path} have no case in common; compare results of the same suite "
                f"(their cases: {_some(before.cases)} and {_some(after.cases)})"
            )
        failed = comparison.failures(gates, verdicts)
        status = GATE_FAILED if failed else status
        different = comparison.differences(before.experiment, after.experiment)
        rows += [{"base": str(base), "other": str(path), **verdict.model_dump()} for verdict in verdicts]
        if not as_json:
            console.print(compare_table(base.name, path.name, verdicts, different))
            for gate, verdict in failed:
                text = f"gate {gate.metric}:{gate.change:+.0%} failed: {verdict.reason}"
                console.print(text, style="bold red", markup=False)
        if out is not None:
            for chart in write_overlay(before, after, verdicts, out):
                console.print(f"chart: {chart}", markup=False, highlight=False, soft_wrap=True)
    if as_json:
        print_json(json.dumps(rows, indent=2))
    return status


def _some(names: Sequence[str] | dict[str, Any]) -> str:
    shown = list(names)[:2]
    return ", ".join(shown) + (", …" if len(names) > len(shown) else "")


def results_list(folder: Path) -> list[dict[str, Any]]:
    """What `list results` shows: newest first."""
    rows = []
    for result in find_results(folder):
        experiment = result.experiment()
        states = [planned.state for planned in experiment.plan]
        rows.append(
            {
                "path": str(result.path),
                "suite": experiment.suite.name,
                "label": experiment.label,
                "created_at": experiment.created_at,
                "cases": len(experiment.suite.cases),
                "runs": len(states),
                "done": sum(state != "planned" for state in states),
                "bad": sum(state in {"failed", "invalid"} for state in states),
            }
        )
    return rows


def print_json(text: str) -> None:
    """Print JSON for programs: no colours, no wrapping."""
    print(text.rstrip("\n"))
