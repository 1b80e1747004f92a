"""Rows of the requests that Locust's `request` event reports, whatever client sent them.

Times that Locust's own clients report are the user's (stamp = user): they include the generator's delay.
"""

import time
from collections.abc import Callable
from typing import Any

from gevent import GreenletExit
from locust.clients import HttpSession
from locust.contrib.fasthttp import FastHttpSession
from locust.env import Environment

from loopwise.generator.error_kinds import ErrorKind
from loopwise.generator.failures import failure_text
from loopwise.generator.recorder import USER_STAMP, Recorder
from loopwise.generator.response import StampedResponse

CLOCK_TOLERANCE_S = 3600.0
"""A start further away from the event is of another clock or in milliseconds, and is ignored."""


def record_requests(environment: Environment, recorder: Recorder) -> None:
    """Record every request that Locust's request event reports.

    Scripts may fire the event with no more than Locust documents, so that the start follows from the response time.
    """

    def on_request(
        *,
        request_type: str,
        name: str,
        response_time: float | None = None,
        response_length: int | None = None,
        exception: object = None,
        response: Any = None,
        start_time: Any = None,
        **_: Any,
    ) -> None:
        if isinstance(response, StampedResponse):
            return  # recorded by its client, with better stamps
        elapsed_ns = int((response_time or 0.0) * 1e6)
        sent_ns = _sent_ns(start_time, elapsed_ns)
        received_ns = sent_ns + elapsed_ns
        status = int(getattr(response, "status_code", 0) or 0)
        error = recorder.errors.number(failure_text(exception, status)) if exception else None
        endpoint = recorder.endpoints.number(f"{request_type} {name}")
        length = int(response_length or 0)
        recorder.append((None, sent_ns, received_ns, received_ns, endpoint, status, error, length, None, USER_STAMP))

    hook: Any = environment.events.request
    hook.add_listener(on_request)


def record_interrupted(recorder: Recorder) -> None:
    """Record requests of Locust's clients that are in flight when their user is stopped; Locust reports none of them.

    It lasts for the process's life: each run of a script has a process of its own.
    """
    sessions: list[Any] = [HttpSession, FastHttpSession]
    for session in sessions:
        session.request = _recording_interruptions(session.request, recorder)


def _recording_interruptions(request: Callable[..., Any], recorder: Recorder) -> Callable[..., Any]:
    def recorded(self: Any, method: str, url: str, name: str | None = None, *args: Any, **options: Any) -> Any:
        sent_ns = time.time_ns()
        try:
            return request(self, method, url, name, *args, **options)
        except GreenletExit:
            now_ns, error = time.time_ns(), recorder.errors.number(ErrorKind.UNFINISHED)
            endpoint = recorder.endpoints.number(f"{method} {name or self.request_name or url}")
            recorder.append((None, sent_ns, now_ns, now_ns, endpoint, 0, error, 0, None, USER_STAMP))
            raise

    return recorded


def _sent_ns(start_time: Any, elapsed_ns: int) -> int:
    """When the request was sent: as reported in seconds since the epoch, or else its response time ago."""
    now_s = time.time()
    is_reported = isinstance(start_time, int | float) and abs(now_s - start_time) < CLOCK_TOLERANCE_S
    return int(start_time * 1e9) if is_reported else int(now_s * 1e9) - elapsed_ns
