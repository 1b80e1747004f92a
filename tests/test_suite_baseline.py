"""Which case is set against which."""

import sys
from pathlib import Path

import pytest
from support.suite import sentence, suite_file, suite_of

from loopwise.suite import baseline_pairs

PAIRS = [
    ("", "{ }", []),
    (
        'workload = "noop"\nmode = ["async", "sync"]\nworkers = [1, 2]',
        '{ mode = "sync" }',
        [
            ("noop-sync-w1-uvicorn-u50", "noop-async-w1-uvicorn-u50"),
            ("noop-sync-w2-uvicorn-u50", "noop-async-w2-uvicorn-u50"),
        ],
    ),
    (
        'workload = "noop"\nmode = ["async", "sync"]\nworkers = [1, 2]',
        '{ mode = "sync", workers = 1 }',
        [
            ("noop-sync-w1-uvicorn-u50", "noop-async-w1-uvicorn-u50"),
            ("noop-sync-w1-uvicorn-u50", "noop-async-w2-uvicorn-u50"),
            ("noop-sync-w1-uvicorn-u50", "noop-sync-w2-uvicorn-u50"),
        ],
    ),
    (
        'workload = ["sleep", "noop"]\nparams = { ms = [5, 50] }\nmode = "sync"',
        "{ params.ms = 5 }",
        [
            ("sleep-ms5-sync-w1-uvicorn-u50", "sleep-ms50-sync-w1-uvicorn-u50"),
            ("noop-ms5-sync-w1-uvicorn-u50", "noop-ms50-sync-w1-uvicorn-u50"),
        ],
    ),
    (
        'workload = "noop"\nmode = "sync"\nload = { users = [1, 10] }',
        "{ users = 10 }",
        [("noop-sync-w1-uvicorn-u10", "noop-sync-w1-uvicorn-u1")],
    ),
    (
        'workload = "noop"\nmode = "sync"\nload = { model = ["open", "closed"], rate_rps = 9 }',
        '{ model = "closed" }',
        [("noop-sync-w1-uvicorn-u50", "noop-sync-w1-uvicorn-r9")],
    ),
    (
        'app = "shop:app"\nendpoint = ["/old", "/new"]',
        '{ endpoint = "GET /old" }',
        [("get-old-own-w1-uvicorn-u50", "get-new-own-w1-uvicorn-u50")],
    ),
    (
        'app = ["shop:old", "shop:new"]\nendpoint = "/"',
        '{ app = "shop:old" }',
        [("get-own-w1-uvicorn-u50-shop-old", "get-own-w1-uvicorn-u50-shop-new")],
    ),
]


WRONG_BASELINES = [
    ('{ mode = "asink" }', 'compare.baseline.mode: got "asink", the cases have "async", "sync"; take one'),
    (
        '{ mdoe = "sync" }',
        'compare.baseline.mdoe: unknown factor (did you mean "mode"?), allowed are workload',
    ),
    ("{ workers = true }", "compare.baseline.workers: got true, the cases have 1, 2"),
    ("{ params = { ms = 7 } }", "compare.baseline.params.ms: got 7, the cases have 5"),
    ('{ mode = "sync", workers = 2 }', "compare.baseline: no case has all of"),
    ("{ users = [1] }", "compare.baseline.users: got [1], the cases have 50"),
    ("{ rate_rps = 5 }", "compare.baseline.rate_rps: got 5, the cases have no value at all"),
]


@pytest.mark.parametrize(("entry", "baseline", "expected"), PAIRS)
def test_a_case_is_paired_with_the_baseline_of_its_kind(
    tmp_path: Path, entry: str, baseline: str, expected: list[tuple[str, str]]
) -> None:
    entry = entry or 'workload = "noop"\nmode = "sync"'
    suite = suite_of(tmp_path, f"[[matrix]]\n{entry}\n[compare]\nbaseline = {baseline}")
    assert baseline_pairs(suite) == expected


def test_workloads_are_compared_whatever_their_parameters(tmp_path: Path) -> None:
    text = """
        [[matrix]]
        workload = "noop"
        mode = "sync"
        [[matrix]]
        workload = "sleep"
        params = { ms = [5, 50] }
        mode = "sync"
        [compare]
        baseline = { workload = "noop" }
    """
    assert [candidate for _, candidate in baseline_pairs(suite_of(tmp_path, text))] == [
        "sleep-ms5-sync-w1-uvicorn-u50",
        "sleep-ms50-sync-w1-uvicorn-u50",
    ]


def test_requests_with_different_bodies_are_never_paired(tmp_path: Path) -> None:
    text = """
        [[matrix]]
        app = "shop:app"
        workers = [1, 2]
        endpoint = [{ path = "/a", json = { n = 1 } }, { path = "/a", json = { n = 2 } }]
        [compare]
        baseline = { workers = 1 }
    """
    suite = suite_of(tmp_path, text)
    bodies = {case.case_id: case.endpoints[0].json_body for case in suite.cases}
    pairs = baseline_pairs(suite)
    assert len(pairs) == 2
    assert all(bodies[baseline] == bodies[candidate] for baseline, candidate in pairs)


def test_a_baselines_paths_start_from_the_suites_folder(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "python").symlink_to(sys.executable)
        suite_file(tmp_path / name, "", "walk.py")
    text = """
        [[matrix]]
        app = "shop:app"
        app_dir = ["old", "new"]
        endpoint = "/"
        [compare]
        baseline = { app_dir = "old" }
    """
    suite = suite_of(tmp_path, text)
    assert baseline_pairs(suite) == [(suite.cases[0].case_id, suite.cases[1].case_id)]


@pytest.mark.parametrize(("baseline", "fragment"), WRONG_BASELINES)
def test_a_baseline_that_no_case_has_lists_what_the_cases_have(tmp_path: Path, baseline: str, fragment: str) -> None:
    text = f"""
        [[matrix]]
        workload = "sleep"
        params = {{ ms = 5 }}
        mode = "async"
        workers = [1, 2]
        [[matrix]]
        workload = "sleep"
        params = {{ ms = 5 }}
        mode = "sync"
        [compare]
        baseline = {baseline}
    """
    assert fragment in sentence(tmp_path, text)


def test_an_ambiguous_baseline_is_refused(tmp_path: Path) -> None:
    text = """
        [[matrix]]
        workload = "sleep"
        params = { ms = [5, 50] }
        mode = "sync"
        [[matrix]]
        workload = "noop"
        mode = "sync"
        [compare]
        baseline = { workload = "sleep" }
    """
    message = sentence(tmp_path, text)
    assert "both sleep-ms5-sync-w1-uvicorn-u50 and sleep-ms50-sync-w1-uvicorn-u50" in message
    assert "could be the baseline of noop-sync-w1-uvicorn-u50" in message
