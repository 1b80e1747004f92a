"""`check`: validate a suite and print its plan."""

from loopwise.cli.options import Json, Remotes, Seed, Sets, SuiteName, console
from loopwise.report.terminal.console import print_json


def check(
    suite: SuiteName,
    set_: Sets = None,
    seed: Seed = None,
    allow_remote: Remotes = None,
    as_json: Json = False,
) -> int:
    """Validate a suite and print its plan: cases, order, and the time it will take."""
    from loopwise.measure.plan import outline, outline_table
    from loopwise.servers.services import refuse_missing
    from loopwise.suite import load_suite

    loaded = load_suite(suite, set_ or (), allow_remote=allow_remote or ())
    refuse_missing({need for case in loaded.cases for need in case.needs})
    planned = outline(loaded, loaded.seed if seed is None else seed)
    if as_json:
        print_json(planned)
    else:
        console().print(outline_table(loaded, planned))
    return 0
