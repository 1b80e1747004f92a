"""`check`: validate a suite and print its plan."""

from typing import Annotated

import typer

from loopwise.cli.options import Json, Remotes, Seed, Sets, SuiteName, console, ready_to_measure, teller
from loopwise.errors import FAILED_RUNS
from loopwise.report.terminal.console import print_json


def check(
    suite: SuiteName,
    set_: Sets = None,
    seed: Seed = None,
    allow_remote: Remotes = None,
    ask: Annotated[
        bool, typer.Option("--ask", help="Start each app once and ask each endpoint once: status, size, time.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Validate a suite and print its plan: cases, order, and the time it will take."""
    from loopwise.generator.client import refuse_scripts
    from loopwise.measure.asking import ask_all
    from loopwise.measure.plan import outline
    from loopwise.report.terminal.asked import asked_table
    from loopwise.report.terminal.outline import outline_table
    from loopwise.servers.services import refuse_missing
    from loopwise.suite import load_suite

    loaded = load_suite(suite, set_ or (), allow_remote=allow_remote or ())
    refuse_missing({need for case in loaded.cases for need in case.needs})
    refuse_scripts(loaded)
    planned = outline(loaded, loaded.seed if seed is None else seed)
    screen = console()
    if not as_json:
        screen.print(outline_table(loaded, planned))
    if not ask:
        if as_json:
            print_json(planned)
        return 0
    ready_to_measure(says_busy=False)
    tell = teller(screen, silent=as_json or not screen.is_terminal)
    asked = ask_all(loaded.cases, lambda each: tell(f"asked {each.endpoint} of {each.place}"))
    if as_json:
        print_json({**planned, "asked": [each.model_dump() for each in asked]})
    else:
        screen.print(asked_table(asked))
    return FAILED_RUNS if any(each.error for each in asked) else 0
