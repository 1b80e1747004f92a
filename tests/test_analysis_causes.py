"""Each cause from evidence that is made for it; healthy evidence gives none."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from support.fakes import EPOCH_NS, FakeRow, case_of, run_of, table_of

from loopwise.analysis.causes import CAUSES, find, first_causes, rank
from loopwise.analysis.memory import Growth, memory_growth
from loopwise.analysis.rows import RunRows
from loopwise.analysis.signals import PoolSignals, Signals, Standstill, WorkerSignals
from loopwise.model import Cause, Check, Resource, Run, Window, Worker
from loopwise.results.columns import TELEMETRY

QUIET = WorkerSignals(share=1.0, cpu_ratio=0.2, wait_ratio=0.01, held_ratio=0.002, stall_ms=4.2)
HEALTHY = Signals(
    workers=(QUIET,),
    cores=1,
    server_cpu_ratio=0.2,
    machine_ratio=0.2,
    machine_cores=2,
    generator_ratio=0.1,
    rss_mb=60.0,
    low_ms=50.5,
    alone_ms=50.2,
)


def one(**figures: Any) -> Signals:
    """A healthy run but for its only worker."""
    return replace(HEALTHY, workers=(replace(QUIET, **figures),), server_cpu_ratio=figures.get("cpu_ratio", 0.2))


def run(**figures: Any) -> Signals:
    """A healthy run but for its own figures."""
    return replace(HEALTHY, **figures)


def two(*workers: dict[str, Any]) -> Signals:
    found = tuple(replace(QUIET, share=0.5) for _ in workers)
    return replace(
        HEALTHY, workers=tuple(replace(each, **figures) for each, figures in zip(found, workers, strict=True))
    )


def pool(full: float, places: int = 40, queued: int = 20) -> PoolSignals:
    return PoolSignals(full_ratio=full, places=places, queued=queued)


BUSY = {"cpu_ratio": 0.97}
NAGLE = run(nodelay=False, low_ms=43.0, median_ms=44.0, alone_ms=0.7, inside_ms=0.4)
COMPUTING = {"cpu_ratio": 0.9, "native_threads": 3, "native_cpu_ratio": 0.6, "native_wait_ratio": 0.9}
SLACK = replace(QUIET, share=0.5, cpu_ratio=0.6, native_threads=3, native_cpu_ratio=0.5, native_wait_ratio=0.5)
BLAS = replace(two(COMPUTING, COMPUTING), cores=2, server_cpu_ratio=1.9)


def named(kind: str, places: int, waiting: int, **figures: Any) -> Resource:
    """A resource of the only worker that others wait for all the time."""
    facts: dict[str, Any] = {"name": f"a {kind}", "made_at": "db.py:11", "waited_at": "api.py:40", "wait_max_ms": 163.4}
    facts |= {"pid": 0, "busy": places, "full_ratio": 0.97} | figures
    return Resource(kind=kind, places=places, waiting=waiting, **facts)


def waited(resource: Resource, threads: float = 0.0, **figures: Any) -> Signals:
    """A run of 50 requests at a time with such a resource, and threads that are taken so often."""
    signals = one(in_flight=50.0, pools={"limiter": pool(threads)} if threads else {})
    return replace(signals, resources=(resource,), **figures)


QUEUE_POOL = named("pool", 15, 25, name="SQLAlchemy's QueuePool")
RESOURCES: list[tuple[str, Signals, list[str]]] = [
    ("a pool by name", waited(QUEUE_POOL), ["dependency_pool_full"]),
    ("threads that hold and await its connections", waited(QUEUE_POOL, 1.0), ["dependency_pool_full"]),
    (
        "threads of which few await them",
        waited(named("pool", 15, 5), 1.0),
        ["dependency_pool_full", "thread_pool_full"],
    ),
    ("a pool full for moments", waited(named("pool", 15, 25, full_ratio=0.1)), []),
    ("a lock", waited(named("lock", 1, 39), 1.0), ["lock_contended"]),
    ("a lock that is passed on quickly", waited(named("lock", 1, 3)), []),
    ("a semaphore", waited(named("semaphore", 4, 36)), ["lock_contended"]),
    ("a condition", waited(named("condition", 1, 30)), ["lock_contended"]),
    ("an executor", waited(named("executor", 4, 36)), ["executor_full"]),
    ("the same behind all threads", waited(named("executor", 4, 36), 1.0), ["executor_full"]),
    ("calls that nobody awaits", waited(named("executor", 4, 900)), []),
    ("calls that are awaited by many", waited(named("executor", 4, 90), low_ms=500.0), ["executor_full"]),
    ("a lock, and a queue seen from outside", waited(named("lock", 1, 45), low_ms=900.0), ["lock_contended"]),
]
TABLE: list[tuple[str, Signals, list[str]]] = [
    ("a healthy run", HEALTHY, []),
    ("two healthy workers", two({}, {}), []),
    ("no probe", replace(HEALTHY, workers=(), low_ms=500.0), []),
    ("no window", Signals(), []),
    ("a loop that sleeps", one(held_ratio=0.99, stall_ms=52.0), ["loop_blocked"]),
    ("a stall each second", one(held_ratio=0.05, stall_ms=50.0), ["loop_blocked"]),
    ("stalls of timers", one(held_ratio=0.02), []),
    ("one of two loops blocked", two({"held_ratio": 0.9}, {}), ["loop_blocked"]),
    ("a full thread pool", one(pools={"limiter": pool(0.97)}), ["thread_pool_full"]),
    ("a thread pool full for moments", one(pools={"limiter": pool(0.19)}), []),
    ("a full executor", one(pools={"executor": pool(0.9, 6)}), ["executor_full"]),
    ("a full process pool", one(pools={"process_pool": pool(0.9, 2)}), ["process_pool_full"]),
    ("used up connections", one(pools={"dependency_pool": pool(0.9, 10)}), ["dependency_pool_full"]),
    *RESOURCES,
    (
        "threads that all wait for connections",
        one(pools={"dependency_pool": pool(0.9, 10), "limiter": pool(1.0)}),
        ["dependency_pool_full", "thread_pool_full"],
    ),
    (
        "threads that wait for fifteen places",
        replace(one(pools={"limiter": pool(1.0)}), served_at_once=14.6),
        ["dependency_bound", "thread_pool_full"],
    ),
    ("a deadlock", run(standstill=Standstill(0.4, 0.8, 40, 15)), ["pool_deadlock"]),
    ("threads that all serve", replace(one(pools={"limiter": pool(1.0)}), served_at_once=38.0), ["thread_pool_full"]),
    (
        "one thread, and a canary that takes its part",
        replace(one(pools={"limiter": pool(1.0, 1)}), served_at_once=0.6),
        ["thread_pool_full"],
    ),
    (
        "threads that wait for the GIL",
        replace(one(**BUSY, pools={"limiter": pool(1.0)}), served_at_once=1.0),
        ["cpu_saturated", "thread_pool_full"],
    ),
    ("users that wait for ten places", run(low_ms=100.0, users=20, served_at_once=9.8), ["dependency_bound"]),
    ("a time that varies by itself", run(low_ms=52.0, users=20, served_at_once=9.8), []),
    ("one worker computes", one(**BUSY), ["cpu_saturated"]),
    ("one worker nearly computes", one(cpu_ratio=0.8), []),
    ("a computing loop", one(**BUSY, held_ratio=0.9), ["cpu_saturated", "loop_blocked"]),
    (
        "computing threads behind a full pool",
        one(cpu_ratio=0.99, pools={"limiter": pool(0.9)}),
        ["cpu_saturated", "thread_pool_full"],
    ),
    (
        "a computing process pool",
        replace(one(pools={"process_pool": pool(0.9, 2)}), cores=2, server_cpu_ratio=1.9, machine_ratio=0.97),
        ["cpu_saturated", "process_pool_full"],
    ),
    ("half the machine is somebody else's", run(machine_ratio=0.99, server_cpu_ratio=0.4), []),
    ("more threads of BLAS than cores", BLAS, ["cpu_oversubscribed", "cpu_saturated"]),
    (
        "the same, of workers with time",
        replace(BLAS, workers=(SLACK, SLACK), server_cpu_ratio=1.2),
        ["cpu_oversubscribed"],
    ),
    ("as many threads of BLAS as cores", replace(BLAS, cores=8, server_cpu_ratio=7.8), ["cpu_saturated"]),
    ("threads of BLAS that had their core", two(*2 * [COMPUTING | {"native_wait_ratio": 0.1, "cpu_ratio": 0.5}]), []),
    ("threads of a library that does little", replace(BLAS, server_cpu_ratio=5.0), ["cpu_saturated"]),
    ("two workers compute", two(BUSY, BUSY), ["cpu_saturated"]),
    (
        "one of two has all",
        two(BUSY | {"share": 1.0}, {"share": 0.0, "cpu_ratio": 0.0}),
        ["worker_imbalance"],
    ),
    ("one of two has all and time", two({"share": 0.9}, {"share": 0.1}), []),
    ("both compute, unevenly", two(BUSY | {"share": 0.8}, BUSY | {"share": 0.2}), ["cpu_saturated"]),
    (
        "one of two has its pool full",
        two({"share": 0.8, "pools": {"limiter": pool(0.9)}}, {"share": 0.2}),
        ["worker_imbalance", "thread_pool_full"],
    ),
    ("a generator at its limit", run(generator_ratio=0.95), ["generator_bound"]),
    ("a generator nearly there, and an idle server", run(generator_ratio=0.8), ["generator_bound"]),
    ("a generator with time", run(generator_ratio=0.79), []),
    ("a generator nearly there, and a busy server", replace(one(cpu_ratio=0.75), generator_ratio=0.89), []),
    ("a generator nearly there, and no probe", run(generator_ratio=0.89, workers=()), []),
    (
        "both at their limit",
        replace(one(**BUSY), generator_ratio=0.95),
        ["generator_bound", "cpu_saturated"],
    ),
    ("a queue elsewhere", run(low_ms=200.0, alone_ms=20.0), ["dependency_bound"]),
    ("waits that vary", run(low_ms=50.0, alone_ms=20.0), []),
    ("fractions of a millisecond", run(low_ms=0.4, alone_ms=0.1), []),
    ("a queue of few milliseconds", run(low_ms=3.0, alone_ms=1.0), ["dependency_bound"]),
    (
        "a queue at a full pool",
        replace(one(pools={"limiter": pool(0.9)}), low_ms=500.0),
        ["thread_pool_full"],
    ),
    ("a queue at a busy CPU", replace(one(cpu_ratio=0.75), low_ms=500.0), []),
    (
        "a queue at a blocked loop",
        replace(one(held_ratio=0.6, stall_ms=9.0), low_ms=500.0),
        ["loop_blocked"],
    ),
    ("answers in two writes", NAGLE, ["small_writes"]),
    ("the same, sent at once", replace(NAGLE, nodelay=True), ["dependency_bound"]),
    ("the same, on another loop", replace(NAGLE, nodelay=None), ["dependency_bound"]),
    ("two writes, and time in the app", replace(NAGLE, low_ms=60.0, alone_ms=58.0, median_ms=62.0, inside_ms=58.0), []),
    ("two writes, and no probe", replace(NAGLE, inside_ms=None, workers=()), []),
    ("a leak", run(rss_growth_mb=30.0), ["memory_growth"]),
    ("growth of caches", run(rss_growth_mb=7.9), []),
    ("a little of much", run(rss_growth_mb=20.0, rss_mb=1000.0), []),
    (
        "the greater share first",
        one(held_ratio=0.3, pools={"limiter": pool(0.8), "executor": pool(0.5, 6)}),
        ["thread_pool_full", "executor_full", "loop_blocked"],
    ),
]


@pytest.mark.parametrize(("evidence", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_evidence_gives_exactly_these_causes_in_this_order(evidence: Signals, expected: list[str]) -> None:
    assert [cause.cause for cause in rank(evidence)] == expected


def test_every_cause_has_a_row_in_which_it_is_alone() -> None:
    alone = {expected[0] for _, _, expected in TABLE if len(expected) == 1}
    assert alone == set(CAUSES)


@pytest.mark.parametrize(
    ("evidence", "words"),
    [
        (
            one(held_ratio=0.84, stall_ms=52.4),
            "event loop blocked 84 % of the window, longest stall 52 ms",
        ),
        (two({"held_ratio": 0.9, "stall_ms": 20.0}, {}), "event loop of one of 2 workers blocked 90 % of"),
        (
            one(pools={"limiter": pool(1.0)}),
            "thread pool full 100 % of the window: 40 of 40 tokens in use, 20 waiting",
        ),
        (
            replace(one(pools={"limiter": pool(1.0, 4)}), interface="wsgi"),
            "threads full 100 % of the window: 4 of 4 of a worker busy, 20 requests waiting",
        ),
        (one(**BUSY), "CPU saturated: 1 worker computed 97 % of the window and waited for a core 1 %"),
        (one(cpu_ratio=1.4, wait_ratio=0.3), "CPU saturated: 1 worker computed 100 % of the window"),
        (one(cpu_ratio=0.5, wait_ratio=0.9), "computed 50 % of the window and waited for a core 50 %"),
        (
            BLAS,
            "more computing threads than cores: 8 of BLAS or OpenMP in 2 workers on 2 cores waited for a core 60 % of",
        ),
        (BLAS, "set OMP_NUM_THREADS=1 "),
        (
            run(rss_growth_mb=30.0, growth=Growth(1.5, 1.25, 1.75)),
            "to 60 MB: 1.5 [1.25, 1.75] MB per 1,000 requests",
        ),
        (run(server_cpu_ratio=0.95), "CPU saturated: the server used 0.95 of 1 core"),
        (NAGLE, "answers wait 44 ms of 44 ms outside the app (busy 21 %)"),
        (run(low_ms=200.0, alone_ms=20.0), "even the fastest tenth took 10.0 × as long as the first, 200 ms"),
        (run(rss_growth_mb=30.0), "memory grew steadily by 30 MB within the window, to 60 MB"),
    ],
)
def test_evidence_is_told_in_words(evidence: Signals, words: str) -> None:
    assert words in rank(evidence)[0].evidence


def test_shares_are_ratios() -> None:
    for _, evidence, _ in TABLE:
        assert all(0 < cause.share <= 1 for cause in rank(evidence))


def telemetry_of(steal: Callable[[int], float] = lambda _: 0.0, **columns: Any) -> pa.Table:
    """A worker's rows over the window of a second, and the machine's; sums and occupancies as given per row."""
    rows = [
        {
            "time_ns": EPOCH_NS + step * 100_000_000,
            "pid": 7,
            "role": "server",
            "cpu_s": 0.01 * step,
            "requests_done": 50 * step,
            **{name: value(step) if callable(value) else value for name, value in columns.items()},
        }
        for step in range(11)
    ]
    hosts = [
        {"time_ns": row["time_ns"], "pid": 0, "role": "host", "cpu_s": 5.0, "steal_s": steal(step)}
        for step, row in enumerate(rows)
    ]
    return pa.Table.from_pylist([*hosts, *rows], schema=TELEMETRY)


def measured(**options: Any) -> Run:
    return run_of(
        case_of("c"),
        host={"steal_ratio": 0.0, "cpu_ratio": 0.1, "server_cpu_s": 0.1, "server_rss_mb": 50.0},
        generator={"cores": 2, "busiest_cpu_s": 0.1, "wall_s": 1.0},
        server={"pinned_to": [1]},
        workers=(Worker(pid=7, requests=500, share=1.0),),
        **options,
    )


ROWS = [FakeRow(received_ns=step * 5_000_000, service_ns=20_000_000) for step in range(200)]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({}, []),
        ({"loop_blocked_s": lambda step: 0.09 * step, "loop_stall_max_ms": 51.0}, ["loop_blocked"]),
        ({"limiter_max": 40, "limiter_busy": 40, "limiter_queued": 9}, ["thread_pool_full"]),
        ({"limiter_max": 40, "limiter_busy": 40, "limiter_queued": 0}, []),
        # A WSGI server's queue is not seen from inside: four requests are under way all the time.
        ({"limiter_max": 2, "limiter_busy": 2, "in_flight": 2}, ["thread_pool_full"]),
        ({"limiter_max": 4, "limiter_busy": 4, "in_flight": 4}, []),
        ({"executor_max": 6, "executor_busy": 6, "executor_queued": 4}, ["executor_full"]),
        ({"process_pool_max": 2, "process_pool_busy": 2, "process_pool_queued": 3}, ["process_pool_full"]),
        ({"cpu_s": lambda step: 0.1 * step}, ["cpu_saturated"]),
        ({"requests_done": None}, []),
    ],
)
def test_causes_are_found_in_tables_as_they_are_on_disk(
    columns: dict[str, Any], expected: list[str], tmp_path: Path
) -> None:
    found = find(RunRows(table_of(ROWS, tmp_path), measured()), telemetry_of(**columns))
    assert [cause.cause for cause in found] == expected


def test_growth_of_a_long_run_is_told_per_1000_requests(tmp_path: Path) -> None:
    end_ns = EPOCH_NS + 50_000_000_000
    samples = [
        {"time_ns": EPOCH_NS + at * 10**9, "role": "server", "pid": 7, "rss_mb": 50 + at + at % 2} for at in range(51)
    ]
    telemetry = pa.Table.from_pylist(samples, schema=TELEMETRY).to_pandas()
    answers = [FakeRow(received_ns=step * 250_000_000, service_ns=1_000_000) for step in range(200)]
    rows = RunRows(table_of(answers, tmp_path), measured(window=Window(start_ns=EPOCH_NS, end_ns=end_ns)))
    growth = memory_growth(rows, telemetry)
    assert growth is not None
    assert growth.mb == pytest.approx(1000 * 50 / 200)
    assert growth.low_mb < growth.mb < growth.high_mb < 2 * growth.mb
    assert memory_growth(RunRows(table_of(answers, tmp_path), measured()), telemetry) is None


def one_stall(step: int) -> float:
    """50 ms in the fourth tenth of the second, seen by two looks."""
    return {0: 0.0, 1: 0.0, 2: 0.0, 3: 0.02}.get(step, 0.05)


def from_step(first: int, amount: float) -> Callable[[int], float]:
    return lambda step: 0.0 if step < first else amount


STALLS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "nothing else": ({}, ["loop_blocked"]),
    "stolen at the same time": ({"steal": from_step(3, 0.045)}, []),
    "stolen, and counted late": ({"steal": from_step(5, 0.045)}, []),
    "stolen before": ({"steal": from_step(2, 0.9)}, ["loop_blocked"]),
    "stolen after": ({"steal": from_step(7, 0.9)}, ["loop_blocked"]),
    "waiting for a core at the same time": ({"loop_wait_s": from_step(4, 0.045)}, []),
    "waiting for a core at other times": ({"loop_wait_s": from_step(8, 0.3)}, ["loop_blocked"]),
    "other threads computing at the same time": (
        {"cpu_s": from_step(4, 0.045), "loop_cpu_s": lambda _: 0.0},
        [],
    ),
    "other threads computing at other times": (
        {"cpu_s": from_step(8, 0.3), "loop_cpu_s": lambda _: 0.0},
        ["loop_blocked"],
    ),
}


@pytest.mark.parametrize(("columns", "expected"), STALLS.values(), ids=STALLS)
def test_a_stall_is_the_loops_own_unless_others_had_the_time(
    columns: dict[str, Any], expected: list[str], tmp_path: Path
) -> None:
    telemetry = telemetry_of(loop_blocked_s=one_stall, loop_stall_max_ms=50.0, **columns)
    found = find(RunRows(table_of(ROWS, tmp_path), measured()), telemetry)
    assert [cause.cause for cause in found] == expected


def test_a_queue_is_seen_in_the_rows_of_the_whole_run(tmp_path: Path) -> None:
    early = [FakeRow(received_ns=-step * 1_000_000 - 1, service_ns=2_000_000) for step in range(5)]
    found = find(RunRows(table_of([*early, *ROWS], tmp_path), measured()), telemetry_of())
    assert [cause.cause for cause in found] == ["dependency_bound"]


def test_a_run_without_a_window_or_rows_has_no_causes(tmp_path: Path) -> None:
    windowless = run_of(case_of("c"), window=None)
    assert find(RunRows(table_of([], tmp_path), windowless), telemetry_of()) == ()
    assert find(RunRows(table_of([], tmp_path), measured()), telemetry_of()) == ()


@pytest.mark.parametrize("served", [1.0, 5.2, 14.6])
def test_threads_that_wait_are_told_the_places_and_what_to_do(served: float) -> None:
    found = rank(replace(one(pools={"limiter": pool(1.0)}), served_at_once=served))[0]
    assert f"the 40 threads wait for some {served:.0f} places" in found.evidence
    assert found.remedy == (
        f"raise what has {served:.0f} places, or lower `threads` to it; more threads won't help, they only wait there"
    )


@pytest.mark.parametrize(
    ("signals", "evidence", "remedy"),
    [
        (
            waited(QUEUE_POOL, 1.0),
            "SQLAlchemy's QueuePool (db.py:11) used up 97 % of the window: all 15 connections in use, 25 waiting at "
            "api.py:40, the longest 163 ms",
            "raise `pool_size` + `max_overflow` above 15, if the other side takes more at once, or lower `threads` to "
            "15; more than 40 threads won't help, they wait there, too",
        ),
        (
            waited(named("pool", 1, 7, name="aiosqlite's connection", made_at="")),
            "aiosqlite's connection busy 97 % of the window: one call at a time in its thread, 7 waiting at",
            "open more connections, each has a thread of its own: 7 calls wait for one",
        ),
        (
            waited(named("lock", 1, 39, name="threading.Lock", count=20, made_at="{a}.py:1", waited_at=""), 1.0),
            "threading.Lock (20 made at {a}.py:1) held 97 % of the window, 39 waiting, the longest 163 ms",
            "hold it for less, or have one for each thing that it guards: now one passes and 39 wait; more than 40",
        ),
        (
            waited(named("semaphore", 4, 36, name="asyncio.Semaphore")),
            "asyncio.Semaphore of 4 (db.py:11) used up 97 % of the window: all 4 places taken, 36 waiting",
            "raise it above 4, if what it guards takes more at once; more workers help, if each may have its own",
        ),
        (
            waited(named("executor", 10, 40, name="a2wsgi's ThreadPoolExecutor")),
            "a2wsgi's ThreadPoolExecutor (db.py:11) full 97 % of the window: all 10 threads busy, 40 calls waiting at",
            "raise `workers` of WSGIMiddleware above 10, ",
        ),
    ],
    ids=["pool", "one thread", "lock", "semaphore", "executor"],
)
def test_a_resource_is_told_with_its_figures_and_lines(signals: Signals, evidence: str, remedy: str) -> None:
    cause = rank(signals)[0]
    assert cause.evidence.startswith(evidence)
    assert cause.remedy.startswith(remedy)


@pytest.mark.parametrize("evidence", [row[1] for row in TABLE], ids=[row[0] for row in TABLE])
def test_every_cause_says_what_to_do_by_its_own_numbers(evidence: Signals) -> None:
    told_before = {"cpu_oversubscribed", "small_writes"}
    for cause in rank(evidence):
        assert bool(cause.remedy) is (cause.cause not in told_before)
        assert any(map(str.isdigit, cause.remedy or cause.evidence))


@pytest.mark.parametrize(
    ("signals", "remedy"),
    [
        (one(**BUSY), "raise `workers` from 1 towards 2, while cores are free; else"),
        (two(BUSY, BUSY), "only less work for each request helps, never more threads: 2 cores have 2 workers"),
        (
            replace(one(cpu_ratio=0.2, wait_ratio=0.75), machine_ratio=1.0),
            "other processes used 1.7 of 2 cores: measure while they don't run",
        ),
    ],
)
def test_a_full_cpu_is_advised_by_workers_cores_and_others(signals: Signals, remedy: str) -> None:
    assert rank(signals)[0].remedy.startswith(remedy)


@pytest.mark.parametrize(("threads", "places", "users"), [(40, 15, 55), (10, 5, 15), (100, 20, 120)])
def test_a_deadlock_is_predicted_and_told_by_its_arithmetic(threads: int, places: int, users: int) -> None:
    (found,) = rank(run(standstill=Standstill(0.4, 0.8, threads, places)))
    assert f"{threads} + {places} = {users} users" in found.evidence
    pools = {"dependency_pool": pool(0.9, places), "limiter": pool(1.0, threads)}
    assert f"from {users} users" in rank(one(pools=pools, holds_between=True))[0].evidence
    assert "deadlock" not in rank(one(pools=pools))[0].evidence


SILENT = Check(name="hung", effect="void", value=5.0, limit=0.5, ok=False)


@pytest.mark.parametrize(
    ("others", "usable", "expected"),
    [
        ((), 0, ["loop_blocked"]),
        ((SILENT.model_copy(update={"name": "rows"}),), 0, ["loop_blocked"]),
        ((SILENT.model_copy(update={"name": "errors"}),), 0, []),
        ((), 1, []),
    ],
)
def test_why_a_server_stopped_answering_is_told_unless_runs_are_usable(
    others: tuple[Check, ...], usable: int, expected: list[str]
) -> None:
    cause = Cause(cause="loop_blocked", share=1.0, evidence="event loop blocked 100 % of the window")
    silent = run_of(case_of("c"), status="invalid", checks=(SILENT, *others), causes=(cause,))
    known = first_causes([*[run_of(case_of("c"), replicate=2)] * usable, silent])
    assert [each.cause for each in known.values()] == expected


@pytest.mark.parametrize(
    ("machine_ratio", "expected"),
    [(1.0, ["dependency_pool_full", "cpu_saturated"]), (0.3, ["cpu_saturated", "dependency_pool_full"])],
)
def test_cores_that_other_processes_had_come_after_the_apps_own_causes(
    machine_ratio: float, expected: list[str]
) -> None:
    waiting = waited(QUEUE_POOL, machine_ratio=machine_ratio)
    workers = (replace(waiting.workers[0], cpu_ratio=0.2, wait_ratio=0.78),)
    grown = replace(waiting, workers=workers, rss_growth_mb=400.0)
    assert [cause.cause for cause in rank(grown)] == [*expected, "memory_growth"]


@pytest.mark.parametrize(("free_steps", "is_dead"), [((), True), ((8,), True), ((7, 8), False)])
def test_callers_that_give_up_and_wait_again_are_still_a_deadlock(
    free_steps: tuple[int, ...], is_dead: bool, tmp_path: Path
) -> None:
    full: dict[str, Any] = {"limiter_max": 40, "limiter_busy": 40, "limiter_queued": 60}
    full |= {"dependency_pool_max": 15, "dependency_pool_busy": 15}
    telemetry = telemetry_of(**full, dependency_pool_queued=lambda step: 0 if step in free_steps else 40)
    found = find(RunRows(table_of([], tmp_path), measured()), telemetry)
    assert ("pool_deadlock" in {cause.cause for cause in found}) == is_dead
