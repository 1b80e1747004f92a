"""`duel`: two versions head to head."""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from loopwise.cli.crash import crashes_logged
from loopwise.cli.gates import FailOn, JunitFile, MarkdownFile, gate_status, refuse_unwritable_reports, write_ci_reports
from loopwise.cli.options import (
    Body,
    Cwd,
    EnvFile,
    ExpectStatus,
    Headers,
    Json,
    Label,
    Out,
    Quietly,
    Seed,
    Sets,
    StartupTimeout,
    begin_again,
    checked_label,
    claimed,
    command_line,
    console,
    new_folder,
    overrides_of,
    ready_to_measure,
    request_of,
    typed,
)
from loopwise.errors import Interrupted, RefusedError, UsageError, writing
from loopwise.report.terminal.console import print_json, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loopwise.analysis.gates import Outcome
    from loopwise.measure.duel import OnRound
    from loopwise.model import Round, Verdict
    from loopwise.results.folder import ResultFolder


def duel(
    baseline: Annotated[
        str, typer.Argument(metavar="BASE", help="module:app, git:REVISION of --app, or a case of --suite.")
    ],
    candidate: Annotated[str, typer.Argument(metavar="CANDIDATE", help="What is set against it; as BASE.")],
    endpoint: Annotated[
        list[str] | None, typer.Option(metavar="'GET /x'", help="What to ask; may be repeated.")
    ] = None,
    app_: Annotated[str | None, typer.Option("--app", metavar="module:app", help="The app of a git revision.")] = None,
    base_app_dir: Annotated[Path, typer.Option(metavar="D", help="Folder that BASE is imported from.")] = Path(),
    candidate_app_dir: Annotated[
        Path | None, typer.Option(metavar="D", help="The same for CANDIDATE; default: as BASE.")
    ] = None,
    base_python: Annotated[
        Path | None, typer.Option(metavar="P", help="Interpreter with BASE's dependencies; default: ours.")
    ] = None,
    candidate_python: Annotated[
        Path | None, typer.Option(metavar="P", help="The same for CANDIDATE; default: as BASE.")
    ] = None,
    base_set: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="How BASE is started: env.OMP_NUM_THREADS=1; may be repeated."),
    ] = None,
    candidate_set: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="The same for CANDIDATE; default: as BASE.")
    ] = None,
    cwd: Cwd = None,
    env_file: EnvFile = None,
    suite: Annotated[str | None, typer.Option(metavar="SUITE", help="BASE and CANDIDATE are its cases.")] = None,
    header: Headers = None,
    body: Body = None,
    expect_status: ExpectStatus = None,
    startup_timeout_s: StartupTimeout = None,
    set_: Sets = None,
    fail_on: FailOn = None,
    margin: Annotated[float, typer.Option(min=0, max=0.5, help="Differences within it do not matter.")] = 0.01,
    users: Annotated[int, typer.Option(min=1, max=10_000, help="Users of each side.")] = 16,
    seconds: Annotated[float, typer.Option(min=0.2, max=60, help="Load of a round that counts.")] = 3.0,
    rounds: Annotated[int, typer.Option(min=2, max=100, help="Rounds at most.")] = 10,
    out: Out = None,
    label: Label = None,
    seed: Seed = None,
    junit: JunitFile = None,
    markdown: MarkdownFile = None,
    as_json: Json = False,
    quiet: Quietly = False,
) -> int:
    """Two versions head to head: did my change cost anything? About half a minute."""
    from loopwise.analysis.gates import Outcome, parse_gate
    from loopwise.generator.client import generators
    from loopwise.measure.duel import WARMUP_S, Effort, design, fight
    from loopwise.measure.sides import Terms, Version, sides_of_apps, sides_of_suite

    label = checked_label(label)
    gates = tuple(parse_gate(text) for text in fail_on or ())
    refuse_unwritable_reports(junit=junit, markdown=markdown)
    versions = (
        Version(baseline, app_, base_app_dir, base_python, tuple(base_set or ())),
        Version(
            candidate,
            app_,
            candidate_app_dir or base_app_dir,
            candidate_python or base_python,
            tuple(base_set or () if candidate_set is None else candidate_set),
        ),
    )
    if suite is not None and (base_set or candidate_set or cwd or env_file):
        raise UsageError(
            "duel: the cases of --suite say how they are started; leave out --base-set, --candidate-set, --cwd and "
            "--env-file"
        )
    load = {"users": users, "measure_s": seconds, "warmup_s": WARMUP_S}
    effort = Effort(seconds, min(Effort().rounds_min, rounds), rounds, Effort().half_width)
    terms = Terms(
        endpoint or (),
        load,
        request_of(header, body, expect_status),
        overrides_of(set_, startup_timeout_s),
        {key: str(path) for key, path in {"cwd": cwd, "env_file": env_file}.items() if path is not None},
    )
    with ExitStack() as stack:
        if suite is None:
            sides = stack.enter_context(sides_of_apps(versions, terms))
        else:
            sides = sides_of_suite(suite, (baseline, candidate), terms)
        path = new_folder(out, "duel", label)
        result = stack.enter_context(claimed(path))
        ready_to_measure(says_busy=not (quiet or as_json))
        stack.enter_context(crashes_logged(path))
        experiment = design(
            *sides,
            name=path.resolve().name,
            margin=margin,
            effort=effort,
            seed=1 if seed is None else seed,
            label=label,
        ).model_copy(update={"command": command_line()})
        try:
            with writing("--out", path):
                result.write_experiment(experiment)
            pool = stack.enter_context(generators(result.generator_log))
            verdicts = fight(result, experiment, pool, _progress(rounds, silent=quiet or as_json))
        except (Interrupted, RefusedError) as error:
            raise type(error)(f"{error}: {_what_is_kept(result, out)}") from None
    settings, (one, two) = experiment.suite.compare, sides
    outcome = Outcome(
        one.case_id,
        two.case_id,
        tuple(verdicts),
        settings.margin,
        settings.confidence,
        gates,
        different=_different(result),
        names={two.case_id: f"{two.case_id}, {two.subject}"},
    )
    result.write_verdicts(verdicts)
    write_ci_reports([outcome], junit=junit, markdown=markdown)
    if as_json:
        print_json([verdict.model_dump() for verdict in verdicts])
    else:
        _print(result, outcome, quiet=quiet)
    return gate_status([outcome])


def _what_is_kept(result: "ResultFolder", out: Path | None) -> str:
    """Say how many rounds of a duel that ended early are kept, and which command shows them."""
    count = sum(each.status == "ok" for each in result.rounds()[0])
    if count:
        kept = "1 round is kept" if count == 1 else f"{count} rounds are kept"
        return f"{kept}; see the duel so far with: {typed('report', result.path)}"
    return f"no round is complete; {begin_again(out)}"


def _progress(rounds: int, *, silent: bool) -> "OnRound":
    """Receives each round that ended and prints a line about it."""
    screen = console()

    def tell(done: "Round", verdicts: "Sequence[Verdict]") -> None:
        if silent:
            return
        place = f"round {done.number} of at most {rounds}"
        if done.status == "ok":
            say(screen, f"{place}: {_so_far(verdicts)}")
        else:
            say(screen, f"{place}: {done.status}: {done.error}")

    return tell


def _different(result: "ResultFolder") -> "tuple[tuple[str, Any, Any], ...]":
    """Keys in which the two sides' servers differ (versions and the like), with both values."""
    from loopwise.analysis.comparison import served_differences

    sides = [(each.baseline.server, each.candidate.server) for each in result.rounds()[0] if each.status == "ok"]
    return tuple(tuple(each) for each in served_differences(*sides[-1])) if sides else ()


def _so_far(verdicts: "Sequence[Verdict]") -> str:
    """The ratio of throughput after the rounds so far."""
    whole = next((each for each in verdicts if each.metric == "throughput_rps" and each.ratio), None)
    if whole is None or whole.ratio is None:
        return "nothing to compare yet"
    if whole.half_width is None:
        return f"throughput ×{whole.ratio:.4f}"
    return f"throughput ×{whole.ratio:.4f} ±{100 * whole.half_width:.2f} %"


def _print(result: "ResultFolder", outcome: "Outcome", *, quiet: bool) -> None:
    from loopwise.report.terminal.compare import compare_table

    screen = console()
    screen.print(compare_table(outcome))
    for verdict in outcome.verdicts:
        if verdict.metric in {"throughput_rps", "cpu_ms_per_request"} and not quiet:
            say(screen, verdict.reason)
    shares = [each.candidate.cpu_share for each in result.rounds()[0] if each.candidate.cpu_share is not None]
    if shares:
        say(screen, f"CPU of both that {outcome.other} got: {100 * sum(shares) / len(shares):.1f} %.")
    for sentence in outcome.complaints:
        say(screen, sentence, "bold red")
    say(screen, f"result: {result.path}")
