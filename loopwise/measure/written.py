"""Answers of an app's endpoints as they are written, which are those of every variant, or nothing is measured.

Each endpoint is asked once on two fresh servers, the second time in the opposite order. Where the two answers differ,
by a clock, a random number or what was asked before, the body is volatile, and only its shape has to be the same.
"""

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loopwise.errors import EndpointError, RunError
from loopwise.model import Case, Endpoint
from loopwise.model.factors import is_moded, is_variant
from loopwise.model.modes import AS_WRITTEN, OWN
from loopwise.model.naming import patch_words
from loopwise.servers.exchange import Answer
from loopwise.servers.expectations import MISSING, json_of
from loopwise.servers.lifecycle import check_endpoint, quoting
from loopwise.servers.preparation import prepare

TIMES = 2
SHOWN_CHARACTERS = 60

Start = Callable[[Case, Path], Any]
"""Serves a case without asking its endpoints, for a `with` block, with its log in a file; gives a RunningServer."""
Known = tuple[Answer, ...] | RunError
_TYPES = {bool: "true or false", int: "a number", float: "a number", str: "a string", list: "a list", dict: "an object"}


@dataclass
class WrittenAnswers:
    """What endpoints answer as they are written, by app and endpoint."""

    start: Start
    _known: dict[tuple[str, str], Known] = field(default_factory=dict)

    def learn(self, cases: Iterable[Case]) -> None:
        """Ask the endpoints of all cases that are measured as a variant; those of an app on the same servers."""
        apps: dict[str, tuple[Case, dict[str, Endpoint]]] = {}
        for case in filter(is_variant, cases):
            app = _app(case)
            _, endpoints = apps.setdefault(app, (_as_written(case), {}))
            endpoints |= {_name(each): each for each in case.endpoints if (app, _name(each)) not in self._known}
        for app, (case, endpoints) in apps.items():
            if endpoints:
                found = self._ask(case, list(endpoints.values()))
                self._known |= {(app, name): answers for name, answers in found.items()}

    def refuse_other(self, case: Case, endpoint: Endpoint, answer: Answer) -> None:
        """Refuse an answer that the endpoint does not give as it is written.

        Raises:
            EndpointError: it is another one, or the endpoint as written gives none.
        """
        self.learn([case])
        known = self._known[_app(case), _name(endpoint)]
        if isinstance(known, RunError):
            raise EndpointError(f"{AS_WRITTEN}, {known}")
        if what := difference(known, answer):
            raise EndpointError(f"{endpoint.name} can't be measured {_variant(case)}: {what}; {_advice(case)}")

    def _ask(self, case: Case, endpoints: Sequence[Endpoint]) -> dict[str, Known]:
        answers: dict[str, list[Answer]] = {_name(each): [] for each in endpoints}
        errors: dict[str, RunError] = {}
        for number in range(TIMES):
            with tempfile.TemporaryDirectory(prefix="loopwise-") as folder:
                log = Path(folder) / "server.log"
                try:
                    prepare([case], 1, log)
                    with self.start(case, log) as running:
                        for each in endpoints[:: (-1) ** number]:
                            try:
                                with quoting(log):
                                    check_endpoint(
                                        each,
                                        {},
                                        url=running.url,
                                        timeout_s=case.load.timeout_s,
                                        on_answer=answers[_name(each)].append,
                                    )
                            except EndpointError as error:
                                errors[_name(each)] = error
                except RunError as error:
                    return dict.fromkeys(answers, error)
        return {name: errors.get(name) or tuple(found) for name, found in answers.items()}


def _as_written(case: Case) -> Case:
    assert case.server is not None
    server = case.server.model_copy(update={"workers": 1, "probe": False, "pool_processes": None})
    written = {"mode": OWN.name, "dependencies": "own", "patch": None}
    return case.model_copy(update={**written, "server": server, "endpoints": ()})


def _variant(case: Case) -> str:
    """`as sync with fix.diff`."""
    return " ".join([*([f"as {case.mode}"] if is_moded(case) else []), *([patch_words(case)] if case.patch else [])])


def _advice(case: Case) -> str:
    if case.patch is None:
        return f"leave {case.mode} out of mode"
    if is_moded(case):
        return "leave one of both out"
    return f"correct {case.patch.name}: what answers otherwise is no gain"


def _app(case: Case) -> str:
    """Identify an app by its code, data and variables, however it is served."""
    variables = case.server.model_dump_json(include={"env", "env_file"}) if case.server else ""
    return case.model_dump_json(include={"app", "before_replicate"}) + variables


def _name(endpoint: Endpoint) -> str:
    return endpoint.model_dump_json()


def difference(written: Sequence[Answer], answer: Answer) -> str:
    """Say how an answer differs from those as written; empty where it doesn't.

    Args:
        written: the first answers of fresh servers. If they differ in their bodies, shapes are compared alone.
        answer: the first one of a variant.
    """
    alike = [each for each in written if each.status == answer.status]
    if not alike:
        return f"it answered {answer.status} {answer.reason}, {AS_WRITTEN} {written[0].status} {written[0].reason}"
    if answer.content_type not in {each.content_type for each in alike}:
        return f"its answer is {answer.content_type or 'of no type'}, {AS_WRITTEN} {alike[0].content_type or 'of none'}"
    if any(each.body == answer.body for each in written):
        return ""
    before, now = [json_of(each.body) for each in alike], json_of(answer.body)
    if now is MISSING or MISSING in before:
        return "" if len({each.body for each in written}) > 1 else _bytes_differ(written[0].body, answer.body)
    is_volatile = len(alike) < len(written) or any(each != before[0] for each in before)
    return next(_values_differ("$", before, now, by_shape=is_volatile), "")


def _bytes_differ(written: bytes, now: bytes) -> str:
    at = next((at for at, pair in enumerate(zip(written, now, strict=False)) if pair[0] != pair[1]), None)
    at = min(len(written), len(now)) if at is None else at
    before, after = (repr(each[at : at + SHOWN_CHARACTERS].decode(errors="replace")) for each in (written, now))
    return f"its answer differs from byte {at + 1} on: it is {after}, {AS_WRITTEN} {before}"


def _values_differ(path: str, written: Sequence[Any], now: Any, *, by_shape: bool) -> Iterator[str]:
    """Differences of a JSON value from those as written; of volatile ones, of their shapes alone."""
    first, types = written[0], {_type(each) for each in written}
    if _type(now) not in types:
        say = _type if by_shape else _shown
        yield f"{path} is {say(now)}, {AS_WRITTEN} {say(first)}"
    elif len(types) > 1:
        return  # even its type is volatile
    elif isinstance(now, dict):
        yield from _objects_differ(path, written, now, by_shape=by_shape)
    elif isinstance(now, list):
        yield from _lists_differ(path, written, now, by_shape=by_shape)
    elif not by_shape and now != first:
        yield f"{path} is {_shown(now)}, {AS_WRITTEN} {_shown(first)}"


def _objects_differ(
    path: str, written: Sequence[dict[str, Any]], now: dict[str, Any], *, by_shape: bool
) -> Iterator[str]:
    first = written[0]
    if any(each.keys() != first.keys() for each in written):
        return  # its keys are volatile
    for key in {**first, **now}:
        if key in now and key in first:
            yield from _values_differ(f"{path}.{key}", [each[key] for each in written], now[key], by_shape=by_shape)
        else:
            yield f"{path}.{key} is {'missing' if key in first else 'added'}"


def _lists_differ(path: str, written: Sequence[list[Any]], now: list[Any], *, by_shape: bool) -> Iterator[str]:
    first = written[0]
    if len(first) != len(now) and not by_shape:
        yield f"{path} has {len(now)} elements, {AS_WRITTEN} {len(first)}"
    for number, parts in enumerate(zip(now, *written, strict=False)):
        yield from _values_differ(f"{path}[{number}]", parts[1:], parts[0], by_shape=by_shape)


def _type(value: Any) -> str:
    return _TYPES.get(type(value), "null")


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
