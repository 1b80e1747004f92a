"""Do faults until the time is over, several at once; tell what did not hold, and write the document."""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from datetime import UTC, datetime
from itertools import zip_longest
from multiprocessing import get_context
from pathlib import Path

from faults import extremes, processes, resources
from faults.document import document
from faults.fault import Done, Fault, Ground
from faults.fuzz import Fuzzed, fuzz_for
from faults.place import Place, said

IN_NAMESPACE = "LOOPWISE_FAULTS_MAY_MOUNT"
"""Set in the process that has a mount namespace of its own: what it mounts is gone when it ends."""


def all_faults() -> list[Fault]:
    """The table of faults."""
    return [*processes.faults(), *resources.faults(), *extremes.faults()]


def shuffled(faults: Iterable[Fault], dice: random.Random) -> list[Fault]:
    """A random order in which every kind comes early: one of each, then a second one of each, and so on."""
    by_kind: dict[tuple[str, str], list[Fault]] = {}
    for fault in faults:
        # Every extreme is a kind of its own; together they count as one.
        by_kind.setdefault((fault.group, "" if fault.group == "extreme" else fault.kind), []).append(fault)
    for each in by_kind.values():
        dice.shuffle(each)
    rounds = [[fault for fault in turn if fault is not None] for turn in zip_longest(*by_kind.values())]
    for turn in rounds:
        dice.shuffle(turn)
    return [fault for turn in rounds for fault in turn]


def finished_result(folder: Path) -> Ground:
    """Measure the result that faults copy.

    Raises:
        RuntimeError: it can't be measured, so that nothing else can be tried.
    """
    ground = Ground(folder / "first", folder / "finished", folder / "state", random.Random(0))
    ground.folder.mkdir()
    place = Place(ground)
    ended = place.run("run", "small.toml", "--out", place.result, "--quiet")
    if said(ended, frozenset({0, 3})):
        raise RuntimeError(ended.output)
    return ground._replace(finished=place.result)


def do(fault: Fault, number: int, ground: Ground, seed: int) -> Done:
    """Do one fault in a folder of its own."""
    began_s = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix=f"{number}-", dir=ground.folder.parent))
    try:
        problems = fault.do(ground._replace(folder=folder, dice=random.Random(f"{seed}/{fault.name}")))
    except Exception as error:
        problems = [f"{type(error).__name__}: {error}"]
    shutil.rmtree(folder, ignore_errors=True)
    return Done(fault, problems, time.monotonic() - began_s, seed, datetime.now(UTC).date().isoformat())


def carry_out(faults: Sequence[Fault], ground: Ground, *, seed: int, deadline_s: float, jobs: int) -> Iterator[Done]:
    """Do faults in their order, `jobs` at once, and begin none after the deadline."""
    waiting = list(enumerate(faults))
    with ThreadPoolExecutor(jobs) as pool:
        running: set[Future[Done]] = set()
        while waiting or running:
            while waiting and len(running) < jobs and time.monotonic() < deadline_s:
                number, fault = waiting.pop(0)
                running.add(pool.submit(do, fault, number, ground, seed))
            if not running:
                return
            ended, running = wait(running, return_when=FIRST_COMPLETED)
            yield from (each.result() for each in ended)


def remembered(log: Path | None, table: Iterable[Fault]) -> tuple[dict[str, Done], Fuzzed]:
    """Read a log of earlier campaigns: the last time that each fault was done, by its name, and all that was fuzzed."""
    faults = {each.name: each for each in table}
    dones: dict[str, Done] = {}
    fuzzed = Fuzzed({}, [])
    for line in log.read_text(encoding="utf-8").splitlines() if log is not None and log.exists() else ():
        row = json.loads(line)
        if "tried" in row:
            fuzzed = fuzzed.with_more(Fuzzed(**row))
        elif row["fault"] in faults:
            dones[row["fault"]] = Done(**row | {"fault": faults[row["fault"]]})
    return dones, fuzzed


def remember(log: Path | None, what: Done | Fuzzed) -> None:
    """Append what became of a fault, or how much was fuzzed."""
    if log is not None:
        row = what._asdict() | ({"fault": what.fault.name} if isinstance(what, Done) else {})
        with log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


def tell(done: Done, number: int, total: int) -> None:
    print(f"{number}/{total} {done.fault.name}: {'survived' if not done.problems else 'FAILED'} ({done.seconds:.0f} s)")
    for problem in done.problems:
        print(f"    {problem}")
    sys.stdout.flush()


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--minutes", type=float, default=4.0, help="begin no fault after so long")
    parser.add_argument("--seed", type=int, help="of the order and of all moments; default: another one each time")
    parser.add_argument("--only", default="", metavar="TEXT", help="only faults whose group and name have this text")
    parser.add_argument(
        "--log",
        type=Path,
        metavar="FILE",
        help="add what becomes of each fault to this file, and leave out what was survived by it: a campaign in parts",
    )
    parser.add_argument("--jobs", type=int, default=2, help="faults at once")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the table of faults to this document")
    parser.add_argument("--fuzz-minutes", type=float, default=0.0, help="fuzz beside the faults for so long")
    parser.add_argument("--fuzz", action="store_true", help="fuzz suites, arguments and damaged results instead")
    parser.add_argument("--list", action="store_true", help="print the names of the faults, and do none")
    return parser.parse_args()


def in_namespace() -> bool:
    """Go on in a mount namespace of one's own, where that is possible."""
    if IN_NAMESPACE in os.environ:
        return True
    unshare = ["unshare", "--mount", "--propagation", "private"]
    try:
        is_possible = subprocess.run([*unshare, "true"], check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False
    if is_possible:
        os.environ[IN_NAMESPACE] = "1"
        os.execvp(unshare[0], [*unshare, sys.executable, "-m", "tests.faults", *sys.argv[1:]])
    return False


def fuzz_only(chosen: argparse.Namespace) -> int:
    """Fuzz until the time is over; returns the exit status."""
    seed = random.randrange(2**32) if chosen.seed is None else chosen.seed
    print(f"fuzzing for {chosen.minutes:g} minutes; the same again with: --seed {seed}", flush=True)
    fuzzed = fuzz_for(chosen.minutes, seed)
    remember(chosen.log, fuzzed)
    return tell_fuzzed(fuzzed)


def tell_fuzzed(fuzzed: Fuzzed) -> int:
    """Print how much was fuzzed; returns the exit status."""
    tried = ", ".join(f"{count} {name}" for name, count in fuzzed.tried.items())
    print(f"fuzzed: {tried}; found: {len(fuzzed.found)}")
    return 1 if fuzzed.found else 0


def main() -> int:
    """Carry out the campaign; returns its exit status."""
    chosen = options()
    if chosen.fuzz:
        return fuzz_only(chosen)
    may_mount = in_namespace()
    seed = random.randrange(2**32) if chosen.seed is None else chosen.seed
    table = [
        each
        for each in all_faults()
        if chosen.only in f"{each.group}: {each.name}" and (may_mount or not each.needs_mounts)
    ]
    if chosen.list:
        print("\n".join(each.name for each in table))
        return 0
    before, fuzzed = remembered(chosen.log, table)
    faults = [
        each for each in shuffled(table, random.Random(seed)) if each.name not in before or before[each.name].problems
    ]
    print(f"{len(faults)} faults, for {chosen.minutes:g} minutes; the same again with: --seed {seed}", flush=True)
    began_s = time.monotonic()
    with ProcessPoolExecutor(1, get_context("spawn")) as beside:
        fuzzing = beside.submit(fuzz_for, chosen.fuzz_minutes, seed) if chosen.fuzz_minutes else None
        dones = campaign(faults, seed, began_s + chosen.minutes * 60, chosen.jobs, chosen.log)
        more = fuzzing.result() if fuzzing is not None else Fuzzed({}, [])
    bad = [each for each in dones if each.problems]
    print(f"survived: {len(dones) - len(bad)} of {len(dones)}, in {(time.monotonic() - began_s) / 60:.1f} minutes")
    for done in bad:
        print(f"not survived: {done.fault.name}: {done.problems[0]}")
    status = 0
    if more.tried:
        remember(chosen.log, more)
        status = tell_fuzzed(more)
    if chosen.out is not None:
        known = before | {each.fault.name: each for each in dones}
        text = document(list(known.values()), len(table), fuzzed.with_more(more))
        chosen.out.write_text(text, encoding="utf-8")
    return 1 if bad else status


def campaign(faults: Sequence[Fault], seed: int, deadline_s: float, jobs: int, log: Path | None = None) -> list[Done]:
    """Do faults until the deadline, tell what became of each, and add it to a log."""
    dones = []
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        ground = finished_result(Path(folder))
        for done in carry_out(faults, ground, seed=seed, deadline_s=deadline_s, jobs=jobs):
            dones.append(done)
            tell(done, len(dones), len(faults))
            remember(log, done)
    return dones
