"""What a suite's entries become: cases, in order, with everything resolved."""

from pathlib import Path
from typing import Any

import pytest
from support.suite import FakeTarget, ids_of, suite_file, suite_of

from loopwise.model import Endpoint
from loopwise.suite import case_factors, load_suite, make_suite

EXPANSIONS = [
    (
        'workload = "sleep"\nparams = { ms = [5, 50] }\nmode = ["sync", "async"]\nworkers = [1, 2]',
        [
            "sleep-ms5-sync-w1-uvicorn-u50",
            "sleep-ms5-sync-w2-uvicorn-u50",
            "sleep-ms5-async-w1-uvicorn-u50",
            "sleep-ms5-async-w2-uvicorn-u50",
            "sleep-ms50-sync-w1-uvicorn-u50",
            "sleep-ms50-sync-w2-uvicorn-u50",
            "sleep-ms50-async-w1-uvicorn-u50",
            "sleep-ms50-async-w2-uvicorn-u50",
        ],
    ),
    (
        'workload = ["noop", "cpu"]\nmode = "sync"\nserver = ["uvicorn", "gunicorn"]\nload = { users = [1, 2] }',
        [
            "noop-sync-w1-uvicorn-u1",
            "noop-sync-w1-uvicorn-u2",
            "noop-sync-w1-gunicorn-u1",
            "noop-sync-w1-gunicorn-u2",
            "cpu-sync-w1-uvicorn-u1",
            "cpu-sync-w1-uvicorn-u2",
            "cpu-sync-w1-gunicorn-u1",
            "cpu-sync-w1-gunicorn-u2",
        ],
    ),
    (
        'workload = "noop"\nmode = "sync"\nthreads = 80\nloop = "uvloop"\nhttp = "h11"\nlimit_concurrency = 9',
        ["noop-sync-w1-uvicorn-u50-uvloop-h11-t80-limit9"],
    ),
    (
        'workload = "noop"\nmode = "sync"\nload = { model = "open", rate_rps = [500, 0.5] }',
        ["noop-sync-w1-uvicorn-r500", "noop-sync-w1-uvicorn-r0.5"],
    ),
    (
        'workload = "noop"\nmode = "sync"\nload = { model = ["closed", "open"], users = 3, rate_rps = 7 }',
        ["noop-sync-w1-uvicorn-u3", "noop-sync-w1-uvicorn-r7"],
    ),
    (
        'workload = "noop"\nmode = "sync"\nload = { model = "open", arrivals = ["poisson", "constant"] }',
        ["noop-sync-w1-uvicorn-r100", "noop-sync-w1-uvicorn-r100-constant"],
    ),
    (
        'workload = "noop"\nmode = "sync"\nload = { think_s = [0, 0.25] }',
        ["noop-sync-w1-uvicorn-u50", "noop-sync-w1-uvicorn-u50-think0.25"],
    ),
    (
        'app = "shop:app"\nendpoint = ["GET /items/1", "POST /orders"]\nworkers = [1, 2]',
        [
            "get-items-1-own-w1-uvicorn-u50",
            "get-items-1-own-w2-uvicorn-u50",
            "post-orders-own-w1-uvicorn-u50",
            "post-orders-own-w2-uvicorn-u50",
        ],
    ),
    (
        'url = ["http://127.0.0.1:9000", "http://localhost:9001/"]\nendpoint = "/items/1"',
        ["get-items-1-own-url-u50-http-127.0.0.1-9000", "get-items-1-own-url-u50-http-localhost-9001"],
    ),
    ('url = "http://[::1]:9000"\nendpoint = "/items/1"', ["get-items-1-own-url-u50"]),
    (
        'url = "http://127.9.9.9"\nmix = [{ endpoint = "/a", weight = 3 }, { endpoint = "POST /b" }]',
        ["get-a-post-b-own-url-u50"],
    ),
    (
        'url = "http://127.9.9.9"\nname = "Shop"\nmix = [{ endpoint = "/a", weight = 3 }]',
        ["shop-own-url-u50"],
    ),
    ('scenario = "walk.py"\nworkers = 2', ["walk-own-w2-uvicorn-u50"]),
    (
        'scenario = "walk.py"\noptions = [{ tenant = "a" }, { tags = ["x"] }]',
        ["walk-own-w1-uvicorn-u50-tenant-a", "walk-own-w1-uvicorn-u50-tags-x"],
    ),
    ('app = "shop:app"\nscenario = "walk.py"', ["walk-own-w1-uvicorn-u50"]),
    ('url = "http://127.0.0.1"\nscenario = "walk.py"\nname = "stroll"', ["stroll-own-url-u50"]),
]


@pytest.mark.parametrize(("entry", "expected"), EXPANSIONS)
def test_lists_multiply_in_a_fixed_order(tmp_path: Path, entry: str, expected: list[str]) -> None:
    suite_file(tmp_path, "", "walk.py")
    assert ids_of(suite_of(tmp_path, f"[[matrix]]\n{entry}")) == expected


def test_the_order_of_keys_in_the_file_does_not_matter(tmp_path: Path) -> None:
    keys = [
        'mode = ["sync", "async"]',
        "workers = [1, 2]",
        'server = ["gunicorn", "uvicorn"]',
        'workload = "noop"',
    ]
    forwards = suite_of(tmp_path, "\n".join(["[[matrix]]", *keys]))
    backwards = suite_of(tmp_path, "\n".join(["[[matrix]]", *reversed(keys)]))
    assert forwards.cases == backwards.cases


def test_target_app_is_asked_once_about_all_workloads(tmp_path: Path) -> None:
    fake = FakeTarget()
    text = """
        [[matrix]]
        workload = "sleep"
        params = { ms = 5 }
        mode = ["async", "sync"]
        workers = [1, 2]
        [[matrix]]
        workload = "noop"
        mode = "sync"
    """
    cases = suite_of(tmp_path, text, describe=fake).cases
    assert [len(requests) for requests in fake.asked] == [3]
    assert cases[0].endpoints == (Endpoint(path="/sleep/async?ms=5"),)
    assert cases[0].cost is not None
    assert cases[0].cost.wait_ms == 5


def test_an_entrys_load_overrides_that_of_the_suite(tmp_path: Path) -> None:
    text = """
        [load]
        users = 7
        measure_s = 2
        victim = "/health"
        [[matrix]]
        workload = "noop"
        mode = "sync"
        [[matrix]]
        workload = "noop"
        mode = "sync"
        load = { model = "open", rate_rps = 9, victim = "" }
    """
    closed, opened = (case.load for case in suite_of(tmp_path, text).cases)
    assert (closed.model, closed.users, closed.measure_s, closed.victim) == ("closed", 7, 2, "/health")
    assert (opened.model, opened.rate_rps, opened.measure_s, opened.victim) == ("open", 9, 2, None)


def test_a_long_warmup_moves_the_longest_warmup(tmp_path: Path) -> None:
    text = '[load]\nwarmup_s = 40\n[[matrix]]\nworkload = "noop"\nmode = "sync"'
    assert suite_of(tmp_path, text).cases[0].load.warmup_max_s == 40


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", (3, 3)),
        ("min = 5", (5, 5)),
        ("max = 1", (1, 1)),
        ("max = 9", (3, 9)),
        ("min = 2\nmax = 4", (2, 4)),
    ],
)
def test_one_bound_of_the_replicates_moves_the_other(tmp_path: Path, text: str, expected: tuple[int, int]) -> None:
    suite = suite_of(tmp_path, f'[replicates]\n{text}\n[[matrix]]\nworkload = "noop"\nmode = "sync"')
    assert (suite.replicates.min, suite.replicates.max) == expected


def test_a_suite_without_a_name_is_called_like_its_file(tmp_path: Path) -> None:
    path = suite_file(tmp_path, '[[matrix]]\nworkload = "noop"\nmode = "sync"', "my first suite.toml")
    assert load_suite(str(path), describe=FakeTarget()).name == "my-first-suite"


def test_a_suite_made_of_a_document_leaves_the_document_alone(tmp_path: Path) -> None:
    document: dict[str, Any] = {"matrix": [{"url": "http://127.0.0.1", "endpoint": ["/a"]}]}
    suite = make_suite(document, label="try", folder=tmp_path, overrides=["matrix.endpoint=/b"])
    assert ids_of(suite) == ["get-b-own-url-u50"]
    assert document == {"matrix": [{"url": "http://127.0.0.1", "endpoint": ["/a"]}]}


def test_factors_are_flat_and_leave_out_what_does_not_apply(tmp_path: Path) -> None:
    text = '[[matrix]]\nworkload = "sleep"\nparams = { ms = 5 }\nmode = "sync"\nthreads = 80'
    factors = case_factors(suite_of(tmp_path, text).cases[0])
    expected = {
        "workload": "sleep",
        "params.ms": 5,
        "mode": "sync",
        "server": "uvicorn",
        "workers": 1,
        "threads": 80,
        "users": 50,
        "rate_rps": None,
        "endpoint": None,
        "app": None,
    }
    assert {key: factors[key] for key in expected} == expected
