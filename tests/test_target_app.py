import asyncio
import os
from typing import Any

import anyio.to_thread
import pytest
from support.target import WHERE, ask

from target_app.app import create_app
from target_app.catalogue import modes_of
from target_app.modes import MODES
from target_app.process_pool import Pool, PoolUnavailableError
from target_app.workload import Answer
from target_app.workloads import WORKLOADS, cpu, json_

QUERIES: dict[str, tuple[str, ...]] = {
    "noop": ("",),
    "sleep": ("?ms=1",),
    "cpu": ("?ms=0.5",),
    "sqlite": (
        "?operation=read&rows=7&after=100",
        "?operation=write&rows=3&connection=pool&pool_size=2",
        "?operation=write&connection=shared",
        "?operation=read&connection=shared",
    ),
    "json": ("?size_kb=2", "?size_kb=40"),
    "hash": ("?size_kb=4", "?size_kb=64&algorithm=blake2b", "?size_kb=64&algorithm=zlib"),
    "mixed": ("?io_ms=1&cpu_ms=0.5",),
    "files": ("?size_kb=3", "?operation=write&size_kb=3"),
    "cache": ("?hit_ratio=0.5",) * 4,
}
"""What each route is asked, one after the other. Those that need a service are in test_target_services.py."""
ROUTES = [(name, mode) for name in QUERIES for mode in modes_of(WORKLOADS[name])]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("LOOPWISE_WORKLOADS", "LOOPWISE_MODES", "LOOPWISE_SCRATCH"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("LOOPWISE_CPU_ITERATIONS_PER_MS", "1000")
    monkeypatch.setenv("LOOPWISE_POOL_PROCESSES", "1")


def serve_only(monkeypatch: pytest.MonkeyPatch, workloads: str, modes: str) -> None:
    monkeypatch.setenv("LOOPWISE_WORKLOADS", workloads)
    monkeypatch.setenv("LOOPWISE_MODES", modes)


def expected_answer(name: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    serve_only(monkeypatch, name, "sync")
    return answers(name, "sync", *QUERIES[name])


def answers(name: str, mode: str, *queries: str) -> list[Any]:
    """What the routes answer; all must have succeeded."""
    responses = ask(create_app(), *(f"/{name}/{mode}{query}" for query in queries))
    assert {response.status_code for response in responses} == {200}, responses[0].text
    return [response.json() for response in responses]


@pytest.mark.parametrize(("name", "mode"), [route for route in ROUTES if route[1] != "process"])
def test_every_route_answers_what_its_sync_route_answers(name: str, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = expected_answer(name, monkeypatch)
    serve_only(monkeypatch, name, mode)
    assert answers(name, mode, *QUERIES[name]) == expected


def test_process_routes_answer_what_their_sync_routes_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [name for name, mode in ROUTES if mode == "process"]
    expected = {name: expected_answer(name, monkeypatch) for name in names}
    serve_only(monkeypatch, ",".join(names), "process")
    paths = [(name, f"/{name}/process{query}") for name in names for query in QUERIES[name]]
    responses = ask(create_app(), *(path for _, path in paths))
    found: dict[str, list[Any]] = {name: [] for name in names}
    for (name, _), response in zip(paths, responses, strict=True):
        found[name].append(response.json())
    assert found == expected


def test_every_workload_is_asked_here_or_needs_a_service() -> None:
    needing = {name for name, workload in WORKLOADS.items() if workload.needs(workload.params())}
    assert set(QUERIES) | needing == set(WORKLOADS)
    assert needing == {"upstream", "postgres"}


@pytest.mark.parametrize(("name", "says"), [("upstream", "LOOPWISE_UPSTREAM"), ("postgres", "LOOPWISE_POSTGRES")])
@pytest.mark.parametrize("mode", ["async", "sync"])
def test_a_service_that_is_not_there_is_a_sentence_and_503(
    name: str, says: str, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(says, raising=False)
    serve_only(monkeypatch, name, mode)
    (response,) = ask(create_app(), f"/{name}/{mode}")
    assert response.status_code == 503
    assert f"{says} is not set" in response.json()["detail"]


@pytest.mark.parametrize("mode", ["async", "sync", "blocking", "to_thread", "process"])
def test_the_json_document_itself_goes_onto_the_wire(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    serve_only(monkeypatch, "json", mode)
    (response,) = ask(create_app(), f"/json/{mode}?size_kb=16")
    document = json_.Document.model_validate_json(response.content)
    assert response.headers["content-type"] == "application/json"
    assert 16 * 1024 - 200 < len(response.content) <= 16 * 1024
    assert [item.id for item in document.items] == [f"{number:06d}" for number in range(len(document.items))]


@pytest.mark.parametrize("mode", ["async", "sync"])
def test_a_wrong_answer_fails_loudly(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("target_app.workloads.cpu.spin", lambda _iterations: 42)
    serve_only(monkeypatch, "cpu", mode)
    (response,) = ask(create_app(), f"/cpu/{mode}?iterations=9")
    assert response.status_code == 500
    assert response.json() == {"detail": f"cpu's checksum: got 42, expected {cpu.expected(9)}"}


def test_process_work_in_ms_is_the_same_work_when_the_app_calibrates_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("LOOPWISE_CPU_ITERATIONS_PER_MS")
    monkeypatch.setattr("target_app.workloads.cpu.calibrate", lambda: 321.0)
    serve_only(monkeypatch, "cpu", "process,sync")
    by_process, by_thread = ask(create_app(), "/cpu/process?ms=2", "/cpu/sync?ms=2")
    assert by_process.json()["iterations"] == 642
    assert by_process.json() == by_thread.json()
    assert "LOOPWISE_CPU_ITERATIONS_PER_MS" not in os.environ


@pytest.mark.parametrize(
    ("mode", "thread"),
    [
        ("async", "MainThread"),
        ("blocking", "MainThread"),
        ("sync", "AnyIO worker thread"),
        ("to_thread", "asyncio_0"),
    ],
)
def test_a_mode_decides_on_which_thread_the_work_runs(mode: str, thread: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOPWISE_MODES", mode)
    (response,) = ask(create_app({"where": WHERE}), f"/where/{mode}")
    assert response.json() == {"thread": thread}


def test_a_sync_request_goes_to_the_thread_pool_exactly_once(monkeypatch: pytest.MonkeyPatch) -> None:
    hops: list[Any] = []
    run_sync = anyio.to_thread.run_sync

    async def counted(function: Any, *args: Any, **options: Any) -> Any:
        hops.append(function)
        return await run_sync(function, *args, **options)

    monkeypatch.setattr(anyio.to_thread, "run_sync", counted)
    monkeypatch.setenv("LOOPWISE_MODES", "sync")
    ask(create_app({"where": WHERE}), "/where/sync")
    assert len(hops) == 1


def test_a_process_route_sends_the_sync_function_to_the_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []

    async def run(_pool: Pool, function: Any, *args: Any) -> Answer:
        sent.append(function)
        return dict(function(*args))

    async def start(_pool: Pool) -> None:
        pass

    monkeypatch.setattr(Pool, "run", run)
    monkeypatch.setattr(Pool, "start", start)
    monkeypatch.setenv("LOOPWISE_MODES", "process")
    ask(create_app({"where": WHERE}), "/where/process")
    assert sent == [WHERE.run]


def test_a_pool_that_lost_a_process_is_answered_with_503_and_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def run(_pool: Pool, _function: Any, *_args: Any) -> Answer:
        raise PoolUnavailableError("a process died; retry")

    async def start(_pool: Pool) -> None:
        pass

    monkeypatch.setattr(Pool, "run", run)
    monkeypatch.setattr(Pool, "start", start)
    monkeypatch.setenv("LOOPWISE_MODES", "process")
    (response,) = ask(create_app({"where": WHERE}), "/where/process")
    assert (response.status_code, response.json()) == (503, {"detail": "a process died; retry"})


@pytest.mark.parametrize(("modes", "started"), [("async,sync", False), ("process", True)])
def test_the_pool_starts_only_where_a_route_needs_it(
    modes: str, started: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts: list[Pool] = []

    async def start(pool: Pool) -> None:
        starts.append(pool)

    monkeypatch.setattr(Pool, "start", start)
    serve_only(monkeypatch, "noop", modes)
    ask(create_app(), "/health")
    assert bool(starts) == started


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        ("/sleep/async?ms=fast", 'ms: got "fast", allowed is a number from 0 to 60000'),
        ("/sleep/async?ms=-1", 'ms: got "-1", allowed is a number from 0 to 60000'),
        ("/sleep/async?ms=60001", 'ms: got "60001", allowed is a number from 0 to 60000'),
        ("/sleep/async?ms=nan", 'ms: got "nan", allowed is a number from 0 to 60000'),
        ("/sleep/async?s=1", "s: got an unknown parameter; sleep takes ms"),
        ("/noop/sync?ms=1", "ms: got an unknown parameter; noop takes no parameters"),
        ("/cpu/sync?ms=0", 'ms: got "0", allowed is a number from 0.01 to 60000'),
        (
            "/cpu/async?iterations=1.5",
            'iterations: got "1.5", allowed is a whole number from 1 to 1000000000',
        ),
        (
            "/cpu/sync?ms=1&iterations=9",
            "got both ms and iterations, allowed is one of the two; leave one out",
        ),
        ("/sqlite/sync?operation=drop", 'operation: got "drop", allowed is read, write'),
        ("/json/sync?size_kb=0", 'size_kb: got "0", allowed is a whole number from 1 to 10240'),
    ],
)
def test_wrong_parameters_are_answered_with_422_and_a_sentence(
    path: str, detail: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_only(monkeypatch, path.split("/")[1], "async,sync")
    (response,) = ask(create_app(), path)
    assert (response.status_code, response.json()) == (422, {"detail": detail})


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        ("/nap/async", 'workload: got "nap", allowed are noop; GET / lists what there is'),
        ("/noop/asink", 'mode: got "asink", allowed for noop are async, sync; GET / lists what there is'),
        (
            "/noop/blocking",
            'mode: got "blocking" (it does nothing that could block the event loop),'
            " allowed for noop are async, sync; GET / lists what there is",
        ),
        ("/noop", "no such path; GET / lists what there is"),
        ("/noop/sync/more", "no such path; GET / lists what there is"),
    ],
)
def test_unknown_paths_are_answered_with_404_and_what_exists(
    path: str, detail: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_only(monkeypatch, "noop", "async,sync")
    (response,) = ask(create_app(), path)
    assert (response.status_code, response.json()) == (404, {"detail": detail})


def test_the_index_lists_what_is_served_and_health_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    serve_only(monkeypatch, "noop, sleep", "blocking,sync")
    index, health = ask(create_app(), "/", "/health")
    assert {name: entry["modes"] for name, entry in index.json()["workloads"].items()} == {
        "noop": ["sync"],
        "sleep": ["sync", "blocking"],
    }
    assert list(index.json()["modes"]) == ["sync", "blocking"]
    assert health.json() == {"status": "ok"}


@pytest.mark.parametrize(
    ("workloads", "modes", "sentence"),
    [
        ("nap", "", 'LOOPWISE_WORKLOADS: got "nap", allowed are noop, sleep, cpu, sqlite, json'),
        ("", "asink", 'LOOPWISE_MODES: got "asink", allowed are async, sync, blocking, to_thread, process'),
        ("noop", "blocking", "leave no route"),
    ],
)
def test_an_environment_that_names_nothing_served_is_refused(
    workloads: str, modes: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_only(monkeypatch, workloads, modes)
    with pytest.raises(ValueError, match=sentence):
        create_app()


def test_without_restrictions_every_workload_is_served_in_each_of_its_modes() -> None:
    every_route = {f"/{name}/{mode}" for name, workload in WORKLOADS.items() for mode in modes_of(workload)}
    schema = create_app().openapi()
    assert set(schema["paths"]) == {"/", "/health", *every_route}


def test_every_workload_says_why_a_mode_is_missing_and_has_both_a_thread_and_a_coroutine_form() -> None:
    for name, workload in WORKLOADS.items():
        assert workload.name == name
        assert set(workload.lacks) <= set(MODES)
        assert {"async", "sync"} <= set(modes_of(workload))
        assert asyncio.iscoroutinefunction(workload.run_async)
        assert not asyncio.iscoroutinefunction(workload.run)
