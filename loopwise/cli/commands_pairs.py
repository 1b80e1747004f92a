"""What the commands do that put servers side by side: duel and selftest. Each returns its exit status."""

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from loopwise.analysis import gates as comparison
from loopwise.analysis.gates import Outcome
from loopwise.cli.commands import (
    FAILED_RUNS,
    command_line,
    gate_status,
    new_folder,
    write_ci_reports,
)
from loopwise.cli.interrupts import interruptible
from loopwise.errors import UsageError, writing
from loopwise.generator.client import generators
from loopwise.machine import raise_open_files_limit
from loopwise.measure.duel import Effort, design, fight
from loopwise.measure.versions import Version, case_of, names_of, served_from
from loopwise.model import Case, Experiment, Round, Verdict
from loopwise.paths import results_dir
from loopwise.report.terminal.compare import compare_table
from loopwise.report.terminal.console import print_json, print_text, say
from loopwise.results.folder import ResultFolder, result_name
from loopwise.suite import load_suite


@dataclass(frozen=True)
class Contestants:
    """Who stands on the two sides of a duel, as the command line says it."""

    baseline: Version
    candidate: Version
    endpoints: Sequence[str] = ()
    suite: str | None = None
    """Both are cases of this suite."""
    load: dict[str, Any] = field(default_factory=dict)

    def enter(self, stack: ExitStack) -> tuple[Case, Case]:
        """Both as cases; what is made for them lasts until the stack is left.

        Raises:
            UsageError: a side can't be served, or nothing says what to ask.
        """
        if self.suite is not None:
            return self._of_suite(self.suite)
        if not self.endpoints:
            raise UsageError("duel: nothing says what to ask; add --endpoint 'GET /x', or --suite SUITE")
        folders = stack.enter_context(served_from(self.baseline, self.candidate))
        names = names_of(self.baseline.text, self.candidate.text)
        sides = zip((self.baseline, self.candidate), folders, names, strict=True)
        one, two = (
            case_of(each, path, self.endpoints, self.load, case_id=name) for each, path, name in sides
        )
        return one, two

    def _of_suite(self, suite: str) -> tuple[Case, Case]:
        if self.endpoints:
            raise UsageError("duel: the cases of --suite say what is asked; leave out --endpoint")
        cases = {case.case_id: case for case in load_suite(suite).cases}
        found = []
        for version in (self.baseline, self.candidate):
            if version.text not in cases:
                raise UsageError(
                    f"duel: {suite} has no case {version.text!r}, it has {', '.join(cases)}; "
                    f"see `bench.py check {suite}`"
                )
            case = cases[version.text]
            if case.server is None or case.scenario is not None or case.load.model != "closed":
                raise UsageError(
                    f"duel: {version.text} can't be put head to head: it needs a server that we start, declared "
                    "endpoints and a closed load; choose another case"
                )
            load = {**self.load, "users": case.load.users, "think_s": case.load.think_s}
            found.append(
                case.model_copy(update={"load": case.load.model_copy(update={**load, "victim": None})})
            )
        if found[0].load != found[1].load:
            raise UsageError(
                f"duel: {found[0].case_id} and {found[1].case_id} have different loads; choose cases with the same one"
            )
        if found[0].case_id == found[1].case_id:
            names = names_of(found[0].case_id, found[1].case_id)
            found = [
                case.model_copy(update={"case_id": name}) for case, name in zip(found, names, strict=True)
            ]
        return found[0], found[1]


@dataclass(frozen=True)
class Reports:
    """Where a duel's outcome goes besides the terminal."""

    fail_on: Sequence[str] = ()
    junit_file: Path | None = None
    markdown_file: Path | None = None
    as_json: bool = False
    quiet: bool = False


def duel(
    console: Console,
    contestants: Contestants,
    *,
    effort: Effort,
    margin: float,
    seed: int,
    label: str | None,
    out: Path | None,
    reports: Reports,
) -> int:
    """Two versions head to head: rounds on disk, verdicts, gates."""
    gates = tuple(comparison.parse_gate(text) for text in reports.fail_on)
    raise_open_files_limit()
    with ExitStack() as stack:
        stack.enter_context(interruptible())
        baseline, candidate = contestants.enter(stack)
        path = new_folder(out or results_dir() / result_name("duel", label, datetime.now(UTC)))
        result = ResultFolder(path)
        experiment = design(
            baseline,
            candidate,
            name=path.resolve().name,
            margin=margin,
            effort=effort,
            seed=seed,
            label=label,
        ).model_copy(update={"command": command_line(sys.argv)})
        with writing("--out", path):
            result.write_experiment(experiment)
        pool = stack.enter_context(generators(result.generator_log))
        verdicts = fight(result, experiment, pool, _teller(console, effort, reports))
    return _conclude(console, result, experiment, verdicts, gates=gates, reports=reports)


def _teller(console: Console, effort: Effort, reports: Reports) -> Any:
    def tell(found: Round, verdicts: Sequence[Verdict]) -> None:
        if reports.quiet or reports.as_json:
            return
        place = f"round {found.number} of at most {effort.rounds_max}"
        if found.status != "ok":
            text = f"{place}: {found.status}: {found.error}"
        else:
            whole = next((each for each in verdicts if each.metric == "throughput_rps" and each.ratio), None)
            text = f"{place}: {_so_far(whole)}"
        say(console, text)

    return tell


def _so_far(verdict: Verdict | None) -> str:
    if verdict is None or verdict.ratio is None:
        return "nothing to compare yet"
    if verdict.ci_low is None or verdict.ci_high is None:
        return f"throughput ×{verdict.ratio:.4f}"
    return f"throughput ×{verdict.ratio:.4f} ±{100 * (verdict.ci_high - verdict.ci_low) / 2 / verdict.ratio:.2f} %"


def _conclude(
    console: Console,
    result: ResultFolder,
    experiment: Experiment,
    verdicts: Sequence[Verdict],
    *,
    gates: tuple[comparison.Gate, ...],
    reports: Reports,
) -> int:
    """Write and print what came of it; returns the exit status."""
    compare = experiment.suite.compare
    baseline, candidate = (case.case_id for case in experiment.suite.cases)
    outcome = Outcome(baseline, candidate, tuple(verdicts), compare.margin, compare.confidence, gates)
    result.write_verdicts(verdicts)
    write_ci_reports([outcome], junit_file=reports.junit_file, markdown_file=reports.markdown_file)
    if reports.as_json:
        print_json([verdict.model_dump() for verdict in verdicts])
    else:
        console.print(compare_table(baseline, candidate, verdicts, ()))
        for verdict in verdicts:
            if verdict.metric in {"throughput_rps", "cpu_ms_per_request"} and not reports.quiet:
                say(console, verdict.reason)
        shares = [
            each.candidate.cpu_share for each in result.rounds()[0] if each.candidate.cpu_share is not None
        ]
        if shares:
            share = sum(shares) / len(shares)
            say(console, f"CPU of both that {candidate} got: {100 * share:.1f} %.")
        for sentence in outcome.complaints:
            console.print(sentence, style="bold red", markup=False)
        say(console, f"result: {result.path}")
    return gate_status([outcome])


def selftest(
    console: Console,
    *,
    pairs: int | None,
    repeats: int | None,
    duels: int | None,
    injected: Sequence[float],
    window_s: float | None,
    is_quick: bool,
    seed: int,
    out: Path | None,
    as_json: bool,
) -> int:
    """Measure false alarms and power on this machine, and write the report."""
    from loopwise.selftest import rates
    from loopwise.selftest.trials import DIFFERENCES, FULL, QUICK, run_blocks, run_duels, trials

    effort = QUICK if is_quick else FULL
    given = {"pairs": pairs, "repeats": repeats, "duels": duels}
    effort = effort._replace(**{key: value for key, value in given.items() if value is not None})
    if window_s is not None:
        effort = effort._replace(measure_s=window_s)
    folder = new_folder(out or results_dir() / result_name("selftest", None, datetime.now(UTC)))
    raise_open_files_limit()

    def tell(step: str) -> None:
        if not as_json:
            say(console, step, "dim")

    with writing("--out", folder):
        folder.mkdir(parents=True, exist_ok=True)
    outcomes = []
    with interruptible(), generators(folder / "generator.log") as pool:
        chosen = trials(
            effort.pairs, effort.repeats, tuple(percent / 100 for percent in injected) or DIFFERENCES
        )
        if chosen:
            outcomes += run_blocks(chosen, effort, folder / "blocks", pool, seed=seed, tell=tell)
        outcomes += run_duels(effort, folder / "duels", pool, seed=seed, tell=tell)
    found = rates.rates_of(outcomes)
    rates.write(folder, found, outcomes)
    if as_json:
        print_text((folder / rates.JSON).read_text(encoding="utf-8"))
    else:
        console.print(rates.tables(found))
        say(console, f"report: {folder / rates.MARKDOWN}")
    is_whole = all(each.verdict is not None and each.verdict.verdict != "invalid" for each in outcomes)
    return 0 if is_whole else FAILED_RUNS
