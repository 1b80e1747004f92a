"""Prestarted servers: in order, bounded in number, suspended in windows, ended in the end."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from support.e2e import BOUND_S, until
from support.prestart import A, B, C, D, Starter, wait_for

from loopwise.errors import Interrupted, ServerError
from loopwise.measure.prestart import Prestart, Start
from loopwise.model import PlannedRun
from loopwise.servers.lifecycle import RunningServer


@pytest.fixture
def starter() -> Starter:
    return Starter()


def aside(action: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    """Do something in a thread of its own; its outcome is put in the list."""
    outcome: list[Any] = []
    thread = threading.Thread(target=lambda: outcome.append(action()), daemon=True)
    thread.start()
    return thread, outcome


def ended(thread: threading.Thread) -> bool:
    thread.join(BOUND_S)
    return not thread.is_alive()


def test_servers_start_in_order_and_only_so_many_wait(starter: Starter) -> None:
    with Prestart(starter, depth=2) as prestart:
        prestart.expect([B, A, D, C])
        prestart.resume()
        until(lambda: prestart.waiting == 2)
        assert starter.begun == ["b", "a"]
        assert prestart.take(B).server is not None
        until(lambda: prestart.waiting == 2)
        assert starter.begun == ["b", "a", "d"]


def test_a_waiting_server_is_taken_and_ended_by_its_taker(starter: Starter) -> None:
    with Prestart(starter, depth=1) as prestart:
        prestart.expect([A])
        prestart.resume()
        wait_for(starter, "a")
        start = prestart.take(A)
        assert start.server is not None
        assert start.server.url == "http://a"
        assert starter.threads["a"] is not threading.current_thread()
        assert starter.ended == []
        start.end()
        assert starter.ended == ["a"]
    assert (starter.begun, starter.ended) == (["a"], ["a"])


def test_taking_one_that_is_being_started_waits_for_it(starter: Starter) -> None:
    gate = starter.hold("a")
    with Prestart(starter, depth=1) as prestart:
        prestart.expect([A])
        prestart.resume()
        wait_for(starter, "a")
        taker, outcome = aside(lambda: prestart.take(A))
        assert outcome == []
        gate.set()
        assert ended(taker)
        assert outcome[0].server.url == "http://a"
        assert starter.begun == ["a"]
        outcome[0].end()


@pytest.mark.parametrize("depth", [0, 2])
def test_taking_one_that_nobody_started_starts_it_at_once(starter: Starter, depth: int) -> None:
    with Prestart(starter, depth) as prestart:
        prestart.expect([A, B])  # no start is allowed before the first go_on()
        start = prestart.take(A)
        assert starter.threads["a"] is threading.current_thread()
        start.end()
        if depth == 0:
            prestart.resume()
            prestart.suspend()
    assert starter.begun == ["a"]


@pytest.mark.parametrize(
    ("error", "raised", "sentence"),
    [
        (ServerError("it died"), ServerError, "it died"),
        (OSError(28, "No space left on device"), ServerError, "can't be started: .*No space left.*; is a "),
        (ZeroDivisionError("a defect of ours"), ZeroDivisionError, "a defect of ours"),
    ],
)
def test_the_error_of_a_start_is_raised_at_its_turn(
    starter: Starter, error: Exception, raised: type[Exception], sentence: str
) -> None:
    starter.errors["a"] = error
    with Prestart(starter, depth=2) as prestart:
        prestart.expect([A, B])
        prestart.resume()
        until(lambda: prestart.waiting == 2)
        prestart.take(B).end()
        with pytest.raises(raised, match=sentence):
            prestart.take(A)
        assert starter.ended == ["b", "a"]


@pytest.mark.parametrize("error", [ServerError("it died"), Interrupted("interrupted by SIGINT")])
def test_a_start_that_fails_while_it_is_taken_leaves_nothing(starter: Starter, error: Exception) -> None:
    starter.errors["a"] = error
    with Prestart(starter, depth=0) as prestart:
        with pytest.raises(type(error)):
            prestart.take(A)
        assert starter.ended == ["a"]


def test_while_suspended_nothing_starts_and_a_start_waits(starter: Starter) -> None:
    gate = starter.hold("a")
    with Prestart(starter, depth=2) as prestart:
        prestart.expect([A, B])
        prestart.resume()
        wait_for(starter, "a")
        prestart.suspend()
        assert starter.starts["a"].was_suspended
        holder, waited = aside(starter.starts["a"].hold)
        assert waited == []
        gate.set()
        prestart.expect([A, B, C])
        assert starter.begun == ["a"]
        prestart.resume()
        assert ended(holder)
        assert waited[0] > 0
        wait_for(starter, "b")


def test_a_start_that_failed_while_suspended_is_tried_again(starter: Starter) -> None:
    gate = starter.hold("a")
    starter.errors["a"] = ServerError("it was stopped, and so it was late")
    with Prestart(starter, depth=1) as prestart:
        prestart.expect([A])
        prestart.resume()
        wait_for(starter, "a")
        prestart.suspend()
        gate.set()
        until(lambda: prestart.waiting > 0)
        del starter.errors["a"]
        prestart.take(A).end()
        assert starter.begun == ["a", "a"]


def test_a_suspended_start_is_taken_if_its_window_never_closes() -> None:
    has_begun, may_end = threading.Event(), threading.Event()

    def begin(planned: PlannedRun, start: Start) -> RunningServer:
        has_begun.set()
        assert may_end.wait(BOUND_S)
        start.hold()
        return RunningServer(f"http://{planned.case_id}")

    with Prestart(begin, depth=1) as prestart:
        prestart.expect([A])
        prestart.resume()
        assert has_begun.wait(BOUND_S)
        prestart.suspend()
        may_end.set()
        taker, outcome = aside(lambda: prestart.take(A))
        is_taken = ended(taker)
        prestart.resume()  # so that a failure ends, too
        assert is_taken
        assert outcome[0].server is not None


def test_servers_of_runs_that_no_longer_come_are_ended(starter: Starter) -> None:
    with Prestart(starter, depth=1) as prestart:
        prestart.expect([A, B])
        prestart.resume()
        until(lambda: prestart.waiting > 0)
        prestart.expect([B])
        assert starter.ended == ["a"]
        prestart.resume()
        wait_for(starter, "b")
        prestart.take(B).end()


def test_leaving_ends_all_that_wait_and_what_is_being_started(starter: Starter) -> None:
    starter.hold("b")  # hangs until its stack is closed
    with Prestart(starter, depth=3) as prestart:
        prestart.expect([A, B, C])
        prestart.resume()
        wait_for(starter, "a", "b")
    assert starter.begun == ["a", "b"]
    assert sorted(starter.ended) == ["a", "b"]
    assert not starter.threads["b"].is_alive()
