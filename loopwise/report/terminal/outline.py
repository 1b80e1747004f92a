"""The plan of a suite as a table, as `check` prints it."""

from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from loopwise.analysis.wording import count
from loopwise.model import Suite
from loopwise.model.naming import shown_names
from loopwise.report.terminal.tables import WordTable
from loopwise.visible import clean


def outline_table(suite: Suite, planned: dict[str, Any]) -> RenderableType:
    """Make the table from what `measure.plan.outline` gives."""
    replicates, names = suite.replicates, shown_names(suite.cases)
    rows = []
    for case in planned["cases"]:
        rps, by = case["predicted_rps"], case["predicted_by"]
        most = f"{rps:,.0f}/s ({by})" if rps else "not known"
        rows.append((clean(names[case["case_id"]]), clean(case["load"]), most))
    table = WordTable(("case", "load", "at most, by arithmetic"), rows)
    least, most = (planned["duration_s"][key] / 60 for key in ("least", "most"))
    span = f"{least:.1f} minutes"
    if round(least, 1) != round(most, 1):
        span += f" ({most:.1f} if every case needs all replicates and the machine is often disturbed)"
    times = f"{replicates.min}" if replicates.min == replicates.max else f"{replicates.min} to {replicates.max}"
    first = ", ".join(clean(names[each["case_id"]]) for each in planned["order"][:3])
    return Group(
        Text(clean(f"{suite.name}: {suite.description}"), style="bold"),
        table,
        Text(
            f"{count(len(suite.cases), 'case')}, {times} replicates each in shuffled blocks, about {span}. "
            f"The first runs: {first}{', …' if len(planned['order']) > 3 else ''}"
        ),
    )
