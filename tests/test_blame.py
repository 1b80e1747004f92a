"""Blamed lines from what the probe found, and which apps a pass serves."""

from pathlib import Path

import pytest
from support.fakes import case_of

from loopwise.blame.findings import ProbeReport, blamed_lines, called, short_calls
from loopwise.blame.session import distinct, subjects
from loopwise.errors import UsageError


def report_of(path: Path, held_ns: int = 40_000_000) -> ProbeReport:
    spot = {"path": str(path), "line": 2, "is_app": True, "columns": [2, 2, 4, 17], "callee": None}
    spot |= {"total_ns": 30_000_000, "longest_ns": 20_000_000, "times": 2}
    calls = [
        {"call": "time.sleep", "frame": f"{path}:2:slow <- lib.py:9:f", "times": 2},
        {"call": "open", "frame": f"pathlib.py:7:open <- {path}:3:slow", "times": 4},
        {"call": "open", "frame": "pathlib.py:7:open", "times": 9},
    ]
    tally = {"held_ns": held_ns, "unseen_ns": 0, "spots": [spot], "calls": calls}
    return ProbeReport.model_validate({"endpoints": {"0": tally}, "files": {str(path): str(path)}})


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "app.py"
    path.write_text("async def slow():\n    time.sleep(1)\n    open('x')\n", encoding="utf-8")
    return path


def test_a_line_is_named_with_its_call_its_time_and_its_share(source: Path) -> None:
    (line,) = blamed_lines(report_of(source), {"0": "GET /slow"})
    assert (line.endpoint, line.line, line.function) == ("GET /slow", 2, "time.sleep")
    assert (line.total_ms, line.longest_ms, line.times, line.share) == (30, 20, 2, 0.75)


def test_a_short_call_is_named_by_the_apps_innermost_line(source: Path) -> None:
    (call,) = short_calls(report_of(source), {"0": "GET /slow"})
    assert (call.call, call.line, call.times) == ("open", 3, 4)


@pytest.mark.parametrize(
    ("text", "name"),
    [("f(1)", "f"), ("await a.b(c)", "a.b"), ("x + 1", None), ("for x in y", None)],
)
def test_only_a_call_has_a_function(text: str, name: str | None, tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    path.write_text(text, encoding="utf-8")
    assert called(str(path), [1, 1, 0, len(text)]) == name


def test_cases_that_differ_in_load_alone_are_served_once() -> None:
    assert len(distinct([case_of("a"), case_of("b")])) == 1


def test_options_of_an_app_are_refused_beside_a_suite() -> None:
    with pytest.raises(UsageError, match="go with an app"):
        subjects("quick", ["GET /"], Path(), None)
