"""What a suite will do, before it does it: cases, order, time."""

from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from loopwise.analysis.bounds import bounds
from loopwise.machine import cores
from loopwise.measure.duration import duration
from loopwise.measure.plan import plan
from loopwise.model import Suite
from loopwise.model.factors import baseline_pairs


def outline(suite: Suite, seed: int) -> dict[str, Any]:
    """The plan as data: cases, order of the first replicates, seconds at least and at most."""
    baselines = {candidate: baseline for baseline, candidate in baseline_pairs(suite)}
    span_s = duration(suite, cores())
    limits = {case.case_id: bounds(case, cores()) for case in suite.cases}
    return {
        "suite": suite.name,
        "description": suite.description,
        "cases": [
            {
                "case_id": case.case_id,
                "workload": case.subject,
                "mode": case.mode,
                "server": case.server.name if case.server else None,
                "workers": case.workers,
                "load": case.load.label,
                "baseline": baselines.get(case.case_id),
                "predicted_rps": limits[case.case_id][0].throughput_rps if limits[case.case_id] else None,
                "predicted_by": limits[case.case_id][0].name if limits[case.case_id] else None,
            }
            for case in suite.cases
        ],
        "order": [
            {"case_id": planned.case_id, "replicate": planned.replicate} for planned in plan(suite, seed)
        ],
        "duration_s": {
            "least": round(span_s.least, 1),
            "most": round(span_s.most, 1),
        },
    }


def outline_table(suite: Suite, planned: dict[str, Any]) -> RenderableType:
    """The plan as a table."""
    replicates = suite.replicates
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("case", overflow="fold")
    table.add_column("load", no_wrap=True)
    table.add_column("at most, by arithmetic", overflow="fold")
    for case in planned["cases"]:
        bound = (
            f"{case['predicted_rps']:,.0f}/s ({case['predicted_by']})"
            if case["predicted_rps"]
            else "not known"
        )
        table.add_row(Text(case["case_id"]), case["load"], bound)
    least, most = (planned["duration_s"][key] / 60 for key in ("least", "most"))
    span = f"{least:.1f} minutes"
    if round(least, 1) != round(most, 1):
        why = "if every case needs all replicates and the machine is often disturbed"
        span += f" ({most:.1f} {why})"
    times = (
        f"{replicates.min}" if replicates.min == replicates.max else f"{replicates.min} to {replicates.max}"
    )
    first = ", ".join(each["case_id"] for each in planned["order"][:3])
    return Group(
        Text(f"{suite.name}: {suite.description}", style="bold"),
        table,
        Text(
            f"{len(suite.cases)} cases, {times} replicates each in shuffled blocks, about {span}. "
            f"The first runs: {first}{', …' if len(planned['order']) > 3 else ''}"
        ),
    )
