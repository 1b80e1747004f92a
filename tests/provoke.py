"""Provoke each cause on real servers through the harness, and leave healthy ones in peace.

`python tests/provoke.py 20` does it twenty times over and prints a tally: how often each cause was named first, what
healthy cases were accused of, and the longest stall of an app that stalls for 50 ms each second. The table serves
test_e2e_causes.py as well.

`python tests/provoke.py deadlock` loads an app whose `def` route keeps a connection between two calls with more and
more users, for several sizes of threads and pool: the users from which a run that still works predicts a deadlock,
beside those at which it came.
"""

import re
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from support.e2e import Bench, brief_suite

from loopwise.model import Run
from loopwise.results.folder import ResultFolder

ROOT = Path(__file__).parents[1]


class Provocation(NamedTuple):
    """A [[matrix]] entry, and the cause that it must be given; None: none at all."""

    cause: str | None
    entry: Mapping[str, Any]


def _target(workload: str, mode: str, users: int, workers: int = 1, **params: Any) -> dict[str, Any]:
    entry = {"workload": workload, "mode": mode, "workers": workers, "load": {"users": users}}
    return entry | ({"params": params} if params else {})


def _own(path: str, users: int, app: str = "app", **more: Any) -> dict[str, Any]:
    return {
        "app": f"provoking_app:{app}",
        "app_dir": str(ROOT / "tests" / "support"),
        "endpoint": f"GET {path}",
        "load": {"users": users},
    } | more


def _wsgi(path: str, users: int, server: str = "gunicorn", **more: Any) -> dict[str, Any]:
    # In the folder of the app, a module of its would be taken for the standard library's `html`.
    return _own(path, users, "wsgi", cwd=str(ROOT), interface="wsgi", server=server, threads=4, **more)


OPEN = {"model": "open", "rate_rps": 100, "arrivals": "poisson"}
PROVOCATIONS: dict[str, Provocation] = {
    "blocking sleep": Provocation("loop_blocked", _target("sleep", "blocking", 8, ms=20)),
    "blocking sleep of an app": Provocation("loop_blocked", _own("/block", 8)),
    "a stall each second": Provocation("loop_blocked", _own("/", 2, "stalling()", load={"users": 2, "think_s": 0.02})),
    "60 users of 40 threads": Provocation("thread_pool_full", _target("sleep", "sync", 60, ms=50)),
    "executor": Provocation("executor_full", _target("sleep", "to_thread", 40, ms=50)),
    "process pool": Provocation("process_pool_full", _target("sleep", "process", 20, ms=50)),
    "many short computations": Provocation("cpu_saturated", _target("cpu", "async", 8, ms=2)),
    "computing threads": Provocation("cpu_saturated", _target("cpu", "sync", 8, ms=5)),
    "eight threads of BLAS": Provocation("cpu_oversubscribed", _own("/blas", 2)),
    "all connections to one worker": Provocation("worker_imbalance", _own("/compute", 8, "uneven()", workers=2)),
    "asyncio, two workers": Provocation("small_writes", _own("/", 5, workers=2, loop="asyncio")),
    "a slow generator": Provocation("generator_bound", _own("/", 10, scenario="slow.py")),
    "four places, unseen": Provocation("dependency_bound", _own("/hidden", 40)),
    "four places, told": Provocation("dependency_pool_full", _own("/hidden", 8, "gauged()")),
    "tasks at a semaphore of four": Provocation("lock_contended", _own("/depend", 40)),
    "threads at a semaphore of four": Provocation("lock_contended", _own("/pool", 60)),
    "threads at a pool of four": Provocation("dependency_pool_full", _own("/query", 60)),
    "an executor of four threads": Provocation("executor_full", _own("/executor", 40)),
    "40 threads and 4 connections, 43 users": Provocation("dependency_pool_full", _own("/orders", 43)),
    "40 threads and 4 connections, 44 users": Provocation(
        "pool_deadlock", _own("/orders", 44, load={"users": 44, "warmup_max_s": 1.0})
    ),
    "threads at a lock": Provocation("lock_contended", _own("/lock", 60)),
    "four threads of a WSGI app, gunicorn": Provocation("thread_pool_full", _wsgi("/wait", 12)),
    "four threads of a WSGI app, granian": Provocation("thread_pool_full", _wsgi("/wait", 12, "granian")),
    "threads of a WSGI app at a lock": Provocation("lock_contended", _wsgi("/lock", 12)),
    "computing threads of a WSGI app": Provocation("cpu_saturated", _wsgi("/compute", 8)),
    "a leak": Provocation("memory_growth", _own("/leak", 2)),
    "healthy async": Provocation(None, _target("sleep", "async", 20, ms=20)),
    "healthy async, two workers": Provocation(None, _target("sleep", "async", 10, 2, ms=20)),
    "healthy asyncio": Provocation(None, _own("/", 5, loop="asyncio", load={"users": 5, "think_s": 0.02})),
    "healthy sync": Provocation(None, _target("sleep", "sync", 20, ms=20)),
    "healthy to_thread": Provocation(None, _target("sleep", "to_thread", 3, ms=20)),
    "healthy process": Provocation(None, _target("sleep", "process", 1, ms=20)),
    "healthy noop, open load": Provocation(None, _target("noop", "sync", 1) | {"load": OPEN}),
    "healthy locks, pools and executors": Provocation(None, _own("/all", 4, "consuming()")),
    "healthy WSGI app, gunicorn": Provocation(None, _wsgi("/wait", 2)),
    "healthy WSGI app, granian": Provocation(None, _wsgi("/wait", 2, "granian")),
    "healthy app": Provocation(None, _own("/", 5, load={"users": 5, "think_s": 0.02})),
}
STALL = "a stall each second"

SLOW_USER = """
from locust import HttpUser, task


class Slow(HttpUser):
    @task
    def ask(self):
        self.client.get("/")
        sum(range(100_000))
"""
"""Needs far more CPU for a request than the server does."""


def write_suite(folder: Path, names: list[str]) -> Path:
    """The suite with an entry per name, and what it needs beside it."""
    (folder / "slow.py").write_text(SLOW_USER, encoding="utf-8")
    return write_entries(folder, [PROVOCATIONS[name].entry for name in names])


def write_entries(folder: Path, entries: Sequence[Mapping[str, Any]]) -> Path:
    """A suite of these [[matrix]] entries, each measured once."""
    return brief_suite(folder / "provoke.toml", *entries, think_s=0.0, warmup_s=0.5, measure_s=2.2)


def runs_by_name(result: Path, names: list[str]) -> dict[str, Run]:
    """The runs of such a suite; cases stand in the order of the entries."""
    folder = ResultFolder(result)
    order = [case.case_id for case in folder.experiment().suite.cases]
    runs, _ = folder.runs()
    return {names[order.index(run.case.case_id)]: run for run in runs}


def first_cause(run: Run) -> str | None:
    """The cause that is named first."""
    return run.causes[0].cause if run.causes else None


def main(rounds: int, names: list[str]) -> int:
    """Measure all provocations so many times; print what was named, as it comes and as a tally."""
    tally: dict[str, Counter[str]] = {name: Counter() for name in names}
    stalls_ms: list[float] = []
    for number in range(1, rounds + 1):
        with tempfile.TemporaryDirectory(prefix="provoke-") as temporary:
            folder = Path(temporary)
            status, output = Bench(folder / "bench")(
                "run", write_suite(folder, names), "--out", folder / "result", "--quiet", "--no-report", timeout_s=600
            )
            for name, run in runs_by_name(folder / "result", names).items():
                found = first_cause(run) or run.error or "none"
                tally[name][found] += 1
                if name == STALL:
                    stalls_ms.append(run.host.loop_stall_max_ms or 0.0)
                if found != (PROVOCATIONS[name].cause or "none"):
                    print(
                        f"round {number}, {name}: {found}; {run.causes} {run.host} {run.generator}",
                        flush=True,
                    )
            print(f"round {number} of {rounds} done, status {status}", flush=True)
            if status not in (0, 3):
                print(output)
    print(f"{'case':34}{'expected':20}as expected   instead")
    for name, found_names in tally.items():
        expected = PROVOCATIONS[name].cause or "none"
        rest = ", ".join(f"{other} × {count}" for other, count in found_names.items() if other != expected)
        print(f"{name:34}{expected:20}{found_names[expected]:3} of {rounds:<6}{rest}")
    if stalls_ms:
        print("longest stall of 50 ms each second, ms:", " ".join(f"{each:.1f}" for each in stalls_ms))
    return int(any(found[PROVOCATIONS[name].cause or "none"] < rounds for name, found in tally.items()))


DEADLOCKS = ((40, 15), (10, 5), (20, 12))
"""Threads and connections."""
AROUND = (-3, -2, -1, 0, 1, 2, 3)
"""Users that are asked for, less threads + connections. The first run must still work, and predict."""
EXACT = 1


class Deadlock(NamedTuple):
    """Where a pool deadlocks: users of a worker, as a run predicted and as runs found; None: none did."""

    predicted: int | None
    found: int | None
    working: tuple[int, ...] = ()
    """Users at which it went on although fewer had stopped it."""

    @property
    def is_exact(self) -> bool:
        """Whether it came within EXACT users of the prediction."""
        return self.predicted is not None and self.found is not None and abs(self.predicted - self.found) <= EXACT


def deadlock(threads: int, connections: int) -> Deadlock:
    """Measure with users around threads + connections."""
    load = {"users": [threads + connections + each for each in AROUND], "warmup_max_s": 1.0}
    more = {"load": load, "threads": threads, "factory_args": {"connections": connections}}
    with tempfile.TemporaryDirectory(prefix="provoke-") as temporary:
        folder = Path(temporary)
        suite = write_entries(folder, [_own("/orders", 0, "ordering", **more)])
        status, output = Bench(folder / "bench")(
            "run", suite, "--out", folder / "result", "--quiet", "--no-report", timeout_s=900
        )
        runs, _ = ResultFolder(folder / "result").runs()
    if status not in (0, 3):
        print(output)
    by_users = {run.case.load.users: run for run in runs}
    stopped = [users for users, run in sorted(by_users.items()) if first_cause(run) == "pool_deadlock"]
    found = min(stopped, default=None)
    foretold = " ".join(cause.evidence for cause in by_users[min(by_users)].causes)
    words = re.search(r"from (\d+) users of a worker on", foretold)
    working = tuple(each for each in by_users if found is not None and each > found and each not in stopped)
    return Deadlock(int(words[1]) if words else None, found, working)


def main_deadlocks() -> int:
    """Print predicted and found users for each of DEADLOCKS; 1 where they differ by more than EXACT."""
    print("threads  connections  predicted  found")
    wrong = 0
    for threads, connections in DEADLOCKS:
        each = deadlock(threads, connections)
        wrong += not each.is_exact
        rest = f"  went on at {', '.join(map(str, each.working))}" if each.working else ""
        print(f"{threads:7}{connections:13}{each.predicted or 'no':>11}{each.found or 'none':>7}{rest}", flush=True)
    return int(wrong > 0)


if __name__ == "__main__":
    if sys.argv[1:] == ["deadlock"]:
        sys.exit(main_deadlocks())
    chosen = [name for name in PROVOCATIONS if not sys.argv[2:] or any(word in name for word in sys.argv[2:])]
    sys.exit(main(int(sys.argv[1]) if sys.argv[1:] else 1, chosen))
