"""The truth table of every check, and what a failed one does."""

from dataclasses import replace
from typing import Any

import pytest
from support.fakes import EPOCH_NS, case_of, run_of

from loopwise.analysis.checks import CHECKS, DISTURBANCES, check, disturbance, void_reason
from loopwise.analysis.checks.facts import Facts
from loopwise.analysis.drift import Drift
from loopwise.analysis.endings import Ending
from loopwise.model import (
    Check,
    ErrorCount,
    GeneratorFigures,
    HostFigures,
    Load,
    Run,
    ScriptFigures,
    Server,
    Window,
    Worker,
)

WARM = Window(start_ns=EPOCH_NS, end_ns=EPOCH_NS + 1_000_000_000)
COLD = WARM.model_copy(update={"warm": False})
STEADY, SCRIPT = Ending(silence_s=0.005, usual_s=0.02, slowest_s=0.02), "/srv/journey.py"
RAISED = ScriptFigures(tasks=100, errors=5, first_error="KeyError: 'id'", first_error_at="journey.py:11")
CLOSED, OPEN = Load(users=10), Load(model="open", rate_rps=100)
GENERATOR = {
    "cpu_s": 0.3,
    "busiest_cpu_s": 0.3,
    "wall_s": 1.0,
    "users": 10,
    "users_wanted": 10,
    "clock_step_ms": 0.0,
    "longest_pause_s": 0.0,
}
HOST = {
    "steal_ratio": 0.0,
    "harness_pause_s": 0.1,
    "server_cpu_s": 0.5,
    "harness_cpu_s": 0.05,
    "processes_cpu_s": 0.9,
    "cores_before": 2.0,
    "cores_after": 2.0,
    "frequency_ratio": 1.0,
    "swapped_mb": 0.0,
}


def facts_of(
    load: Load = CLOSED,
    *,
    counts: dict[str, int] | None = None,
    generator: dict[str, Any] | None = None,
    host: dict[str, float] | None = None,
    window: Window = WARM,
    scenario: str | None = None,
    workers: tuple[Worker, ...] = (),
    server: dict[str, Any] | None = None,
    started: Server | None = None,
    **figures: Any,
) -> Facts:
    """A run without blemish: 10 users × 5 ms give 2000 requests a second; options replace what is named."""
    run = run_of(
        case_of("c", load=load, scenario=scenario, server=started or Server()),
        counts={"window_rows": 2000, "errors": 0} | (counts or {}),
        generator=GENERATOR | (generator or {}),
        host=HOST | (host or {}),
        window=window,
        workers=workers,
        server=server or {},
    )
    measured: dict[str, Any] = {
        "throughput_rps": 2000.0,
        "service_time_mean_ms": 5.0,
        "generator_lag_mean_ms": 0.0,
        "send_delay_p99_ms": 0.1 if load.model == "open" else None,
        "connections": 10,
        "drift": Drift(0.05, 0.1, "throughput"),
        "ending": STEADY,
    }
    return Facts(run, **(measured | figures))


def served(*requests: int | None) -> tuple[Worker, ...]:
    """Workers by what they served."""
    return tuple(Worker(pid=pid, requests=count) for pid, count in enumerate(requests, 1))


OF_A_SERVER = ("worker_idle", "worker_share", "restarted", "pool_deaths", "memory", "debug_mode")
"""Checks that need a server which we started."""
PASS, VOID, FLAG, ABSENT = "pass", "void", "flag", "absent"

TABLE: list[tuple[str, Facts, str]] = [
    ("errors", facts_of(), PASS),
    ("errors", facts_of(counts={"errors": 20}), PASS),
    ("errors", facts_of(counts={"errors": 21}), VOID),
    ("errors", facts_of(counts={"errors": 0, "window_rows": 0}), PASS),
    ("unanswered", facts_of(OPEN, counts={"window_unfinished": 20}), PASS),
    ("unanswered", facts_of(OPEN, counts={"window_unfinished": 21}), VOID),
    ("unanswered", facts_of(OPEN, counts={"window_unfinished": 5, "window_rows": 0}), VOID),
    ("unanswered", facts_of(counts={"window_unfinished": 21}), ABSENT),
    ("debug_mode", facts_of(server={"variables": {"OMP_NUM_THREADS": "1"}}), PASS),
    ("debug_mode", facts_of(server={"variables": {"PYTHONDEVMODE": "1"}}), FLAG),
    ("debug_mode", facts_of(), ABSENT),
    ("redirects", facts_of(), PASS),
    ("redirects", facts_of(redirects={("GET /items", 307): 20}), PASS),
    ("redirects", facts_of(redirects={("GET /items", 307): 21}), FLAG),
    ("redirects", facts_of(redirects={("GET /items", 307): 1500, ("GET /", 301): 499}), FLAG),
    ("redirects", facts_of(redirects={("GET /items", 307): 1500, ("GET /", 301): 500}), VOID),
    ("redirects", facts_of(scenario=SCRIPT, redirects={("GET /items", 307): 2000}), FLAG),
    ("redirects", facts_of(counts={"window_rows": 0}), ABSENT),
    ("rows", facts_of(counts={"window_rows": 20}), PASS),
    ("rows", facts_of(counts={"window_rows": 19}), FLAG),
    ("rows", facts_of(counts={"window_rows": 0}), VOID),
    ("retried", facts_of(counts={"retried": 0}), PASS),
    ("retried", facts_of(counts={"retried": 1}), FLAG),
    ("retried", facts_of(), ABSENT),
    ("script_errors", facts_of(generator={"script": ScriptFigures(tasks=100)}), PASS),
    ("script_errors", facts_of(generator={"script": RAISED}), VOID),
    ("script_errors", facts_of(Load(script_errors_allowed=0.05), generator={"script": RAISED}), PASS),
    ("script_errors", facts_of(Load(script_errors_allowed=0.04), generator={"script": RAISED}), VOID),
    ("script_errors", facts_of(generator={"script": ScriptFigures(errors=1, first_error="E: x")}), VOID),
    ("script_errors", facts_of(), ABSENT),
    ("stopped", facts_of(), PASS),
    ("stopped", facts_of(ending=Ending(0.33, 0.02)), PASS),
    ("stopped", facts_of(ending=Ending(0.34, 0.02)), VOID),
    ("stopped", facts_of(ending=Ending(1.0, 0.0)), VOID),
    ("stopped", facts_of(ending=Ending(0.6, 0.2)), PASS),
    ("stopped", facts_of(ending=Ending(0.61, 0.2)), VOID),
    ("stopped", facts_of(OPEN, ending=Ending(0.34, 0.02)), VOID),
    ("stopped", facts_of(scenario=SCRIPT, ending=Ending(0.34, 0.02)), VOID),
    ("stopped", facts_of(ending=None), ABSENT),
    ("hung", facts_of(), PASS),
    ("hung", facts_of(Load(users=20), ending=STEADY._replace(hung=1)), FLAG),
    ("hung", facts_of(Load(users=20), ending=STEADY._replace(hung=2)), VOID),
    ("hung", facts_of(scenario=SCRIPT, generator={"users_mean": 20.0}, ending=STEADY._replace(hung=1)), FLAG),
    ("hung", facts_of(scenario=SCRIPT, generator={"users_mean": 19.0}, ending=STEADY._replace(hung=1)), VOID),
    ("hung", facts_of(OPEN, ending=STEADY._replace(hung=9)), ABSENT),
    ("hung", facts_of(ending=None), ABSENT),
    ("generator_cpu", facts_of(generator={"busiest_cpu_s": 0.9}), PASS),
    ("generator_cpu", facts_of(generator={"busiest_cpu_s": 0.91}), VOID),
    ("generator_cpu", facts_of(generator={"cpu_s": 1.7, "busiest_cpu_s": 0.85}), PASS),
    ("generator_cpu", facts_of(generator={"wall_s": 0.0}), ABSENT),
    ("users", facts_of(), PASS),
    ("users", facts_of(generator={"users": 9}), VOID),
    ("users", facts_of(generator={"users": 11}), VOID),
    ("users", facts_of(scenario=SCRIPT, generator={"users": 0, "users_gone_s": 0.4}), VOID),
    ("users", facts_of(scenario=SCRIPT, generator={"users": 0, "users_gone_s": 0.0}), VOID),
    ("warm", facts_of(), PASS),
    ("warm", facts_of(window=COLD), FLAG),
    ("warm", facts_of(OPEN, window=COLD), ABSENT),
    ("littles_law", facts_of(), PASS),
    ("littles_law", facts_of(throughput_rps=2099.0), PASS),
    ("littles_law", facts_of(throughput_rps=2101.0), FLAG),
    ("littles_law", facts_of(throughput_rps=1899.0), FLAG),
    ("littles_law", facts_of(generator_lag_mean_ms=0.3), FLAG),
    ("littles_law", facts_of(Load(users=10, think_s=0.005), throughput_rps=1000.0), PASS),
    ("littles_law", facts_of(throughput_rps=1700.0, counts={"window_rows": 60}), PASS),
    ("littles_law", facts_of(OPEN, throughput_rps=5.0), ABSENT),
    ("littles_law", facts_of(throughput_rps=5.0, scenario="/srv/journey.py"), ABSENT),
    ("littles_law", facts_of(service_time_mean_ms=None), ABSENT),
    ("littles_law", facts_of(throughput_rps=5.0, scenario=SCRIPT, generator={"users_mean": 10.0}), PASS),
    ("littles_law", facts_of(throughput_rps=2099.0, scenario=SCRIPT, generator={"users_mean": 10.0}), PASS),
    ("littles_law", facts_of(throughput_rps=2101.0, scenario=SCRIPT, generator={"users_mean": 10.0}), FLAG),
    ("schedule", facts_of(OPEN, send_delay_p99_ms=5.0), PASS),
    ("schedule", facts_of(OPEN, send_delay_p99_ms=5.1), FLAG),
    ("schedule", facts_of(OPEN, send_delay_p99_ms=None), ABSENT),
    ("schedule", facts_of(CLOSED, send_delay_p99_ms=99.0), ABSENT),
    ("clock_step", facts_of(generator={"clock_step_ms": 1.0}), PASS),
    ("clock_step", facts_of(generator={"clock_step_ms": 1.1}), VOID),
    ("clock_step", facts_of(generator={"clock_step_ms": -1.1}), VOID),
    ("paused", facts_of(generator={"longest_pause_s": 0.5}), PASS),
    ("paused", facts_of(generator={"longest_pause_s": 0.51}), VOID),
    ("harness_paused", facts_of(host={"harness_pause_s": 1.0}), PASS),
    ("harness_paused", facts_of(host={"harness_pause_s": 1.1}), VOID),
    ("steal", facts_of(host={"steal_ratio": 0.1}), PASS),
    ("steal", facts_of(host={"steal_ratio": 0.11}), FLAG),
    ("connections", facts_of(), PASS),
    ("connections", facts_of(connections=11), PASS),
    ("connections", facts_of(connections=12), FLAG),
    ("connections", facts_of(connections=12, started=Server(name="gunicorn", interface="wsgi", threads=2)), FLAG),
    ("connections", facts_of(connections=12, started=Server(name="gunicorn", interface="wsgi")), PASS),
    ("connections", facts_of(connections=9), VOID),
    ("connections", facts_of(connections=None), ABSENT),
    ("connections", facts_of(Load(users=10, new_connection_per_request=True), connections=2000), ABSENT),
    ("connections", facts_of(OPEN, connections=3), ABSENT),
    ("connections", facts_of(connections=3, scenario="/srv/journey.py"), ABSENT),
    ("drift", facts_of(), PASS),
    ("drift", facts_of(drift=Drift(0.1, 0.1, "throughput")), PASS),
    ("drift", facts_of(drift=Drift(0.11, 0.1, "throughput")), FLAG),
    ("drift", facts_of(drift=Drift(-0.11, 0.1, "service time")), FLAG),
    ("drift", facts_of(drift=Drift(0.19, 0.2, "throughput")), PASS),
    ("drift", facts_of(drift=Drift(1.0, 0.1, "throughput", empty=7)), FLAG),
    ("drift", facts_of(drift=None), ABSENT),
    ("other_cpu", facts_of(), PASS),
    ("other_cpu", facts_of(host={"processes_cpu_s": 1.04}), PASS),
    ("other_cpu", facts_of(host={"processes_cpu_s": 1.06}), FLAG),
    ("other_cpu", facts_of(host={"processes_cpu_s": 0.1}), PASS),
    ("other_cpu", facts_of(host={"processes_cpu_s": 1.06}, generator={"cpu_s": 0.32}), PASS),
    ("core_count", facts_of(), PASS),
    ("core_count", facts_of(host={"cores_after": 1.0}), VOID),
    ("core_count", facts_of(host={"cores_after": 3.0}), VOID),
    ("frequency", facts_of(host={"frequency_ratio": 0.91}), PASS),
    ("frequency", facts_of(host={"frequency_ratio": 0.89}), FLAG),
    ("frequency", facts_of(host={"frequency_ratio": 1.11}), FLAG),
    ("swap", facts_of(host={"swapped_mb": 1.0}), PASS),
    ("swap", facts_of(host={"swapped_mb": 1.1}), FLAG),
    ("worker_idle", facts_of(workers=served(500, 500)), PASS),
    ("worker_idle", facts_of(workers=served(999, 1)), PASS),
    ("worker_idle", facts_of(workers=served(1000, 0)), FLAG),
    ("worker_idle", facts_of(workers=served(1000)), ABSENT),
    ("worker_idle", facts_of(workers=served(None, None)), ABSENT),
    ("worker_idle", facts_of(workers=served(0, 0)), ABSENT),
    ("worker_share", facts_of(workers=served(750, 250)), PASS),
    ("worker_share", facts_of(workers=served(751, 249)), FLAG),
    ("worker_share", facts_of(workers=served(370, 130, 250, 250)), PASS),
    ("worker_share", facts_of(workers=served(400, 100, 250, 250)), FLAG),
    ("worker_share", facts_of(workers=served(30, 9)), ABSENT),
    ("worker_share", facts_of(workers=served(1000)), ABSENT),
    ("worker_share", facts_of(workers=served(None, None)), ABSENT),
    ("restarted", facts_of(workers=served(500, 500)), PASS),
    ("restarted", facts_of(workers=(Worker(pid=1, requests=9, fate="ended"),)), VOID),
    ("restarted", facts_of(workers=(*served(9), Worker(pid=2, requests=9, fate="appeared"))), VOID),
    ("restarted", facts_of(), ABSENT),
    ("pool_deaths", facts_of(server={"pool_deaths": 0}), PASS),
    ("pool_deaths", facts_of(server={"pool_deaths": 1}), VOID),
    ("pool_deaths", facts_of(), ABSENT),
    ("memory", facts_of(host={"server_rss_growth_mb": 8.0, "server_rss_mb": 100.0}), PASS),
    ("memory", facts_of(host={"server_rss_growth_mb": 8.1, "server_rss_mb": 100.0}), FLAG),
    ("memory", facts_of(host={"server_rss_growth_mb": 50.0, "server_rss_mb": 1000.0}), PASS),
    ("memory", facts_of(host={"server_rss_growth_mb": 51.0, "server_rss_mb": 1000.0}), FLAG),
    ("memory", facts_of(), ABSENT),
]


def outcome(found: Check | None) -> str:
    if found is None:
        return ABSENT
    return PASS if found.ok else found.effect


@pytest.mark.parametrize(("name", "facts", "expected"), TABLE)
def test_a_check_passes_voids_flags_or_does_not_apply(name: str, facts: Facts, expected: str) -> None:
    assert outcome(CHECKS[name].check(facts)) == expected


def test_every_check_has_rows_for_passing_and_for_failing() -> None:
    for name in CHECKS:
        outcomes = {expected for row, _, expected in TABLE if row == name}
        assert PASS in outcomes, name
        assert outcomes & {VOID, FLAG}, name


@pytest.mark.parametrize(
    "name", ["users", "clock_step", "paused", "steal", "other_cpu", "core_count", "frequency", "swap", *OF_A_SERVER]
)
def test_a_check_without_its_figures_does_not_apply(name: str) -> None:
    bare = facts_of()
    run = bare.run.model_copy(update={"generator": GeneratorFigures(), "host": HostFigures()})
    assert CHECKS[name].check(replace(bare, run=run)) is None


@pytest.mark.parametrize(("name", "facts", "expected"), [row for row in TABLE if row[2] in {VOID, FLAG}])
def test_a_failed_check_tells_what_to_do_in_one_sentence(name: str, facts: Facts, expected: str) -> None:
    del expected
    found = next(each for each in check(facts) if each.name == name)
    assert found.detail
    assert "\n" not in found.detail
    assert any(mark in found.detail for mark in (";", "see "))


@pytest.mark.parametrize(
    ("kinds", "has_server", "sentence"),
    [
        (
            {"status_401": 9120, "refused": 3},
            True,
            "100.0 % of the requests failed: status_401 (9,120), refused (3); "
            "send what logs in, as a header or a cookie",
        ),
        ({"status_500": 5}, True, "100.0 % of the requests failed: status_500 (5); see server.log"),
        ({"reset": 5}, False, "100.0 % of the requests failed: reset (5); see the server's own log"),
        (
            {"too_many_files": 5},
            True,
            "100.0 % of the requests failed: too_many_files (5); "
            "raise the limit of open files (ulimit -n), or lower users",
        ),
        (
            {"no total": 4, "timeout": 9, "closed": 2, "tls": 1, "malformed": 1},
            True,
            "100.0 % of the requests failed: timeout (9), no total (4), closed (2), others (2); "
            "lower users or rate_rps, or raise timeout_s",
        ),
    ],
)
def test_failed_requests_are_told_by_kind(kinds: dict[str, int], has_server: bool, sentence: str) -> None:
    total = sum(kinds.values())
    facts = facts_of(counts={"errors": total, "window_rows": total})
    errors = tuple(ErrorCount(endpoint="GET /", kind=kind, count=n, requests=total) for kind, n in kinds.items())
    case = facts.run.case if has_server else facts.run.case.model_copy(update={"server": None})
    run = facts.run.model_copy(update={"errors": errors, "case": case})
    found = CHECKS["errors"].check(replace(facts, run=run))
    assert found is not None
    assert found.detail == sentence


def test_a_rate_that_was_not_reached_is_told_with_its_numbers() -> None:
    counts = {"window_rows": 36, "window_unfinished": 164}
    found = CHECKS["unanswered"].check(facts_of(OPEN, counts=counts))
    assert found is not None
    assert found.detail.startswith(
        "rate_rps = 100 was not reached: of 200 requests due in the window 36 had an outcome"
    )


def test_passed_checks_are_kept_without_a_sentence() -> None:
    found = check(facts_of())
    assert [each.name for each in found] == [
        name for name in CHECKS if name not in {"retried", "schedule", "unanswered", "script_errors", *OF_A_SERVER}
    ]
    assert all(each.ok and not each.detail for each in found)
    assert void_reason(found) is None


def test_a_failed_void_makes_a_run_invalid_and_a_flag_does_not() -> None:
    assert void_reason(check(facts_of(host={"steal_ratio": 0.5}))) is None
    sentence = void_reason(check(facts_of(host={"steal_ratio": 0.5}, generator={"users": 9})))
    assert sentence == "users: 9 of 10 users ran at the end of the window; see generator.log"


def test_a_run_that_was_not_measured_fails_no_check_by_a_crash() -> None:
    bare = Run(case=case_of("c"), replicate=1, order=1, status="failed", started_at="2026")
    found = check(Facts(bare, 0.0, None, None, None))
    assert {each.name for each in found} == {"errors", "rows"}
    assert void_reason(found) == "rows: only 0 answers came in the window; lengthen measure_s"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ({}, 0.0),
        ({"steal_ratio": 0.3}, 3.0),
        ({"steal_ratio": 0.05, "processes_cpu_s": 1.25}, 2.0),
        ({"steal_ratio": 0.3, "processes_cpu_s": 1.25}, 3.0),
        ({"frequency_ratio": 0.5, "swapped_mb": 9.0}, 0.0),
    ],
)
def test_a_run_is_as_disturbed_as_its_worst_disturbance(host: dict[str, float], expected: float) -> None:
    assert disturbance(check(facts_of(host=host))) == pytest.approx(expected)


def test_a_disturbance_only_flags_so_the_last_attempt_can_count() -> None:
    assert set(CHECKS) >= DISTURBANCES
    assert {expected for name, _, expected in TABLE if name in DISTURBANCES} <= {PASS, FLAG, ABSENT}


def test_a_script_that_always_fails_is_told_so_and_not_to_measure_longer() -> None:
    reason = void_reason(check(facts_of(counts={"window_rows": 0}, generator={"script": RAISED})))
    assert reason is not None
    assert reason.startswith(
        "script_errors: 5 exceptions in 100 executions of the script's tasks, "
        "the first: KeyError: 'id' (journey.py:11); correct the script"
    )
    assert "measure_s" not in reason


def test_a_script_that_ended_its_users_is_named_with_its_line() -> None:
    script = ScriptFigures(tasks=9, stopped_at="journey.py:7")
    gone = {"users": 0, "users_gone_s": 0.4, "script": script}
    reason = void_reason(check(facts_of(scenario=SCRIPT, generator=gone)))
    assert reason is not None
    assert "no user of 10 was left 0.4 s into the window: journey.py ended them" in reason
    assert "StopUser or StopTest in journey.py:7" in reason


def test_a_load_shape_that_ended_its_users_is_named() -> None:
    load = CLOSED.model_copy(update={"shape": "/srv/shapes.py:Steps"})
    for wanted in (10, 0):
        gone = {"users": 0, "users_wanted": wanted, "users_gone_s": 0.4}
        reason = void_reason(check(facts_of(load, generator=gone)))
        assert reason is not None
        assert "0.4 s into the window: shapes.py ended them, by a shape that returned None or 0 users" in reason


def test_what_needs_a_number_of_users_says_nothing_of_a_shape() -> None:
    load = CLOSED.model_copy(update={"shape": "/srv/shapes.py:Steps"})
    names = {each.name for each in check(facts_of(load, connections=3, throughput_rps=1.0))}
    assert not names & {"littles_law", "connections"}


def test_users_that_a_script_ended_before_the_window_are_a_flag() -> None:
    script = ScriptFigures(tasks=9, stopped_at="journey.py:7")
    steady = check(facts_of(scenario=SCRIPT, generator={"users": 9, "users_mean": 9.0, "script": script}))
    assert void_reason(steady) is None
    (users,) = (each for each in steady if each.name == "users")
    assert (users.ok, users.detail) == (
        False,
        "9 of 10 users ran: the script ended the others before the window (journey.py:7)",
    )
    fewer = check(facts_of(scenario=SCRIPT, generator={"users": 9, "users_mean": 9.4, "script": script}))
    assert (void_reason(fewer) or "").startswith("users: 9 of 10 users ran at the end of the window")


@pytest.mark.parametrize(
    ("alone_ms", "advice"),
    [
        (20_000.0, "GET /run takes 20 s alone, so set measure_s to several times that"),
        (50.0, "see server.log and generator.log"),
    ],
)
def test_a_window_shorter_than_a_single_request_is_told_by_the_time_it_takes_alone(
    alone_ms: float, advice: str
) -> None:
    facts = facts_of(ending=Ending(1.0, 0.0))
    alone = facts.run.model_copy(update={"alone_ms": {"GET /run": alone_ms, "GET /": 1.0}})
    reason = void_reason(check(replace(facts, run=alone)))
    assert reason is not None
    assert reason.endswith(f"in the window of 1.0 s; {advice}")
