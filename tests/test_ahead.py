"""Servers of coming runs: started in order, bounded in number, still in windows, and gone in the end."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from support.ahead import A, B, C, D, Starter, wait_for
from support.e2e import BOUND_S, until

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


def test_servers_start_in_the_order_expected_and_no_more_wait_than_may(starter: Starter) -> None:
    with Prestart(starter, depth=2) as ahead:
        ahead.expect([B, A, D, C])
        ahead.resume()
        until(lambda: len(ahead._ready) == 2)
        assert starter.begun == ["b", "a"]
        assert ahead.take(B).server is not None
        until(lambda: len(ahead._ready) == 2)
        assert starter.begun == ["b", "a", "d"]


def test_a_server_that_waits_is_taken_as_it_is_and_ends_when_its_taker_says(starter: Starter) -> None:
    with Prestart(starter, depth=1) as ahead:
        ahead.expect([A])
        ahead.resume()
        wait_for(starter, "a")
        start = ahead.take(A)
        assert start.server is not None
        assert start.server.url == "http://a"
        assert starter.threads["a"] is not threading.current_thread()
        assert starter.ended == []
        start.end()
        assert starter.ended == ["a"]
    assert (starter.begun, starter.ended) == (["a"], ["a"])


def test_taking_one_that_is_being_started_waits_for_it(starter: Starter) -> None:
    gate = starter.hold("a")
    with Prestart(starter, depth=1) as ahead:
        ahead.expect([A])
        ahead.resume()
        wait_for(starter, "a")
        taker, outcome = aside(lambda: ahead.take(A))
        assert outcome == []
        gate.set()
        assert ended(taker)
        assert outcome[0].server.url == "http://a"
        assert starter.begun == ["a"]
        outcome[0].end()


@pytest.mark.parametrize("depth", [0, 2])
def test_taking_one_that_nobody_started_starts_it_at_once(starter: Starter, depth: int) -> None:
    with Prestart(starter, depth) as ahead:
        ahead.expect([A, B])  # no start is allowed before the first go_on()
        start = ahead.take(A)
        assert starter.threads["a"] is threading.current_thread()
        start.end()
        if depth == 0:
            ahead.resume()
            ahead.suspend()
    assert starter.begun == ["a"]


@pytest.mark.parametrize(
    ("error", "raised", "sentence"),
    [
        (ServerError("it died"), ServerError, "it died"),
        (OSError(28, "No space left on device"), ServerError, "can't be started: .*No space left.*; is a "),
        (ZeroDivisionError("a defect of ours"), ZeroDivisionError, "a defect of ours"),
    ],
)
def test_the_error_of_a_start_is_raised_at_its_turn_and_only_then(
    starter: Starter, error: Exception, raised: type[Exception], sentence: str
) -> None:
    starter.errors["a"] = error
    with Prestart(starter, depth=2) as ahead:
        ahead.expect([A, B])
        ahead.resume()
        until(lambda: len(ahead._ready) == 2)
        ahead.take(B).end()
        with pytest.raises(raised, match=sentence):
            ahead.take(A)
        assert starter.ended == ["b", "a"]


@pytest.mark.parametrize("error", [ServerError("it died"), Interrupted("interrupted by SIGINT")])
def test_a_start_that_fails_while_it_is_taken_leaves_nothing(starter: Starter, error: Exception) -> None:
    starter.errors["a"] = error
    with Prestart(starter, depth=0) as ahead:
        with pytest.raises(type(error)):
            ahead.take(A)
        assert starter.ended == ["a"]


def test_a_pause_begins_no_start_until_it_is_over_and_holds_the_one_at_hand(starter: Starter) -> None:
    gate = starter.hold("a")
    with Prestart(starter, depth=2) as ahead:
        ahead.expect([A, B])
        ahead.resume()
        wait_for(starter, "a")
        ahead.suspend()
        assert starter.starts["a"].was_suspended
        holder, waited = aside(starter.starts["a"].hold)
        assert waited == []
        gate.set()
        ahead.expect([A, B, C])
        assert starter.begun == ["a"]
        ahead.resume()
        assert ended(holder)
        assert waited[0] > 0
        wait_for(starter, "b")


def test_a_start_that_failed_while_it_was_suspended_is_tried_again_at_its_turn(starter: Starter) -> None:
    gate = starter.hold("a")
    starter.errors["a"] = ServerError("it was stopped, and so it was late")
    with Prestart(starter, depth=1) as ahead:
        ahead.expect([A])
        ahead.resume()
        wait_for(starter, "a")
        ahead.suspend()
        gate.set()
        until(lambda: bool(ahead._ready))
        del starter.errors["a"]
        ahead.take(A).end()
        assert starter.begun == ["a", "a"]


def test_one_held_at_hand_is_taken_though_its_window_never_closes() -> None:
    has_begun, may_end = threading.Event(), threading.Event()

    def begin(planned: PlannedRun, start: Start) -> RunningServer:
        has_begun.set()
        assert may_end.wait(BOUND_S)
        start.hold()
        return RunningServer(f"http://{planned.case_id}")

    with Prestart(begin, depth=1) as ahead:
        ahead.expect([A])
        ahead.resume()
        assert has_begun.wait(BOUND_S)
        ahead.suspend()
        may_end.set()
        taker, outcome = aside(lambda: ahead.take(A))
        is_taken = ended(taker)
        ahead.resume()  # so that a failure ends, too
        assert is_taken
        assert outcome[0].server is not None


def test_servers_of_runs_that_come_no_more_are_ended_and_make_room(starter: Starter) -> None:
    with Prestart(starter, depth=1) as ahead:
        ahead.expect([A, B])
        ahead.resume()
        until(lambda: bool(ahead._ready))
        ahead.expect([B])
        assert starter.ended == ["a"]
        ahead.resume()
        wait_for(starter, "b")
        ahead.take(B).end()


def test_leaving_ends_all_that_wait_and_what_is_being_started(starter: Starter) -> None:
    starter.hold("b")  # hangs until its stack is closed
    with Prestart(starter, depth=3) as ahead:
        ahead.expect([A, B, C])
        ahead.resume()
        wait_for(starter, "a", "b")
    assert starter.begun == ["a", "b"]
    assert sorted(starter.ended) == ["a", "b"]
    assert not starter.threads["b"].is_alive()
