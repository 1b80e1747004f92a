"""Mixes of target_app's workloads, route features and the pool's size: cases, their names, and what is refused."""

from pathlib import Path

import pytest
from support.suite import FakeTarget, ids_of, sentence, suite_of

from loopwise.model.factors import case_factors
from loopwise.servers.environment import environment
from loopwise.servers.pinning import Pinning, pin

MIX = """
[[matrix]]
mix = [
  { workload = "sleep", params = { ms = 50 }, mode = "async", weight = 9 },
  { workload = "cpu", mode = "process" },
]
"""


def test_a_mix_is_one_case_with_a_route_for_each_part(tmp_path: Path) -> None:
    (case,) = suite_of(tmp_path, MIX).cases
    assert (case.workload, case.mode) == ("9 sleep ms=50 async + 1 cpu process", "mix")
    assert case.case_id == "9-sleep-ms-50-async-1-cpu-process-mix-w1-uvicorn-u50"
    assert [(each.path, each.weight) for each in case.endpoints] == [
        ("/sleep/async?ms=50", 9),
        ("/cpu/process", 1),
    ]
    assert [part.cost.wait_ms for part in case.parts if part.cost] == [50, 0]
    assert case.modes == ("async", "process")


def test_the_server_of_a_mix_serves_all_its_parts(
    tmp_path: Path,
) -> None:
    (case,) = suite_of(tmp_path, MIX + 'pool_processes = 3\nfeatures = "streaming"\nname = "both"').cases
    variables = environment(case, tmp_path, {})
    assert variables["LOOPWISE_WORKLOADS"] == "sleep,cpu"
    assert variables["LOOPWISE_MODES"] == "async,process"
    assert variables["LOOPWISE_POOL_PROCESSES"] == "3"
    assert variables["LOOPWISE_FEATURES"] == "streaming"
    assert pin(case, range(8), 1) == Pinning()
    assert case.workload == "both"


def test_features_multiply_the_cases_and_are_a_factor(tmp_path: Path) -> None:
    text = '[[matrix]]\nworkload = "noop"\nmode = "sync"\nfeatures = ["", "response_model"]\n'
    suite = suite_of(tmp_path, text + '[compare]\nbaseline = { features = "" }')
    assert ids_of(suite) == ["noop-sync-w1-uvicorn-u50", "noop-sync-response-model-w1-uvicorn-u50"]
    assert [case_factors(case)["features"] for case in suite.cases] == ["", "response_model"]


def test_target_app_is_asked_about_features_with_the_route(tmp_path: Path) -> None:
    target = FakeTarget()
    suite_of(tmp_path, MIX + 'features = "streaming"', describe=target)
    assert [asked["features"] for asked in target.asked[0]] == ["streaming", "streaming"]


REFUSED: list[tuple[str, str]] = [
    (
        '[[matrix]]\nmix = [{ endpoint = "GET /a" }]',
        "matrix[0].mix[0].endpoint: belongs to an app of your own",
    ),
    ('[[matrix]]\nmix = [{ workload = "sleep" }]', "matrix[0].mix[0].mode: is missing; add it"),
    ('[[matrix]]\nmix = [{ mode = "sync" }]', "matrix[0].mix[0].workload: is missing; add it"),
    (
        '[[matrix]]\nmix = [{ workload = "sleep", mode = "x" }]',
        'matrix[0].mix[0].mode: got "x", allowed are async, sync',
    ),
    (
        '[[matrix]]\nmix = [{ workload = "sleep", mode = "sync", params = { ms = 0 } }]',
        "matrix[0].mix[0].params.ms: got 0",
    ),
    (
        '[[matrix]]\napp = "ok:app"\nmix = [{ endpoint = "GET /a", mode = "sync" }]',
        "matrix[0].mix[0].mode: belongs to a mix without app and url",
    ),
    ('[[matrix]]\napp = "ok:app"\nmix = [{ weight = 2 }]', "matrix[0].mix[0].endpoint: is missing"),
    (
        '[[matrix]]\napp = "ok:app"\nendpoint = "/a"\npool_processes = 2',
        'matrix[0].pool_processes: belongs to mode "process"',
    ),
    (
        '[[matrix]]\napp = "ok:app"\nendpoint = "/a"\nfeatures = "streaming"',
        "matrix[0].features: can't be combined with app",
    ),
    (
        '[[matrix]]\nworkload = "sleep"\nmode = "sync"\npool_processes = 2',
        'matrix[0].pool_processes: belongs to mode "process"',
    ),
]


@pytest.mark.parametrize(("text", "fragment"), REFUSED)
def test_what_makes_no_sense_is_refused_by_its_key(tmp_path: Path, text: str, fragment: str) -> None:
    assert fragment in sentence(tmp_path, text)
