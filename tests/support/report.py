"""Summaries of every shape a report must bear, made by arithmetic: the same on every machine."""

import itertools
from dataclasses import replace
from typing import Any, Literal

import pandas as pd

from loopwise.analysis.summary import Summary
from loopwise.model import (
    App,
    Case,
    Cause,
    Check,
    Comparison,
    Endpoint,
    Experiment,
    Load,
    Replicates,
    Run,
    Server,
    Suite,
    Verdict,
    Window,
)

Names = Literal["plain", "long", "hostile"]
Invalid = Literal["none", "some", "all"]

MODES = ("async", "sync", "blocking", "to_thread", "process")
HOSTILE = "<script>alert('x')</script>\"'&{{ 7*7 }}$\\frac$[red]\x1b[31m\u202e日本語🚀\nnew line" + "x" * 300
REASON = "the generator used 97 % of its core, so the server may be faster than shown; add cores or lower the load"

_QUANTILES = [*(step / 100 for step in range(100)), 0.999, 1.0]
_FAR_TAIL = [0.9995, 0.9999]
_SLOWNESS = {"async": 1.0, "sync": 1.6, "blocking": 14.0, "to_thread": 1.9, "process": 2.4, "own": 1.2}
_SUBJECTS: tuple[tuple[str, dict[str, Any], float], ...] = (
    ("sleep", {"ms": 50}, 50.0),
    ("cpu", {"ms": 5}, 5.0),
    ("sqlite", {"rows": 100, "write_ratio": 0.1}, 2.0),
    ("json", {"kb": 16}, 0.8),
    ("noop", {}, 0.3),
)
# cases: (subjects, modes, workers)
_SHAPES = {1: (1, 1, (1,)), 7: (0, 0, ()), 20: (2, 5, (1, 2)), 40: (4, 5, (1, 2)), 100: (5, 5, (1, 2, 4, 8))}


def fixture_summary(
    cases: int = 7,
    *,
    replicates: int = 3,
    names: Names = "plain",
    invalid: Invalid = "none",
) -> Summary:
    """A finished experiment on target_app's workloads with 1, 7, 20, 40 or 100 cases."""
    return summary_of(_matrix(cases, names), replicates=replicates, invalid=invalid, names=names)


def own_app_summary(endpoints: int = 3, workers: tuple[int, ...] = (1, 2), names: Names = "plain") -> Summary:
    """An experiment on somebody's own app."""
    app = App(target="shop.main:app", app_dir="/srv/shop", python="/srv/shop/.venv/bin/python")
    made = []
    for number, count in itertools.product(range(endpoints), workers):
        endpoint = Endpoint(path=_rename(f"/items/{number}", names))
        made.append(
            Case(
                case_id=f"own-{number}-w{count}",
                workload=endpoint.name,
                mode="own",
                app=app,
                server=Server(workers=count),
                endpoints=(endpoint,),
                load=Load(users=50),
            )
        )
    return summary_of(tuple(made), names=names)


def running_server_summary() -> Summary:
    """An experiment on a server that already ran: no workers, no server figures."""
    endpoint = Endpoint(path="/")
    case = Case(
        case_id="url-root",
        workload=endpoint.name,
        mode="own",
        url="http://127.0.0.1:9000",
        endpoints=(endpoint,),
        load=Load(model="open", rate_rps=200),
    )
    return summary_of((case,))


def summary_of(
    cases: tuple[Case, ...], *, replicates: int = 3, invalid: Invalid = "none", names: Names = "plain"
) -> Summary:
    """What the pipeline would make of these cases."""
    void = {
        case.case_id for index, case in enumerate(cases) if invalid == "all" or (invalid == "some" and index % 5 == 2)
    }
    suite = Suite(
        name=_rename("quick", names),
        description=_rename("sleep and cpu routes in every mode, on one and two workers", names),
        replicates=Replicates(min=replicates, max=replicates),
        compare=Comparison(baseline={"mode": "sync"}),
        cases=cases,
    )
    runs = tuple(
        _run(case, replicate, len(cases) * (replicate - 1) + index, case.case_id in void, names)
        for replicate in range(1, replicates + 1)
        for index, case in enumerate(cases, start=1)
    )
    experiment = Experiment(
        name=_rename("quick-20260102T030405Z", names),
        created_at="2026-01-02T03:04:05Z",
        finished_at="2026-01-02T03:09:05Z",
        suite=suite,
        seed=1,
        environment={
            "cpu_model": "Example CPU @ 2.50GHz",
            "cores": 2,
            "memory_gb": 7.8,
            "versions": {"python": "3.11.9", "fastapi": "0.160.1", "uvicorn": _rename("0.40.0", names)},
            "limits": {"open_files": 1_048_576, "cgroup": {"cpu": None}, "affinity": [0, 1], "pinned": True},
        },
        calibration={"cpu_iterations_per_ms": 10421.337},
    )
    return Summary(
        experiment=experiment,
        runs=runs,
        table=_table(cases, replicates, void, names),
        quantiles=_quantiles(cases, replicates),
        verdicts=_verdicts(cases, void, names),
        answers=_answers(cases, names),
        damaged=(_rename("runs/sleep-async-w1/2: samples.parquet is truncated; the run is left out", names),)
        if invalid != "none"
        else (),
    )


def with_causes(summary: Summary, *named: dict[str, str]) -> Summary:
    """The summary with causes (name -> evidence) given to its first case's runs, in order."""
    first = summary.runs[0].case.case_id
    left = list(named)

    def caused(run: Run) -> Run:
        if run.case.case_id != first or not left:
            return run
        causes = tuple(Cause(cause=name, share=0.9, evidence=text) for name, text in left.pop(0).items())
        return run.model_copy(update={"causes": causes})

    return replace(summary, runs=tuple(caused(run) for run in summary.runs))


def _matrix(cases: int, names: Names) -> tuple[Case, ...]:
    if cases == 7:
        cells: list[tuple[int, str, int]] = [(0, mode, 1) for mode in MODES[:4]]
        cells += [(1, mode, 1) for mode in ("async", "sync", "process")]
    else:
        subjects, modes, workers = _SHAPES[cases]
        cells = list(itertools.product(range(subjects), MODES[:modes], workers))
    return tuple(_case(*cell, names) for cell in cells)


def _case(subject: int, mode: str, workers: int, names: Names) -> Case:
    workload, params, cost_ms = _SUBJECTS[subject]
    if names != "plain":
        params = {**params, "note": _rename("n", names)}
    return Case(
        case_id=f"{workload}-{mode}-w{workers}",
        workload=_rename(workload, names),
        params=params,
        mode=mode,
        server=Server(workers=workers),
        endpoints=(Endpoint(path=f"/{workload}/{mode}?ms={cost_ms:g}"),),
        load=Load(users=100, victim="/health"),
    )


def _rename(name: str, names: Names) -> str:
    if names == "long":
        return f"{name}-with_a_name_that_goes_on_and_on and on " * 4
    return f"{name}{HOSTILE}" if names == "hostile" else name


def _cost_ms(case: Case) -> float:
    known = {subject: cost for subject, _, cost in _SUBJECTS}
    return next((cost for subject, cost in known.items() if case.case_id.startswith(subject)), 10.0)


def _figures(case: Case) -> dict[str, tuple[str, float]]:
    """Metric -> (unit, value) of a case."""
    workers = case.workers or 1
    base_ms = _cost_ms(case) * _SLOWNESS[case.mode]
    throughput_rps = workers**0.9 * 100_000 / base_ms / 3
    return {
        "throughput_rps": ("1/s", throughput_rps),
        "service_time_mean_ms": ("ms", base_ms * 1.1),
        "service_time_p50_ms": ("ms", base_ms),
        "service_time_p90_ms": ("ms", base_ms * 1.35),
        "service_time_p99_ms": ("ms", base_ms * 2.2),
        "service_time_p999_ms": ("ms", base_ms * 4.0),
        "error_ratio": ("", 0.0),
        "cpu_ms_per_request": ("ms", 0.2 + base_ms / 100),
        "rss_mb": ("MB", 48.0 * workers),
        "victim_p99_ms": ("ms", 1.5 * _SLOWNESS[case.mode]),
        "generator_lag_p99_ms": ("ms", 0.08),
        "steal_ratio": ("", 0.004),
    }


def _table(cases: tuple[Case, ...], replicates: int, void: set[str], names: Names) -> pd.DataFrame:
    rows = []
    for case in cases:
        valid = case.case_id not in void
        for metric, (unit, value) in _figures(case).items():
            spread = 0.03 if replicates > 1 and valid else float("nan")
            rows.append(
                {
                    "case_id": case.case_id,
                    "workload": case.workload,
                    "params": case.params_label,
                    "mode": case.mode,
                    "server": case.server.name if case.server else None,
                    "workers": case.workers,
                    "load": case.load.label,
                    "endpoint": case.endpoints[0].name,
                    "metric": metric,
                    "unit": unit,
                    "value": value if valid else float("nan"),
                    "ci_low": value * (1 - spread),
                    "ci_high": value * (1 + spread),
                    "confidence": 0.95,
                    "replicates": replicates if valid else 0,
                    "predicted": value * 1.08 if metric == "throughput_rps" and case.mode != "own" else float("nan"),
                    "valid": valid,
                    "reason": "" if valid else _rename(REASON, names),
                }
            )
    table = pd.DataFrame(rows)
    return table.astype({"workers": "Int64"})


def _quantiles(cases: tuple[Case, ...], replicates: int) -> pd.DataFrame:
    rows = []
    for case, replicate in itertools.product(cases, range(1, replicates + 1)):
        base_ms = _cost_ms(case) * _SLOWNESS[case.mode] * (1 + 0.02 * replicate)
        # A faster case has more rows, so its tail reaches further.
        for quantile in _QUANTILES + (_FAR_TAIL if base_ms < 3 else []):
            # An exponential tail above 80 % of the median.
            tail = 1 / max(1 - quantile, 1e-4)
            rows.append(
                {
                    "case_id": case.case_id,
                    "endpoint": case.endpoints[0].name,
                    "quantile": quantile,
                    "service_time_ms": base_ms * (0.8 + 0.2 * tail**0.35),
                    "replicate": replicate,
                }
            )
    return pd.DataFrame(rows)


def _run(case: Case, replicate: int, order: int, void: bool, names: Names) -> Run:
    checks = (
        Check(name="generator_cpu_ratio", value=0.97 if void else 0.4, limit=0.9, effect="void", ok=not void,
              detail=_rename(REASON, names) if void else ""),
        Check(name="steal_ratio", value=0.004, limit=0.05, effect="flag", ok=True),
    )  # fmt: skip
    return Run(
        case=case,
        replicate=replicate,
        order=order,
        status="invalid" if void else "ok",
        started_at="2026-01-02T03:04:05Z",
        window=Window(start_ns=10**18, end_ns=10**18 + 3 * 10**9),
        checks=checks,
        generator={"stamp": "user"},
    )


def _verdicts(cases: tuple[Case, ...], void: set[str], names: Names) -> tuple[Verdict, ...]:
    baselines = {(case.workload, case.workers): case for case in cases if case.mode == "sync"}
    words: tuple[Literal["better", "worse", "same", "undecided"], ...] = (
        "better",
        "worse",
        "same",
        "undecided",
    )
    made = []
    for index, case in enumerate(cases):
        baseline = baselines.get((case.workload, case.workers))
        if baseline is None or baseline is case:
            continue
        invalid = case.case_id in void or baseline.case_id in void
        ratio = None if invalid else _SLOWNESS["sync"] / _SLOWNESS[case.mode]
        made.append(
            Verdict(
                baseline_case=baseline.case_id,
                candidate_case=case.case_id,
                metric="throughput_rps",
                ratio=ratio,
                ci_low=None if ratio is None else ratio * 0.95,
                ci_high=None if ratio is None else ratio * 1.05,
                verdict="invalid" if invalid else words[index % 4],
                reason=_rename(f"{case.mode} against sync on {case.workers} worker(s)", names),
            )
        )
    return tuple(made)


def _answers(cases: tuple[Case, ...], names: Names) -> tuple[str, ...]:
    subjects = dict.fromkeys(case.subject for case in cases)
    return tuple(
        f"{subject}: use async def; on one worker it serves 2.4 times what def does "
        f"(667 [647, 687] requests a second against 417 [404, 429])."
        for subject in subjects
    )
