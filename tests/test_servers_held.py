"""A first request without an answer names the worker that ended, or whose loop or GIL is held."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from loopwise.errors import EndpointError
from loopwise.servers.lifecycle import naming_held


def told(pid: int, folder: Path, ago_s: float, **line: Any) -> str:
    """The error after the last line of a worker's probe."""
    text = json.dumps({"time_ns": time.time_ns() - int(ago_s * 1e9), "stall_ms": 0.0} | line)
    (folder / f"{pid}.jsonl").write_text(text + "\n", encoding="utf-8")
    with pytest.raises(EndpointError) as caught, naming_held([pid], folder):
        raise EndpointError("GET /: no complete answer", "ask later")
    return re.sub(r"\d+(\.\d+)? s", "N s", str(caught.value).replace(str(pid), "PID"))


def ended() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.parametrize(
    ("ago_s", "stall_ms", "words"),
    [
        (0.1, 0.0, ""),
        (0.1, 900.0, ""),
        (0.1, 4_900.0, "; its event loop has been held for N s, and `blame` names the line"),
        (6.0, 0.0, "; none of its threads could run for N s (code that holds the GIL)"),
    ],
)
def test_a_living_worker_is_named_by_what_holds_it(ago_s: float, stall_ms: float, words: str, tmp_path: Path) -> None:
    told_words = words or "; ask later"
    assert told(os.getpid(), tmp_path, ago_s, stall_ms=stall_ms) == f"GET /: no complete answer{told_words}"


@pytest.mark.parametrize(("ago_s", "words"), [(0.1, ""), (6.0, " after none of its threads could run for N s")])
def test_a_worker_that_ended_is_named_with_the_silence_before(ago_s: float, words: str, tmp_path: Path) -> None:
    assert told(ended(), tmp_path, ago_s).startswith(f"GET /: no complete answer; worker PID ended meanwhile{words}")


def test_without_probes_nothing_is_added_of_a_living_worker() -> None:
    with pytest.raises(EndpointError, match=r"no complete answer; ask later$"), naming_held([os.getpid()], None):
        raise EndpointError("GET /: no complete answer", "ask later")
