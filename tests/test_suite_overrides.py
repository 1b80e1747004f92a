"""`--set KEY=VALUE`: where it goes, and how its value is read."""

from pathlib import Path
from typing import Any

import pytest
from support.suite import ids_of, sentence, suite_of

from loopwise.suite.file import Source, apply_overrides

SUITE = """
    [load]
    users = 7
    [replicates]
    min = 2
    [[matrix]]
    workload = "sleep"
    params = { ms = 5 }
    mode = "sync"
    [[matrix]]
    workload = "noop"
    mode = "sync"
"""


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ([], ["sleep-ms5-sync-w1-uvicorn-u7", "noop-sync-w1-uvicorn-u7"]),
        (["load.users=20"], ["sleep-ms5-sync-w1-uvicorn-u20", "noop-sync-w1-uvicorn-u20"]),
        (["load.users=20", "load.users=3"], ["sleep-ms5-sync-w1-uvicorn-u3", "noop-sync-w1-uvicorn-u3"]),
        (["matrix.workers=2"], ["sleep-ms5-sync-w2-uvicorn-u7", "noop-sync-w2-uvicorn-u7"]),
        (["matrix.1.workers=[2]"], ["sleep-ms5-sync-w1-uvicorn-u7", "noop-sync-w2-uvicorn-u7"]),
        (["matrix.0.params.ms=9"], ["sleep-ms9-sync-w1-uvicorn-u7", "noop-sync-w1-uvicorn-u7"]),
        (["matrix.mode=async"], ["sleep-ms5-async-w1-uvicorn-u7", "noop-async-w1-uvicorn-u7"]),
        (
            ["load.model=open", "load.rate_rps=5"],
            ["sleep-ms5-sync-w1-uvicorn-r5", "noop-sync-w1-uvicorn-r5"],
        ),
        (
            ["load.rate_rps=5", "load.model=open"],
            ["sleep-ms5-sync-w1-uvicorn-r5", "noop-sync-w1-uvicorn-r5"],
        ),
        (["matrix.1.load.users=1"], ["sleep-ms5-sync-w1-uvicorn-u7", "noop-sync-w1-uvicorn-u1"]),
        (['matrix=[{ workload = "cpu", mode = "sync" }]'], ["cpu-sync-w1-uvicorn-u7"]),
    ],
)
def test_an_override_changes_the_cases(tmp_path: Path, settings: list[str], expected: list[str]) -> None:
    assert ids_of(suite_of(tmp_path, SUITE, *settings)) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("20", 20),
        ("0.5", 0.5),
        ("true", True),
        ('"20"', "20"),
        ("[1, 2]", [1, 2]),
        ('{ mode = "sync" }', {"mode": "sync"}),
        ("GET /items/1", "GET /items/1"),
        ("/a?b=c", "/a?b=c"),
        ("", ""),
        ("1\nevil = 2", "1\nevil = 2"),
    ],
)
def test_a_value_is_toml_or_else_a_string(value: str, expected: Any) -> None:
    document: dict[str, Any] = {}
    apply_overrides(document, [f"a.b={value}"], Source(label="x", folder=Path()))
    assert document == {"a": {"b": expected}}


def test_the_baseline_can_be_taken_away(tmp_path: Path) -> None:
    text = SUITE + '    [compare]\n    baseline = { mode = "sync" }\n'
    suite = suite_of(tmp_path, text, "matrix.mode=async", "compare.baseline={}")
    assert suite.compare.baseline == {}


@pytest.mark.parametrize(
    ("setting", "fragment"),
    [
        ("load.users", "--set load.users: got no KEY=VALUE; write for example"),
        ("=3", "--set =3: got no KEY=VALUE"),
        ("load.users=0", "x.toml: load.users (from --set): got 0, allowed is 1 or more"),
        ("load.usres=5", 'load.usres (from --set): unknown key (did you mean "users"?)'),
        ("matrix.workers=0", "matrix[0].workers (from --set): got 0, allowed is 1 or more"),
        ("matrix.3.workers=1", "--set matrix.3.workers: got entry 3, the matrix has entries 0 to 0"),
        ("load.users.max=3", "--set load.users.max: load.users is 7, no table; set load.users itself"),
        ("matrix.mode=asink", 'matrix[0].mode (from --set): got "asink", allowed are async'),
    ],
)
def test_a_wrong_override_is_named_as_one(tmp_path: Path, setting: str, fragment: str) -> None:
    text = '[load]\nusers = 7\n[[matrix]]\nworkload = "sleep"\nmode = "async"'
    message = sentence(tmp_path, text, setting)
    assert fragment in message
