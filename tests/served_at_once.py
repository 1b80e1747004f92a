"""Compare the number of requests really served at once with the number of places that an app has.

`python tests/served_at_once.py 3` plants pools and semaphores of 1, 5, 10, 15 and 39 places behind 40 threads, asks
with 50 and 100 users, three times over, and prints a row for each: the estimate by Little's law ÷ the places, and how
often the resource was named with its places. Exit status 1 where an estimate is more than 10 % off.
"""

import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from support.e2e import Bench, brief_suite

from loopwise.model import Run
from loopwise.results.folder import ResultFolder

ROOT = Path(__file__).parents[1]


PLACES = (1, 5, 10, 15, 39)
USERS = (50, 100)
KINDS = {"GET /query": "pool", "GET /pool": "semaphore"}
HOLD_S = 0.05
WITHIN = 0.1
ENTRY = {
    "app": "provoking_app:app",
    "app_dir": str(ROOT / "tests" / "support"),
    "endpoint": list(KINDS),
    "env": {"PROVOKED_PLACES": list(map(str, PLACES)), "PROVOKED_HOLD_S": str(HOLD_S)},
}


def is_named(run: Run) -> bool:
    """Whether the first cause is of the planted kind, and the resource has as many places as were planted."""
    found = max(run.resources, key=lambda each: each.full_ratio * each.waiting, default=None)
    cause = {"pool": "dependency_pool_full", "semaphore": "lock_contended"}
    kind = KINDS[run.case.endpoints[0].name]
    is_right = found is not None and (found.kind, found.places) == (kind, _places(run))
    return is_right and bool(run.causes) and run.causes[0].cause == cause[kind]


def _places(run: Run) -> int:
    assert run.case.server is not None
    return int(run.case.server.env["PROVOKED_PLACES"])


def _key(run: Run) -> tuple[str, int, int]:
    return KINDS[run.case.endpoints[0].name], _places(run), int(run.case.load.users or 0)


def main(rounds: int) -> int:
    """Measure all so many times, and print the table."""
    found: dict[tuple[str, int, int], list[Run]] = {}
    for number in range(1, rounds + 1):
        with tempfile.TemporaryDirectory(prefix="served-") as temporary:
            folder = Path(temporary)
            times = {"think_s": 0.0, "warmup_s": 1.0, "warmup_max_s": 1.0, "measure_s": 4.0}
            suite = brief_suite(folder / "served.toml", ENTRY, users=list(USERS), **times)
            bench = Bench(folder / "bench")
            status, output = bench("run", suite, "--out", folder / "result", "--quiet", "--no-report", timeout_s=900)
            runs, _ = ResultFolder(folder / "result").runs()
            for run in runs:
                found.setdefault(_key(run), []).append(run)
            print(f"round {number} of {rounds} done, status {status}", flush=True)
            if status not in (0, 3):
                print(output)
    print(f"{'kind':12}{'places':>6}{'users':>7}   estimate ÷ places          named")
    rows = [_row(key, found[key]) for key in sorted(found)]
    return int(not all(rows))


def _row(key: tuple[str, int, int], runs: Sequence[Run]) -> bool:
    """Print the row of a case; returns whether its median estimate is right."""
    kind, places, users = key
    ratios = sorted(run.served_at_once / places for run in runs if run.served_at_once)
    if not ratios:
        print(f"{kind:12}{places:6}{users:7}   none: {runs[0].error}")
        return False
    middle = statistics.median(ratios)
    mark = "" if abs(middle - 1) <= WITHIN else "   beyond ±10 %"
    named = sum(map(is_named, runs))
    spread = f"{middle:.3f} [{ratios[0]:.3f}, {ratios[-1]:.3f}]"
    print(f"{kind:12}{places:6}{users:7}   {spread}   {named} of {len(runs)}{mark}")
    return not mark


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if sys.argv[1:] else 1))
