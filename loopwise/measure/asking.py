"""Ask each endpoint of a suite once, without any load, to see whether the apps start and what they answer."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from loopwise.errors import EndpointError, RunError
from loopwise.measure.testbed import Serve
from loopwise.measure.written import WrittenAnswers
from loopwise.model import Case, Endpoint, Noun
from loopwise.model.factors import is_moded, is_own, is_variant
from loopwise.model.naming import patch_words
from loopwise.servers import lifecycle
from loopwise.servers.exchange import Answer
from loopwise.servers.lifecycle import RunningServer
from loopwise.servers.preparation import prepare
from loopwise.servers.services import Services
from loopwise.servers.target import calibration


class Reply(Noun):
    """Outcome of one request."""

    place: str
    """The app, the URL, or the workload and its mode."""
    endpoint: str
    status: int | None = None
    """None: no complete answer, or nothing was asked."""
    size_bytes: int | None = None
    time_ms: float | None = None
    """From connecting to the last byte; a first request, so imports and connections of the app's own are in it."""
    answered_by: str | None = None
    """The answer's header Server."""
    error: str | None = None
    """Why a run would fail before its load; None: it would not."""


Unit = tuple[Endpoint, ...]
"""An endpoint, or the steps of a journey."""
OnReply = Callable[[Reply], object]
Start = Callable[[Case], AbstractContextManager[tuple[RunningServer, Path]]]


def ask_all(cases: Sequence[Case], on_reply: OnReply = lambda _: None, serve: Serve = lifecycle.serve) -> list[Reply]:
    """Start each app once, on one worker, and ask each of its endpoints once, in the order of the cases.

    Args:
        cases: those of a suite.
        on_reply: receives each outcome as it is known.
        serve: as loopwise.servers.lifecycle.serve.
    """
    calibrated = calibration(cases)
    found = []
    with tempfile.TemporaryDirectory(prefix="loopwise-") as folder, Services(Path(folder)) as services:

        @contextmanager
        def start(case: Case) -> Iterator[tuple[RunningServer, Path]]:
            """Serve a case; gives the server and its log."""
            scratch = Path(tempfile.mkdtemp(dir=folder))
            log = scratch / "server.log"
            prepare([case], 1, log)
            with (
                services.during(case.needs, "ask") as variables,
                serve(
                    case, scratch=scratch, log=log, calibration=calibrated, services=variables, asks=False
                ) as running,
            ):
                yield running, log

        @contextmanager
        def start_written(case: Case, _log: Path) -> Iterator[RunningServer]:
            with start(case) as (running, _):
                yield running

        written = WrittenAnswers(start_written)
        merged = apps(cases)
        written.learn(case for case, _ in merged)
        for case, units in merged:
            for each in _ask(case, units, start, written):
                on_reply(each)
                found.append(each)
    return found


def apps(cases: Sequence[Case]) -> list[tuple[Case, list[Unit]]]:
    """One case for each app, URL, or workload and mode, with what is asked of it in all its cases."""
    merged: dict[str, tuple[Case, list[Unit]]] = {}
    for case in cases:
        server = case.server.model_copy(update={"workers": 1, "probe": False}) if case.server else None
        _, units = merged.setdefault(_identity(case), (case.model_copy(update={"server": server}), []))
        is_journey = any(each.step is not None for each in case.endpoints)
        own = [case.endpoints] if is_journey else [(each,) for each in case.endpoints]
        units += [unit for unit in own if unit not in units]
    return [
        (case.model_copy(update={"endpoints": tuple(each for unit in units for each in unit)}), units)
        for case, units in merged.values()
    ]


def _identity(case: Case) -> str:
    """Identify an app by its code, data and variables, however it is loaded and served."""
    apart = {"case_id", "load", "cost", "scenario", "server", *({"workload"} if is_own(case) else ())}
    apart |= set() if is_variant(case) else {"endpoints"}  # one that can't be served so stands in no other's way
    variables = case.server.model_dump_json(include={"env", "env_file"}) if case.server else ""
    return case.model_dump_json(exclude=apart) + variables


def _ask(case: Case, units: Sequence[Unit], start: Start, written: WrittenAnswers) -> Iterator[Reply]:
    """Ask each endpoint. A server that gave no answer is replaced: the next endpoint would hang in the same place."""
    left = list(units)
    try:
        while True:
            with start(case) as (running, log):
                if not left:
                    yield _no_reply(case, (), None)
                while left:
                    outcomes = list(_ask_unit(case, left.pop(0), running, log, written, is_last=not left))
                    yield from outcomes
                    if any(each.status is None for each in outcomes):
                        break
            if not left:
                return
    except RunError as error:
        yield _no_reply(case, [endpoint for unit in left for endpoint in unit], str(error))


def _ask_unit(
    case: Case, unit: Unit, running: RunningServer, log: Path, written: WrittenAnswers, *, is_last: bool
) -> Iterator[Reply]:
    """Ask an endpoint, or the steps of a journey up to one that fails."""
    values: dict[str, Any] = {}
    for endpoint in unit:
        answers: list[Answer] = []

        def note(answer: Answer, endpoint: Endpoint = endpoint, answers: list[Answer] = answers) -> None:
            answers.append(answer)
            if is_variant(case):
                written.refuse_other(case, endpoint, answer)

        try:
            with lifecycle.quoting(log, log if is_variant(case) else None):
                values |= lifecycle.check_endpoint(
                    endpoint, values, url=running.url, timeout_s=case.load.timeout_s, on_answer=note
                )
            if is_last and endpoint is unit[-1]:
                running.refuse_unused()
        except EndpointError as error:
            yield _reply(case, endpoint, answers, str(error))
            return
        yield _reply(case, endpoint, answers, None)


def _reply(case: Case, endpoint: Endpoint, answers: Sequence[Answer], error: str | None) -> Reply:
    outcome = Reply(place=_place(case), endpoint=endpoint.name, error=error)
    if not answers:
        return outcome
    answer = answers[-1]
    return outcome.model_copy(
        update={
            "status": answer.status,
            "size_bytes": len(answer.body),
            "time_ms": round(answer.duration_s * 1e3, 1),
            "answered_by": answer.server or None,
        }
    )


def _no_reply(case: Case, endpoints: Sequence[Endpoint], error: str | None) -> Reply:
    names = ", ".join(each.name for each in endpoints) or "what its Locust file asks"
    return Reply(place=_place(case), endpoint=names, error=error)


def _place(case: Case) -> str:
    if case.url is not None:
        return case.url
    if case.app is None:
        return f"{case.subject} {case.mode}"
    mode, patch = case.mode if is_moded(case) else "", patch_words(case) if case.patch else ""
    return " ".join(filter(None, (case.app.target, mode, patch)))
