"""[[matrix]] entries to cases: which keys may stand together, what each entry measures, and the product."""

import json
import math
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from loopwise.errors import SuiteError
from loopwise.model import LOAD_KEYS, App, Case, Endpoint, Load, Part, Server
from loopwise.model.naming import assign_ids
from loopwise.servers.specs import SERVERS
from loopwise.servers.target import Description
from loopwise.suite import locations
from loopwise.suite.file import Key, Source
from loopwise.suite.schema import SERVER_KEYS, EndpointTable, Entry, SuiteTable, given

Describe = Callable[[Sequence[Mapping[str, Any]]], list[Description]]
"""`target.describe`, or what stands in for it in tests."""

REQUEST_KEYS = ("endpoint", "mix", "scenario", "name")
TARGET_KEYS = ("features", *SERVER_KEYS)
APP_KEYS = tuple(key for key in SERVER_KEYS if key != "pool_processes")
KINDS = {
    "app": ("app", "python", "app_dir", *REQUEST_KEYS, *APP_KEYS),
    "url": ("url", *REQUEST_KEYS),
    "workload": ("workload", "params", "mode", *TARGET_KEYS),
    "scenario": ("scenario", "endpoint", "name", *SERVER_KEYS),
    "mix": ("mix", "name", *TARGET_KEYS),
}
"""Kind of entry, named by the key that makes it -> its keys beside `load`. The first that fits counts."""

MAX_CASES = 10_000
"""Of one entry. More would run for weeks: it is a slip in a list."""

DEFAULT_MODELS = [Load.model_fields["model"].default]


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
    features: str = ""
    parts: tuple[Part, ...] = ()
    app: App | None = None
    url: str | None = None
    endpoints: tuple[Endpoint, ...] = ()
    scenario: str | None = None

    @property
    def questions(self) -> list[tuple[Key, dict[str, Any]]]:
        """What target_app is asked about each of its routes (path, all parameters, cost), and where it stands."""
        if self.app or self.url or self.scenario:
            return []
        alone = Part(workload=self.workload, params=self.params, mode=self.mode)
        return [
            (
                (*self.key, "mix", index) if self.parts else self.key,
                {
                    "workload": part.workload,
                    "params": part.params,
                    "mode": part.mode,
                    "features": self.features,
                },
            )
            for index, part in enumerate(self.parts or (alone,))
        ]


Draft = tuple[_Subject, Server | None, Load]


def expand(
    suite: SuiteTable, source: Source, *, allow_remote: Collection[str], describe: Describe
) -> tuple[Case, ...]:
    """The cases of all entries, in the order of the file, each with its `case_id`.

    Raises:
        SuiteError: keys that don't stand together, or a value that this machine or target_app refuses.
    """
    _refuse_unused_load_keys(suite, source)
    drafts = [
        draft
        for index, entry in enumerate(suite.matrix)
        for draft in _drafts(_Place(entry, ("matrix", index), source, allow_remote), suite)
    ]
    return assign_ids(list(_described(drafts, source, describe)))


def _drafts(place: _Place, suite: SuiteTable) -> Iterator[Draft]:
    kind = _kind(place)
    servers = [None] if kind == "url" else _servers(place)
    loads = _loads(place.entry, place.key, suite, place.source)
    subjects = _SUBJECTS[kind](place)
    _refuse_too_many(len(subjects) * len(servers) * len(loads), place.key, place.source)
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
    servers = [Server(**values) for values in _combinations(ordered, place.key, place.source)]
    for server in servers:
        if refused := SERVERS[server.name].refusal(server):
            raise place.refuse(*refused)
    return list(servers)


def _combinations(lists: Mapping[str, list[Any]], key: Key, source: Source) -> Iterator[dict[str, Any]]:
    """Every choice of one value from each list, the last list running fastest."""
    count = math.prod(map(len, lists.values()))
    _refuse_too_many(count, key, source)
    return (dict(zip(lists, values, strict=True)) for values in product(*lists.values()))


def _refuse_too_many(count: int, key: Key, source: Source) -> None:
    """Stop before a product of lists fills the memory."""
    if count > MAX_CASES:
        raise source.error(key, f"makes {count} cases, allowed are {MAX_CASES}; shorten its lists")


def _loads(entry: Entry, key: Key, suite: SuiteTable, source: Source) -> list[Load]:
    """The entry's loads. Of [load] it takes the keys that its model knows; its own must all be known.

    Raises:
        SuiteError: a key of the other model, or a longest warm-up below the shortest.
    """
    common, own = given(suite.load), given(entry.load)
    models = own.get("model") or common.get("model") or DEFAULT_MODELS
    _refuse_misfits(own, models, (*key, "load"), source)
    merged = {**common, **own}
    loads = [
        _load({**values, "model": model}, (*key, "load") if own else ("load",), source)
        for model in models
        for values in _combinations(_fitting(merged, model), (*key, "load"), source)
    ]
    if entry.scenario:
        _refuse_pace(loads, (*key, "scenario"), source)
    return loads


def _refuse_unused_load_keys(suite: SuiteTable, source: Source) -> None:
    """A key of [load] must have a meaning for [load]'s own model or for some entry's.

    Raises:
        SuiteError: it has none, such as `rate_rps` where all load is closed.
    """
    common = given(suite.load)
    models = list(common.get("model") or DEFAULT_MODELS)
    for entry in suite.matrix:
        models += given(entry.load).get("model", [])
    _refuse_misfits(common, models, ("load",), source)


def _fitting(table: Mapping[str, list[Any]], model: str) -> dict[str, list[Any]]:
    """The table's keys that the model knows, in the model's order, whatever their order in the file."""
    return {
        name: table[name]
        for name in Load.model_fields
        if name in table and name in LOAD_KEYS[model] and name != "model"
    }


def _refuse_misfits(names: Iterable[str], models: list[str], key: Key, source: Source) -> None:
    for name in names:
        if not any(name in LOAD_KEYS[model] for model in models):
            model = models[0]
            other = "open" if model == "closed" else "closed"
            raise source.error(
                (*key, name),
                f'has no meaning with model = "{model}", allowed are {", ".join(sorted(LOAD_KEYS[model]))}; '
                f'remove it or set model = "{other}"',
            )


def _load(values: dict[str, Any], key: Key, source: Source) -> Load:
    warmup_s = values.get("warmup_s", Load.model_fields["warmup_s"].default)
    longest_s = values.setdefault("warmup_max_s", max(Load.model_fields["warmup_max_s"].default, warmup_s))
    if longest_s < warmup_s:
        raise source.error(
            (*key, "warmup_max_s"), f"got {longest_s:g}, allowed is warmup_s ({warmup_s:g}) or more; raise it"
        )
    if values.get("steps") is not None and values.get("ramp_to_rps") is None:
        raise source.error(
            (*key, "steps"), "steps lead to ramp_to_rps, which is missing; add it or remove steps"
        )
    values["victim"] = values.get("victim") or None
    return Load(**values)


def _refuse_pace(loads: list[Load], key: Key, source: Source) -> None:
    """A Locust file's users keep their own pace, so a rate or a pause from outside could not be kept."""
    for load in loads:
        if load.model == "open":
            raise source.error(
                key, 'needs model = "closed", for a Locust file has users; set it in this load'
            )
        if load.think_s:
            raise source.error(key, "allows no think_s; write the pause as wait_time in the Locust file")


def _workloads(place: _Place) -> list[_Subject]:
    entry = place.entry
    if not entry.mode:
        raise place.refuse("mode", 'is missing; name the modes to compare, such as mode = ["async", "sync"]')
    params = list(_combinations(entry.params, (*place.key, "params"), place.source))
    features = entry.features or [""]
    _refuse_too_many(
        len(entry.workload) * len(params) * len(entry.mode) * len(features), place.key, place.source
    )
    _refuse_idle_pool(place, entry.mode)
    return [
        _Subject(key=place.key, workload=workload, params=values, mode=mode, features=added)
        for workload, values, mode, added in product(entry.workload, params, entry.mode, features)
    ]


def _refuse_idle_pool(place: _Place, modes: Collection[str]) -> None:
    if "pool_processes" in given(place.entry) and "process" not in modes:
        raise place.refuse("pool_processes", 'belongs to mode "process", which this entry lacks; remove it')


def _mixes(place: _Place) -> list[_Subject]:
    """Several workloads of target_app as one case."""
    entry = place.entry
    parts = []
    for index, table in enumerate(entry.mix):
        if table.endpoint is not None:
            raise place.source.error(
                (*place.key, "mix", index, "endpoint"),
                "belongs to an app of one's own; name app or url beside mix, or a workload and its mode here",
            )
        for name in ("workload", "mode"):
            if getattr(table, name) is None:
                raise place.source.error((*place.key, "mix", index, name), "is missing; add it")
        parts.append(Part(**table.model_dump(exclude={"endpoint"})))
    _refuse_idle_pool(place, {part.mode for part in parts})
    label = " + ".join(
        " ".join(
            [
                str(part.weight),
                part.workload,
                *(f"{key}={value}" for key, value in part.params.items()),
                part.mode,
            ]
        )
        for part in parts
    )
    return [
        _Subject(
            key=place.key, workload=entry.name or label, mode="mix", parts=tuple(parts), features=features
        )
        for features in entry.features or [""]
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
    _refuse_too_many(len(apps) * max(1, len(entry.endpoint)), place.key, source)
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
    "mix": _mixes,
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
        mixed = tuple(_mixed(place, index) for index in range(len(entry.mix)))
        return [{"workload": entry.name or " + ".join(part.name for part in mixed), "endpoints": mixed}]
    if not endpoints:
        raise place.refuse("endpoint", 'is missing; name a request such as endpoint = "GET /items/1"')
    return [{"workload": endpoint.name, "endpoints": (endpoint,)} for endpoint in endpoints]


def _mixed(place: _Place, index: int) -> Endpoint:
    table = place.entry.mix[index]
    for name in ("workload", "mode", "params"):
        if name in given(table):
            raise place.source.error(
                (*place.key, "mix", index, name),
                "belongs to a mix without app and url; remove it, or begin another entry",
            )
    if table.endpoint is None:
        raise place.source.error((*place.key, "mix", index, "endpoint"), "is missing; add it")
    return _endpoint(table.endpoint, table.weight)


def _endpoint(table: EndpointTable, weight: int = 1) -> Endpoint:
    return Endpoint(**table.model_dump(), weight=weight)


def _described(drafts: Sequence[Draft], source: Source, describe: Describe) -> Iterator[Case]:
    """The drafts as cases, their paths and costs asked from target_app in one go."""
    questions = {json.dumps(asked): asked for subject, _, _ in drafts for _, asked in subject.questions}
    answers = dict(zip(questions, describe(list(questions.values())), strict=True)) if questions else {}
    for subject, server, load in drafts:
        case = Case(
            case_id="",
            workload=subject.workload,
            params=subject.params,
            mode=subject.mode,
            features=subject.features,
            server=server,
            app=subject.app,
            url=subject.url,
            endpoints=subject.endpoints,
            scenario=subject.scenario,
            load=load,
        )
        told = [_accepted(answers[json.dumps(asked)], key, source) for key, asked in subject.questions]
        yield case.model_copy(update=_from_target(subject, told)) if told else case


def _from_target(subject: _Subject, told: Sequence[Description]) -> dict[str, Any]:
    """What target_app says of a case's routes, as fields of Case."""
    if not subject.parts:
        (answer,) = told
        endpoints = (Endpoint(path=answer.path),)
        update: dict[str, Any] = {"params": answer.params, "endpoints": endpoints, "cost": answer.cost}
        return update | {"features": answer.features, "needs": answer.needs}
    pairs = list(zip(subject.parts, told, strict=True))
    return {
        "features": told[0].features,
        "needs": tuple(dict.fromkeys(need for answer in told for need in answer.needs)),
        "parts": tuple(
            part.model_copy(update={"params": answer.params, "cost": answer.cost}) for part, answer in pairs
        ),
        "endpoints": tuple(Endpoint(path=answer.path, weight=part.weight) for part, answer in pairs),
    }


def _accepted(answer: Description, place: Key, source: Source) -> Description:
    if not answer.ok:
        # The features stand beside the mix, not in its parts.
        key = (*(place[:2] if answer.key == "features" else place), *answer.key.split(".", 1))
        raise source.error(key, f'{answer.error}; correct the value or run "bench.py list workloads"')
    return answer
