"""Case ids: unique, safe as a folder's name, and the same every time."""

import re
import string
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loopwise.model import App, Case, Endpoint, Load, Server
from loopwise.model.naming import MAX_LENGTH, assign_ids

steady = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])

SAFE = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
RESERVED_ON_WINDOWS = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?")


def case_of(**changed: Any) -> Case:
    """A plain case with some fields changed."""
    fields: dict[str, Any] = {
        "case_id": "",
        "workload": "sleep",
        "mode": "sync",
        "server": Server(),
        "endpoints": (Endpoint(),),
        "load": Load(),
    }
    return Case(**(fields | changed))


def ids_for(*cases: Case) -> list[str]:
    """The ids these cases get together."""
    return [case.case_id for case in assign_ids(cases)]


def test_keys_that_came_later_leave_the_ids_of_older_suites() -> None:
    own = {"workload": "GET /a", "mode": "own", "app": App(target="a:b", app_dir="/srv", python="/py")}
    alike = [case_of(**own, endpoints=(Endpoint(path="/a", headers=headers),)) for headers in ({}, {"X": "1"})]
    assert ids_for(*alike) == ["get-a-own-w1-uvicorn-u50-a5bb01", "get-a-own-w1-uvicorn-u50-d97696"]


def test_variables_are_in_an_id_only_where_cases_differ_in_them() -> None:
    one, two = (case_of(server=Server(env={"OMP_NUM_THREADS": str(count), "SECRET": "x"})) for count in (1, 2))
    assert ids_for(one) == ["sleep-sync-w1-uvicorn-u50"]
    assert ids_for(one, two) == [f"sleep-sync-w1-uvicorn-u50-omp-num-threads-{count}" for count in (1, 2)]
    options = case_of(server=Server(access_log=True, server_args=("--proxy-headers", "--limit-max-requests", "9")))
    assert ids_for(options) == ["sleep-sync-w1-uvicorn-u50-accesslog-proxy-headers-limit-max-requests-9"]


names = st.text(max_size=150) | st.sampled_from(["con", "com1.x", "..", "GET /items/1", "get-items-1", "ü"])
values = st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans() | names
servers = st.none() | st.builds(
    Server,
    workers=st.integers(1, 256),
    threads=st.none() | st.integers(1, 100),
    loop=st.sampled_from(["auto", "uvloop"]),
    port=st.none() | st.integers(1, 9),
)
loads = st.builds(
    Load,
    model=st.sampled_from(["closed", "open"]),
    users=st.integers(1, 3),
    rate_rps=st.floats(0.001, 1e6),
    measure_s=st.floats(0.001, 100),
    victim=st.none() | st.sampled_from(["/health", "/Health"]),
)
cases = st.builds(
    case_of,
    workload=names,
    mode=st.sampled_from(["sync", "async", "own"]),
    params=st.dictionaries(st.text(string.ascii_lowercase + "_", min_size=1, max_size=9), values, max_size=4),
    server=servers,
    load=loads,
    url=st.none() | st.sampled_from(["http://127.0.0.1:1", "http://127.0.0.1:2"]),
)


@steady
@given(st.lists(cases, max_size=8))
def test_ids_are_unique_and_safe_on_any_file_system(some: list[Case]) -> None:
    ids = ids_for(*some)
    assert len(set(ids)) == len(ids)
    for case_id in ids:
        assert SAFE.fullmatch(case_id)
        assert len(case_id) <= MAX_LENGTH
        assert not RESERVED_ON_WINDOWS.fullmatch(case_id)


@steady
@given(st.lists(cases, max_size=6))
def test_ids_do_not_depend_on_the_order_of_keys(some: list[Case]) -> None:
    def reversed_keys(table: Mapping[str, Any]) -> dict[str, Any]:
        return dict(reversed(list(table.items())))

    others = [case.model_copy(update={"params": reversed_keys(case.params)}) for case in some]
    assert ids_for(*others) == ids_for(*some)


@steady
@given(st.lists(cases, max_size=6))
def test_ids_do_not_depend_on_the_order_of_cases(some: list[Case]) -> None:
    assert sorted(ids_for(*some)) == sorted(ids_for(*reversed(some)))


@steady
@given(cases)
def test_a_duplicate_is_dropped_and_ids_stay_the_same(case: Case) -> None:
    (named,) = assign_ids([case, case])
    assert assign_ids([named]) == (named,)


@pytest.mark.parametrize(
    ("cases", "expected"),
    [
        (
            [{"load": Load(measure_s=5)}, {"load": Load(measure_s=2.5)}],
            ["sleep-sync-w1-uvicorn-u50-measure5", "sleep-sync-w1-uvicorn-u50-measure2.5"],
        ),
        (
            [{"load": Load(victim="/health")}, {}],
            ["sleep-sync-w1-uvicorn-u50-victim-health", "sleep-sync-w1-uvicorn-u50"],
        ),
        ([{"workload": "GET /v1.2/items"}], ["get-v1-2-items-sync-w1-uvicorn-u50"]),
        ([{"params": {"b": 0.5, "a": "x.y"}}], ["sleep-ax-y-b0.5-sync-w1-uvicorn-u50"]),
        ([{"server": Server(backlog=9, port=8000)}], ["sleep-sync-w1-uvicorn-u50-backlog9-port8000"]),
        ([{}, {}], ["sleep-sync-w1-uvicorn-u50"]),
    ],
)
def test_only_what_differs_is_added(cases: list[dict[str, Any]], expected: list[str]) -> None:
    assert ids_for(*(case_of(**fields) for fields in cases)) == expected


@pytest.mark.parametrize(
    "pair",
    [
        ({"workload": "GET /a-b"}, {"workload": "GET /a/b"}),
        ({"endpoints": (Endpoint(json_body=1),)}, {"endpoints": (Endpoint(json_body=2),)}),
        (
            {"app": App(target="a:b", app_dir="/old", python="/python")},
            {"app": App(target="a:b", app_dir="/new", python="/python")},
        ),
    ],
)
def test_what_a_name_cannot_tell_apart_gets_a_hash(pair: tuple[dict[str, Any], dict[str, Any]]) -> None:
    first, second = ids_for(*(case_of(**fields) for fields in pair))
    assert re.search(r"-[0-9a-f]{6}$", first)
    assert re.search(r"-[0-9a-f]{6}$", second)
    assert first[:-7] == second[:-7]


def test_an_id_that_drops_letters_gets_a_hash_of_them() -> None:
    first, second = ids_for(case_of(workload="GET /müsli")), ids_for(case_of(workload="GET /m€sli"))
    assert first[0].startswith("get-m-sli-sync-w1-uvicorn-u50-")
    assert first != second


def test_a_long_id_is_cut_in_its_subject_only() -> None:
    (case_id,) = ids_for(case_of(workload="GET /" + "items/" * 40))
    assert len(case_id) == MAX_LENGTH
    assert re.search(r"-sync-w1-uvicorn-u50-[0-9a-f]{6}$", case_id)
