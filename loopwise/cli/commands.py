"""What the commands do, once their arguments are read. Each returns its exit status."""

import shlex
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from loopwise.cli.interrupts import interruptible
from loopwise.errors import Interrupted, UsageError, writing
from loopwise.generator.client import generators
from loopwise.machine import raise_open_files_limit
from loopwise.measure.experiment import Execution, design
from loopwise.measure.prestart import DEPTH as AHEAD
from loopwise.model import Experiment, Suite
from loopwise.paths import results_dir
from loopwise.report.terminal.console import print_json, print_text, say
from loopwise.report.terminal.progress import watching
from loopwise.results.folder import EXPERIMENT, ResultFolder, result_name
from loopwise.servers.services import refuse_missing

if TYPE_CHECKING:
    from loopwise.analysis.gates import Outcome

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
    path = new_folder(out or results_dir() / result_name(suite.name, label, datetime.now(UTC)))
    refuse_missing({need for case in suite.cases for need in case.needs})
    result = ResultFolder(path)
    name = path.resolve().name
    experiment = design(suite, seed=seed, label=label, name=name, command=command_line(sys.argv))
    with writing("--out", path):
        result.write_experiment(experiment)
    return _execute(console, result, experiment, quiet=quiet)


def new_folder(path: Path) -> Path:
    """The path of a result that is to be made.

    Raises:
        UsageError: something is there already.
    """
    if (path / EXPERIMENT).exists():
        raise UsageError(
            f"--out: {path} holds a result already; go on with it by --resume {path}, or name another folder"
        )
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UsageError(f"--out: {path} exists and is not an empty folder; name another one")
    return path


def command_line(argv: Sequence[str]) -> str:
    """How this process was started, as one would type it again."""
    return shlex.join([*program(argv), *argv[1:]])


def program(argv: Sequence[str]) -> list[str]:
    """How this process's program is started: `python bench.py`, or `loopwise`."""
    name = Path(argv[0]).name
    return ["python", name] if name.endswith(".py") else [name]


def resume(console: Console, path: Path, *, quiet: bool) -> int:
    """Measure what an interrupted experiment still lacks, and report it."""
    result = ResultFolder(path)
    return _execute(console, result, result.experiment(), quiet=quiet)


def _execute(console: Console, result: ResultFolder, experiment: Experiment, *, quiet: bool) -> int:
    raise_open_files_limit()
    refuse_missing({need for case in experiment.suite.cases for need in case.needs})
    try:
        with interruptible(), generators(result.generator_log) as pool:
            pool.warm_up()
            with watching(console, quiet=quiet) as watcher:
                experiment = Execution(result, experiment, pool, watcher, ahead=AHEAD).run()
    except Interrupted as error:
        done = sum(planned.state != "planned" for planned in result.experiment().plan)
        raise Interrupted(
            f"{error}: {done} of {len(experiment.plan)} runs are kept; "
            f"go on with: bench.py run --resume {result.path}, or see them with: bench.py report {result.path}"
        ) from None
    report(console, result.path, as_json=False, quiet=quiet)
    bad = sum(planned.state in {"failed", "invalid"} for planned in experiment.plan)
    return FAILED_RUNS if bad else 0


def report(
    console: Console, path: Path, *, as_json: bool, quiet: bool = False, formats: Sequence[str] = ()
) -> int:
    """(Re)build charts, tables and page of a result from what is on disk, and export it to other formats."""
    from loopwise.report.build import build
    from loopwise.report.export.formats import export, parse_formats
    from loopwise.report.terminal.answer import answer_table, print_tidily

    result, formats = ResultFolder(path), parse_formats(formats)
    summary = build(result)
    exported = export(summary, result, formats)
    if as_json:
        print_text((result.path / "summary.json").read_text(encoding="utf-8"))
        return 0
    if not quiet:
        print_tidily(console, answer_table(summary))
        for sentence in summary.damaged:
            console.print(f"damaged: {sentence}", markup=False)
    for name, files in exported.items():
        where = files[0] if len(files) == 1 else f"{len(files)} files in {result.path / 'exports' / name}"
        text = f"{name}: {where if files else 'nothing to write, no case has a valid run'}"
        say(console, text)
    say(console, f"report: {result.path / 'report.html'}")
    return 0


def gate_status(outcomes: "Sequence[Outcome]") -> int:
    """The exit status that gates ask for: a failed one first, then one that can't be judged."""
    if any(outcome.failed for outcome in outcomes):
        return GATE_FAILED
    return FAILED_RUNS if any(outcome.unjudged for outcome in outcomes) else 0


def write_ci_reports(
    outcomes: "Sequence[Outcome]", *, junit_file: Path | None, markdown_file: Path | None
) -> None:
    """Write what `--junit` and `--markdown` ask for.

    Raises:
        UsageError: a file can't be written.
    """
    from loopwise.report.export.junit import junit
    from loopwise.report.export.markdown import pull_request_comment

    for option, path, render in (
        ("--junit", junit_file, junit),
        ("--markdown", markdown_file, pull_request_comment),
    ):
        if path is not None:
            with writing(option, path, is_file=True):
                path.write_text(render(outcomes), encoding="utf-8")


def calibrate(
    console: Console, *, out: Path | None, is_quick: bool, window_s: float | None, seed: int, as_json: bool
) -> int:
    """Prove the generator on this machine, and write the report."""
    from loopwise.calibrate.calibration import FULL, QUICK
    from loopwise.calibrate.calibration import calibrate as measure_all
    from loopwise.calibrate.report import MARKDOWN, tables, write

    folder = new_folder(out or results_dir() / result_name("calibrate", None, datetime.now(UTC)))
    effort = QUICK if is_quick else FULL
    if window_s is not None:
        effort = effort._replace(window_s=window_s)

    def tell(step: str) -> None:
        if not as_json:
            say(console, step, "dim")

    with interruptible():
        found = measure_all(effort, seed=seed, tell=tell)
    write(found, folder)
    if as_json:
        print_text(found.model_dump_json(indent=2))
    else:
        console.print(tables(found))
        say(console, f"report: {folder / MARKDOWN}")
    return FAILED_RUNS if found.problems else 0


def blame(
    console: Console,
    target: str,
    endpoints: Sequence[str],
    *,
    app_dir: Path,
    python: Path | None,
    loop: str,
    requests: int,
    threshold_ms: float,
    as_json: bool,
) -> int:
    """Name the lines that hold the event loop."""
    from loopwise.blame.findings import BlamedLine, ShortCall, blamed_lines, short_calls
    from loopwise.blame.session import Settings, observe
    from loopwise.blame.subjects import subjects
    from loopwise.blame.table import blame_lines, blame_table, short_sentence
    from loopwise.servers import target as target_app
    from loopwise.servers.services import Services, refuse_missing

    cases = subjects(target, endpoints, app_dir, python)
    settings = Settings(loop=loop, requests=requests, threshold_ms=threshold_ms)
    calibration = target_app.calibration(cases)
    lines: list[BlamedLine] = []
    shorts: list[ShortCall] = []
    answers: dict[str, dict[str, int]] = {}
    loops, notes = set[str](), dict[str, None]()
    needs = {need for case in cases for need in case.needs}
    refuse_missing(needs)
    with (
        interruptible(),
        tempfile.TemporaryDirectory(prefix="loopwise-") as folder,
        Services(Path(folder)) as services,
    ):
        for case in cases:
            with services.during(case.needs, "blame") as variables:
                found = observe(case, settings, calibration, variables)
            names = {str(number): each.name for number, each in enumerate(case.endpoints)}
            lines += blamed_lines(found, names)
            shorts += short_calls(found, names)
            answers |= found["answers"]
            loops.add(found["loop"])
            notes |= dict.fromkeys(filter(None, [found["note"]]))
    lines.sort(key=lambda each: -each.total_ms)
    if as_json:
        document = {
            "lines": [each.model_dump() for each in lines],
            "short_calls": [each.model_dump() for each in shorts],
            "answers": answers,
            "loops": sorted(loops),
            "notes": list(notes),
        }
        print_json(document)
        return 0
    if lines and console.is_terminal:
        console.print(blame_table(lines))
    elif lines:
        for line in blame_lines(lines):
            say(console, line)
    else:
        console.print(f"nothing held the event loop for {threshold_ms:g} ms or longer")
    for sentence in (*map(short_sentence, shorts), *notes):
        say(console, sentence)
    for name, statuses in answers.items():
        if any(not status.startswith("2") for status in statuses):
            text = ", ".join(f"{count}× {status}" for status, count in statuses.items())
            say(console, f"{name}: answered {text}; is it asked as it should be?")
    return 0
