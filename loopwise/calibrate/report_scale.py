"""Measures the cost of a report of many rows: `python -m loopwise.calibrate.report_scale [--runs 100] [--rows 100000]`.

It writes a synthetic result into a temporary folder, reports it in a process of its own, and prints that process's
time and peak memory; then the time of each part, from a second process. Nothing is kept.

This module imports nothing large: the peak memory that the kernel reports of a child is at least its parent's.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

MAKE, PHASES = "make", "phases"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and print time and memory."""
    parser = argparse.ArgumentParser(prog="python -m loopwise.calibrate.report_scale")
    parser.add_argument("--runs", type=int, default=100, help="runs of the result; default 100")
    parser.add_argument("--rows", type=int, default=100_000, help="rows in the window of each; default 100000")
    parser.add_argument("--inner", choices=(MAKE, PHASES), help=argparse.SUPPRESS)
    parser.add_argument("--result", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(argv)
    if min(given.runs, given.rows) < 1:
        parser.error(f"--runs and --rows: got {given.runs} and {given.rows}, allowed is 1 or more; raise them")
    if given.inner == MAKE:
        return _make(given.result, given.runs, given.rows)
    if given.inner == PHASES:
        return _phases(given.result)
    return _measure(given.runs, given.rows)


def _measure(runs: int, rows: int) -> int:
    with tempfile.TemporaryDirectory(prefix="loopwise-scale-") as folder:
        result = Path(folder) / "synthetic"
        me = [sys.executable, "-m", __spec__.name if __spec__ else __name__]
        sizes = ["--runs", str(runs), "--rows", str(rows), "--result", str(result)]
        status, took_s, _ = _run([*me, "--inner", MAKE, *sizes])
        if status:
            return status
        print(f"made {runs} runs of {rows:,} rows in {took_s:.1f} s", flush=True)
        status, took_s, peak_mb = _run([sys.executable, "-m", "loopwise", "report", str(result)])
        if status:
            return status
        print(f"report: {took_s:.1f} s, peak memory {peak_mb:.0f} MB", flush=True)
        return _run([*me, "--inner", PHASES, *sizes], shows=True)[0]


def _run(argv: Sequence[str], *, shows: bool = False) -> tuple[int, float, float]:
    """Run a process; return its exit status, seconds and peak memory in MB."""
    began_s = time.monotonic()
    process = subprocess.Popen(argv, stdout=None if shows else subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, time.monotonic() - began_s, usage.ru_maxrss / 1024


def _make(path: Path, runs: int, rows: int) -> int:
    from loopwise.calibrate.synthetic_result import make_result

    make_result(path, runs=runs, rows=rows)
    return 0


def _phases(path: Path) -> int:
    last_s = time.monotonic()

    def tell(part: str) -> None:
        nonlocal last_s
        now_s = time.monotonic()
        print(f"  {part:8} {now_s - last_s:5.1f} s", flush=True)
        last_s = now_s

    from loopwise.analysis.summary import summarise
    from loopwise.report.build import write_tables
    from loopwise.report.charts.specs import save
    from loopwise.report.html.report import write_report
    from loopwise.results.folder import ResultFolder

    tell("imports")
    result = ResultFolder(path)
    summary = summarise(result)
    tell("reading")
    write_tables(summary, result)
    tell("tables")
    charts = save(summary, result.charts)
    tell("charts")
    write_report(summary, charts, result.path / "report.html")
    tell("page")
    return 0


if __name__ == "__main__":
    sys.exit(main())
