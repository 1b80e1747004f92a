"""[[matrix]] entries to cases: which keys may stand together, what each entry measures, and the product."""

import json
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from loopwise.errors import SuiteError
from loopwise.model import App, Case, Endpoint, Load, Server
from loopwise.suite import locations
from loopwise.suite.case_ids import assign_ids
from loopwise.suite.file import Key, Source
from loopwise.suite.loads import combinations, loads_of, refuse_too_many, refuse_unused_load_keys
from loopwise.suite.schema import SERVER_KEYS, EndpointTable, Entry, SuiteTable, given
from loopwise.target import Description

Describe = Callable[[Sequence[Mapping[str, Any]]], list[Description]]
"""`target.describe`, or what stands in for it in tests."""

REQUEST_KEYS = ("endpoint", "mix", "scenario", "name")
KINDS = {
    "app": ("app", "python", "app_dir", *REQUEST_KEYS, *SERVER_KEYS),
    "url": ("url", *REQUEST_KEYS),
    "workload": ("workload", "params", "mode", *SERVER_KEYS),
    "scenario": ("scenario", "endpoint", "name", *SERVER_KEYS),
}
"""Kind of entry, named by the key that makes it -> its keys beside `load`. The first that fits counts."""


@dataclass(frozen=True)
class _Place:
    """An entry of the suite, and what is needed to judge it."""

    entry: Entry
    key: Key
    source: Source
    allow_remote: Collection[str]

    def refuse(self, name: str, sentence: str) -> SuiteError:
        return self.source.error((*self.key, name), sentence)

    def each(self, name: str) -> list[tuple[str, Key]]:
        """The values of a key, each with its own place."""
        values = getattr(self.entry, name)
        key = (*self.key, name)
        return [(value, (*key, index) if len(values) > 1 else key) for index, value in enumerate(values)]


@dataclass(frozen=True)
class _Subject:
    """What a case measures, before server and load are joined to it."""

    key: Key
    workload: str
    mode: str = "own"
    params: dict[str, Any] = field(default_factory=dict)
    app: App | None = None
    url: str | None = None
    endpoints: tuple[Endpoint, ...] = ()
    scenario: str | None = None

    @property
    def question(self) -> dict[str, Any] | None:
        """What target_app is asked about it: path, all parameters, cost."""
        if self.app or self.url or self.scenario:
            return None
        return {"workload": self.workload, "params": self.params, "mode": self.mode}


Draft = tuple[_Subject, Server | None, Load]


def expand(
    suite: SuiteTable, source: Source, *, allow_remote: Collection[str], describe: Describe
) -> tuple[Case, ...]:
    """The cases of all entries, in the order of the file, each with its `case_id`.

    Raises:
        SuiteError: keys that don't stand together, or a value that this machine or target_app refuses.
    """
    refuse_unused_load_keys(suite, source)
    drafts = [
        draft
        for index, entry in enumerate(suite.matrix)
        for draft in _drafts(_Place(entry, ("matrix", index), source, allow_remote), suite)
    ]
    return assign_ids(list(_described(drafts, source, describe)))


def _drafts(place: _Place, suite: SuiteTable) -> Iterator[Draft]:
    kind = _kind(place)
    servers = [None] if kind == "url" else _servers(place)
    loads = loads_of(place.entry, place.key, suite, place.source)
    subjects = _SUBJECTS[kind](place)
    refuse_too_many(len(subjects) * len(servers) * len(loads), place.key, place.source)
    return product(subjects, servers, loads)


def _kind(place: _Place) -> str:
    keys = given(place.entry)
    kind = next((kind for kind in KINDS if kind in keys), None)
    if kind is None:
        raise place.source.error(
            place.key, f"has none of {', '.join(KINDS)}; add the one that says what is measured"
        )
    for name in keys:
        if name not in KINDS[kind] and name != "load":
            allowed = ", ".join((*KINDS[kind], "load"))
            raise place.refuse(
                name,
                f"can't stand beside {kind}, allowed are {allowed}; remove it or begin another entry",
            )
    return kind


def _servers(place: _Place) -> list[Server | None]:
    lists = {name: values for name, values in given(place.entry).items() if name in SERVER_KEYS}
    ordered = {"name" if name == "server" else name: lists[name] for name in SERVER_KEYS if name in lists}
    return [Server(**values) for values in combinations(ordered, place.key, place.source)]


def _workloads(place: _Place) -> list[_Subject]:
    entry = place.entry
    if not entry.mode:
        raise place.refuse("mode", 'is missing; name the modes to compare, such as mode = ["async", "sync"]')
    params = list(combinations(entry.params, (*place.key, "params"), place.source))
    refuse_too_many(len(entry.workload) * len(params) * len(entry.mode), place.key, place.source)
    return [
        _Subject(key=place.key, workload=workload, params=values, mode=mode)
        for workload, values, mode in product(entry.workload, params, entry.mode)
    ]


def _apps(place: _Place) -> list[_Subject]:
    source, entry = place.source, place.entry
    targets = [locations.app_target(text, key, source) for text, key in place.each("app")]
    folders = [
        locations.folder(text, key, source)
        for text, key in place.each("app_dir") or [(".", (*place.key, "app_dir"))]
    ]
    pythons = [locations.interpreter(text, key, source) for text, key in place.each("python")]
    apps = [
        App(target=target, app_dir=app_dir, python=python)
        for target, app_dir, python in product(targets, folders, pythons or [sys.executable])
    ]
    refuse_too_many(len(apps) * max(1, len(entry.endpoint)), place.key, source)
    return [_Subject(key=place.key, app=app, **request) for app, request in product(apps, _requests(place))]


def _urls(place: _Place) -> list[_Subject]:
    urls = [
        locations.base_url(text, place.allow_remote, key, place.source) for text, key in place.each("url")
    ]
    return [_Subject(key=place.key, url=url, **request) for url, request in product(urls, _requests(place))]


def _scenarios(place: _Place) -> list[_Subject]:
    return [_Subject(key=place.key, **request) for request in _requests(place)]


_SUBJECTS: dict[str, Callable[[_Place], list[_Subject]]] = {
    "app": _apps,
    "url": _urls,
    "workload": _workloads,
    "scenario": _scenarios,
}


def _requests(place: _Place) -> list[dict[str, Any]]:
    """What is sent to somebody's own app: `workload`, `endpoints` and, for a Locust file, `scenario`."""
    entry = place.entry
    if entry.mix and (entry.endpoint or entry.scenario):
        other = "endpoint" if entry.endpoint else "scenario"
        raise place.refuse("mix", f"can't stand beside {other}; keep one of them in this entry")
    if entry.name and not entry.mix and len(entry.scenario) != 1:
        raise place.refuse("name", "names a mix or one scenario, this entry has neither; remove it")
    endpoints = tuple(_endpoint(table) for table in entry.endpoint)
    if entry.scenario:
        paths = [locations.locust_file(text, key, place.source) for text, key in place.each("scenario")]
        return [
            {"workload": entry.name or Path(path).stem, "endpoints": endpoints, "scenario": path}
            for path in paths
        ]
    if entry.mix:
        mixed = tuple(_endpoint(part.endpoint, part.weight) for part in entry.mix)
        return [{"workload": entry.name or " + ".join(part.name for part in mixed), "endpoints": mixed}]
    if not endpoints:
        raise place.refuse("endpoint", 'is missing; name a request such as endpoint = "GET /items/1"')
    return [{"workload": endpoint.name, "endpoints": (endpoint,)} for endpoint in endpoints]


def _endpoint(table: EndpointTable, weight: int = 1) -> Endpoint:
    return Endpoint(**table.model_dump(), weight=weight)


def _described(drafts: Sequence[Draft], source: Source, describe: Describe) -> Iterator[Case]:
    """The drafts as cases, their paths and costs asked from target_app in one go."""
    questions = {json.dumps(asked): asked for subject, _, _ in drafts if (asked := subject.question)}
    answers = dict(zip(questions, describe(list(questions.values())), strict=True)) if questions else {}
    for subject, server, load in drafts:
        case = Case(
            case_id="",
            workload=subject.workload,
            params=subject.params,
            mode=subject.mode,
            server=server,
            app=subject.app,
            url=subject.url,
            endpoints=subject.endpoints,
            scenario=subject.scenario,
            load=load,
        )
        if subject.question:
            answer = _accepted(answers[json.dumps(subject.question)], subject, source)
            update = {
                "params": answer.params,
                "endpoints": (Endpoint(path=answer.path),),
                "cost": answer.cost,
                "needs": answer.needs,
            }
            case = case.model_copy(update=update)
        yield case


def _accepted(answer: Description, subject: _Subject, source: Source) -> Description:
    if not answer.ok:
        key = (*subject.key, *answer.key.split(".", 1))
        raise source.error(key, f'{answer.error}; correct the value or run "bench.py list workloads"')
    return answer
