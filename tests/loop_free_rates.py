"""Rates of the pytest plugin's assertion: false alarms on healthy endpoints, and stalls found, while others compute.

    python tests/loop_free_rates.py 200

Each endpoint is asked so many times over by each client in turn, beside processes that keep every core busy.
"""

import argparse
import asyncio
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import uvloop
from fastapi import FastAPI
from fastapi.testclient import TestClient

from loopwise.pytest_plugin import Loopwise

ROOT = Path(__file__).parents[1]
STALL_S, LONGEST_MS = 0.03, 20.0
BUSY = "while True: pass"
LOOPWISE = Loopwise(ROOT)
app = FastAPI()


@app.get("/awaits")
async def awaits() -> dict[str, int]:
    await asyncio.sleep(STALL_S)
    return {"answer": 1}


@app.get("/in-a-thread")
def in_a_thread() -> dict[str, int]:
    time.sleep(STALL_S)
    return {"answer": 1}


@app.get("/serializes")
async def serializes() -> list[dict[str, int]]:
    return [{"id": number} for number in range(100)]


@app.get("/stall/sleeps")
async def sleeps() -> None:
    time.sleep(STALL_S)


@app.get("/stall/computes")
async def computes() -> None:
    end_s = time.thread_time() + STALL_S
    while time.thread_time() < end_s:
        pass


HEALTHY = ("/awaits", "/in-a-thread", "/serializes")
STALLS = ("/stall/sleeps", "/stall/computes")


def ask_app(path: str) -> None:
    """From a test without a loop."""
    LOOPWISE.assert_loop_free(app, f"GET {path}", longest_ms=LONGEST_MS)


def ask_test_client(path: str) -> None:
    """From a test with a TestClient."""
    with TestClient(app) as client:
        LOOPWISE.assert_loop_free(client, f"GET {path}", longest_ms=LONGEST_MS)


def ask_on(loop_factory: Any) -> Callable[[str], None]:
    """From a test that is a coroutine."""

    async def ask(path: str) -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            await LOOPWISE.assert_loop_free_async(client, f"GET {path}", longest_ms=LONGEST_MS)

    def run(path: str) -> None:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(ask(path))

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("times", type=int, nargs="?", default=20)
    parser.add_argument("--busy", type=int, default=os.cpu_count() or 1, help="processes that compute meanwhile")
    args = parser.parse_args()
    ways = (ask_app, ask_test_client, ask_on(asyncio.new_event_loop), ask_on(uvloop.new_event_loop))
    busy = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(args.busy)]
    try:
        for path in (*HEALTHY, *STALLS):
            held, blamed, longest_s = 0, Counter[str](), 0.0
            for number in range(args.times):
                began_s = time.monotonic()
                try:
                    ways[number % len(ways)](path)
                except AssertionError as error:
                    held += 1
                    blamed[next(iter(re.findall(r"^\S*?([\w.]+:\d+)", str(error), re.MULTILINE)), "no line")] += 1
                longest_s = max(longest_s, time.monotonic() - began_s)
            lines = ", ".join(f"{count}× {place}" for place, count in blamed.most_common(4))
            word = "found" if path in STALLS else "false alarms"
            print(f"{path:18} {word} {held} of {args.times}, at most {longest_s:.2f} s each  {lines}", flush=True)
    finally:
        for process in busy:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
