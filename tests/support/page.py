"""What a page shows of runs beside the figures: digests, telemetry, workers, causes, made by arithmetic."""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd

from loopwise.analysis.canary import Canary
from loopwise.analysis.cards import Card, Held, Rival
from loopwise.analysis.digest import EDGES_MS, QUANTILES, TIMELINE, Digest, Latencies
from loopwise.analysis.summary import Summary
from loopwise.model import Case, Cause, Estimate, HostFigures, Resource, Run, ServerFacts, WaitPlace, Worker
from loopwise.model.naming import short_name
from support.report import REASON, fixture_summary

STEPS = 26


def page_summary(cases: int = 7, **looks: object) -> Summary:
    """A fixture summary whose runs have all that a case's section shows."""
    return dressed(fixture_summary(cases, **looks))  # type: ignore[arg-type]


def dressed(summary: Summary, *, steps: int = STEPS) -> Summary:
    """The summary with digests, telemetry, workers and causes for each of its runs."""
    runs = tuple(_dressed(run) for run in summary.runs)
    digests: dict[str, tuple[Digest, ...]] = {}
    for run in runs:
        digests[run.case.case_id] = (*digests.get(run.case.case_id, ()), a_digest(run, steps))
    return replace(summary, runs=runs, digests=digests, cards=tuple(cards_of(summary)))


def cards_of(summary: Summary) -> Iterator[Card]:
    """A card for each subject: its first valid case, better than some baseline."""
    table = summary.table[summary.table.metric == "throughput_rps"]
    valid = dict(zip(table.case_id[table.valid], table.value[table.valid], strict=True))
    subjects: dict[str, list[Case]] = {}
    for case in summary.experiment.suite.cases:
        subjects.setdefault(case.subject, []).append(case)
    for subject, rivals in subjects.items():
        best = next((case for case in rivals if case.case_id in valid), None)
        if best is None:
            yield Card(subject=subject, cases=len(rivals), invalid=len(rivals), reason=REASON)
            continue
        ratio = Estimate(value=2.41, low=2.3, high=2.52, replicates=3)
        yield Card(
            subject=subject,
            cases=len(rivals),
            invalid=0,
            case_id=best.case_id,
            name=short_name(best, rivals),
            mode=best.mode,
            workers=best.workers,
            throughput=Estimate(value=valid[best.case_id], low=1.0, high=9_999.0, unit="1/s", replicates=3),
            rival=Rival(case_id="sync", name="sync", is_baseline=True, ratio=ratio, verdict="better"),
            because="sync waits for its 40 threads",
            unclear=("blocking with 2 workers",),
            canary=Canary(path="/health", p99=Estimate(value=3.0, low=2.0, high=4.0, unit="ms", replicates=3)),
            held=Held(case_id=best.case_id, name="async", cause="loop_blocked", evidence="blocked", remedy="await it"),
        )


def a_digest(run: Run, steps: int = STEPS, base_ms: float = 50.0) -> Digest:
    """Latencies that grow with the percentile, and a time line that swings; replicates differ a little."""
    base_ms *= 1 + 0.02 * run.replicate
    values = np.array([base_ms * (1 + quantile**8) if quantile <= 0.999 else math.nan for quantile in QUANTILES])
    values[-1] = base_ms * 3
    latencies = Latencies(2_000, values, np.zeros(EDGES_MS.size - 1, dtype=np.int64))
    second = np.arange(steps) * 0.1 + 0.05
    swing = 1 + 0.2 * np.sin(second * 4)
    known = {
        "second": second,
        "rate_rps": 660 * swing * (1 + 0.01 * run.replicate),
        "p50_ms": base_ms * swing,
        "p99_ms": base_ms * 2 * swing,
        "errors_rps": np.zeros(steps),
        "loop_lag_ms": np.where(np.arange(steps) % 5 == 2, math.nan, 1.2 * swing),
        "pool_busy": np.full(steps, 40.0),
        "pool_waiting": 10 * swing,
        "in_flight": np.full(steps, 50.0),
        "cpu_ratio": 0.6 * swing,
        "steal_ratio": np.full(steps, 0.01),
        "rss_mb": np.full(steps, 53.2),
    }
    return Digest(
        case_id=run.case.case_id,
        replicate=run.replicate,
        attempt=run.attempt,
        status=run.status,
        endpoint=run.case.endpoints[0].name,
        service={run.case.endpoints[0].name: latencies},
        response={},
        timeline=pd.DataFrame({name: known.get(name, np.full(steps, math.nan)) for name in TIMELINE}),
    )


POOL = Resource(
    **{"pid": 100, "kind": "pool", "name": "SQLAlchemy's QueuePool", "made_at": "shop/db.py:11", "places": 15},
    **{"busy": 14.2, "full_ratio": 0.9, "waiting": 25, "wait_max_ms": 163.4},
)


def _dressed(run: Run) -> Run:
    workers = run.case.workers or 0
    return run.model_copy(
        update={
            "server": ServerFacts(argv=("uvicorn",), port=51_799),
            "host": HostFigures(cpu_ratio=0.62, steal_ratio=0.0, server_cpu_s=1.5 + run.replicate, server_threads=6.0),
            "workers": tuple(
                Worker(pid=100 + index, requests=900, share=1 / workers, cpu_s=1.2) for index in range(workers)
            ),
            "causes": (Cause(cause="thread_pool_full", share=0.93, evidence="all 40 threads were busy"),)
            if run.case.mode == "sync"
            else (),
            "waits_at": (
                WaitPlace(
                    place="shop/repo.py:31", function="items", call="db.execute", kind="thread", count=36, share=0.9
                ),
                WaitPlace(
                    place="shop/repo.py:33", function="items", call="", kind="thread", count=run.replicate, share=0.1
                ),
                WaitPlace(place="shop/main.py:9", function="get", call="time.sleep", kind="loop", count=0.5, share=0.5),
            )
            if run.case.mode == "sync"
            else (),
            "resources": (POOL,) if run.case.mode == "sync" else (),
        }
    )
