"""Expand [[matrix]] entries into cases: the keys that go together, what each entry measures, its loads, the product."""

import json
import math
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from loopwise import machine
from loopwise.errors import SuiteError
from loopwise.model import LOAD_KEYS, SHAPED_KEYS, App, Case, Command, Endpoint, Load, Part, Patch, Server
from loopwise.model.factors import is_own
from loopwise.model.modes import MIX, MODES, OWN, OWN_MODES, mode_named, uses_pool
from loopwise.model.naming import assign_ids
from loopwise.servers.diffs import DiffError, patch_of
from loopwise.servers.specs import refusal
from loopwise.servers.target import Description
from loopwise.suite import locations
from loopwise.suite.copies import filled_in, named_paths, with_copies
from loopwise.suite.endpoints import journey_of, lone_endpoint, refuse_misfits
from loopwise.suite.file import Key, Source, shown
from loopwise.suite.schema import SERVER_KEYS, Entry, SuiteTable, given

Describe = Callable[[Sequence[Mapping[str, Any]]], list[Description]]
"""`target.describe`, or a fake of it in tests."""

COMMON_KEYS = ("before_replicate", "load")
REQUEST_KEYS = ("endpoint", "mix", "journey", "scenario", "options", "name")
MODE_KEYS = ("mode", "dependencies")
VARIANT_KEYS = (*MODE_KEYS, "patch")
TARGET_KEYS = tuple(key for key in SERVER_KEYS if key != "interface")
KINDS = {
    "app": ("app", "python", "app_dir", "cwd", "factory_args", "fresh", *REQUEST_KEYS, *VARIANT_KEYS, *SERVER_KEYS),
    "url": ("url", *REQUEST_KEYS),
    "workload": ("workload", "params", "mode", "features", *TARGET_KEYS),
    "scenario": ("scenario", "options", "endpoint", "name", *TARGET_KEYS),
    "mix": ("mix", "name", "features", *TARGET_KEYS),
}
"""Kind of entry, by the key that makes it -> its keys besides COMMON_KEYS. The first kind whose key is there counts."""

MAX_CASES = 10_000
"""Of a suite. More would run for weeks: a mistake in a list."""

OWN_FILES = 256
"""Files and connections that a generator or server needs besides those of the load."""

PROCESSES_PER_CORE = 4
"""Generator processes at most: one can use a whole core."""

DEFAULT_MODELS = [Load.model_fields["model"].default]

Draft = tuple[Key, Case]
"""A case without id, server and load, and the key of its entry."""


@dataclass(frozen=True)
class _Place:
    """A [[matrix]] entry, its key, and what is needed to validate it."""

    entry: Entry
    key: Key
    source: Source
    allow_remote: Collection[str]

    def error(self, name: str, sentence: str) -> SuiteError:
        return self.source.error((*self.key, name), sentence)

    def each(self, name: str) -> list[tuple[str, Key]]:
        """The values of a key, each with its own key."""
        values = getattr(self.entry, name)
        key = (*self.key, name)
        return [(value, (*key, index) if len(values) > 1 else key) for index, value in enumerate(values)]

    def draft(self, **fields: Any) -> Draft:
        common: dict[str, Any] = {"mode": OWN.name, "endpoints": ()}
        if self.entry.before_replicate is not None:
            common["before_replicate"] = Command(text=self.entry.before_replicate, folder=str(self.source.folder))
        return self.key, Case(case_id="", load=Load(), **(common | fields))


def expand(suite: SuiteTable, source: Source, *, allow_remote: Collection[str], describe: Describe) -> tuple[Case, ...]:
    """Expand all entries into cases, in the order of the file, each with its `case_id`.

    Raises:
        SuiteError: keys that don't go together, or a value that this machine or target_app refuses.
    """
    _refuse_unused_load_keys(suite, source)
    _refuse_too_many_processes(suite, source)
    drafts: list[Draft] = []
    for index, entry in enumerate(suite.matrix):
        for draft in _drafts(_Place(entry, ("matrix", index), source, allow_remote), suite):
            if len(drafts) == MAX_CASES:
                raise source.error(
                    ("matrix",), f"makes more than {MAX_CASES} cases in all; shorten its lists, or make several suites"
                )
            drafts.append(draft)
    return assign_ids(list(_described(drafts, source, describe)))


def _drafts(place: _Place, suite: SuiteTable) -> Iterator[Draft]:
    kind = _kind(place)
    servers = [None] if kind == "url" else _servers(place)
    loads = _loads(place, suite)
    for (key, case), server, load in _product(place.key, place.source, _SUBJECTS[kind](place), servers, loads):
        _refuse_too_many_files(place, load, min(suite.generator.processes, server.workers if server else math.inf))
        complete = case.model_copy(update={"server": _without_idle_pool(case, server), "load": load})
        refuse_misfits(complete, suite.generator.processes, place.key, place.source)
        yield key, complete


def _without_idle_pool(case: Case, server: Server | None) -> Server | None:
    """The server of an app without the pool's size, where the mode has no pool: such cases are the same."""
    if server is None or case.app is None or uses_pool(case):
        return server
    return server.model_copy(update={"pool_processes": None})


def _product(key: Key, source: Source, *lists: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    """Every choice of one value from each list, the last list fastest; refused before it fills the memory."""
    count = math.prod(map(len, lists))
    if count > MAX_CASES:
        raise source.error(key, f"makes {count} cases, allowed are {MAX_CASES}; shorten its lists")
    return product(*lists)


def _combinations(lists: Mapping[str, list[Any]], key: Key, source: Source) -> list[dict[str, Any]]:
    return [dict(zip(lists, values, strict=True)) for values in _product(key, source, *lists.values())]


def _kind(place: _Place) -> str:
    keys = given(place.entry)
    kind = next((kind for kind in KINDS if kind in keys), None)
    if kind is None:
        raise place.source.error(place.key, f"has none of {', '.join(KINDS)}; add the one that says what is measured")
    allowed = (*KINDS[kind], *COMMON_KEYS)
    for name in keys:
        if name in VARIANT_KEYS and kind == "url":
            raise place.error(
                name, "can't be changed of a server that already runs; remove it, or name the app that it serves by app"
            )
        if name not in allowed:
            raise place.error(
                name,
                f"can't be combined with {kind}, allowed are {', '.join(allowed)}; remove it or begin another entry",
            )
    return kind


def _servers(place: _Place) -> list[Server | None]:
    lists = {name: values for name, values in given(place.entry).items() if name in SERVER_KEYS}
    ordered = {"name" if name == "server" else name: lists[name] for name in SERVER_KEYS if name in lists}
    if "env_file" in ordered:
        ordered["env_file"] = [
            None if text is None else locations.env_file(text, key, place.source)
            for text, key in place.each("env_file")
        ]
    variables = _combinations(place.entry.env, (*place.key, "env"), place.source)
    ordered["env"] = [with_copies(place.entry, each, place.error) for each in variables]
    servers = [Server(**values) for values in _combinations(ordered, place.key, place.source)]
    for server in servers:
        if refused := refusal(server):
            raise place.error(*refused)
    return list(servers)


def _loads(place: _Place, suite: SuiteTable) -> list[Load]:
    """The entry's loads. Of [load] it takes the keys that its model knows; its own must all be known."""
    common, own = given(suite.load), given(place.entry.load)
    models = own.get("model") or common.get("model") or DEFAULT_MODELS
    key, source = (*place.key, "load"), place.source
    _refuse_keys_of_other_models(own, models, key, source)
    merged = _with_shapes(common, own, key, source)
    loads = []
    for model in models:
        # In the model's order, whatever their order in the file.
        names = [name for name in Load.model_fields if name in merged and name in LOAD_KEYS[model]]
        lists = {name: merged[name] for name in names if name != "model"}
        for values in _combinations(lists, key, source):
            loads.append(_load({**values, "model": model}, key if own else ("load",), source))
    if place.entry.scenario:
        _refuse_pace(place, loads)
    return loads


def _with_shapes(common: dict[str, Any], own: dict[str, Any], key: Key, source: Source) -> dict[str, Any]:
    """The keys of an entry's load, its own before those of [load]; shapes have absolute paths, "" is none."""
    merged = {**common, **own}
    if "shape" not in merged:
        return merged
    if any(merged["shape"]):
        if "shape" in own:
            merged = {name: value for name, value in merged.items() if name in own or name not in SHAPED_KEYS}
        for name in sorted(SHAPED_KEYS & set(merged)):
            raise source.error(
                (*(key if name in own else ("load",)), name),
                'is decided by shape; remove it, or the shape (shape = "" in an entry\'s load)',
            )
    at = (*(key if "shape" in own else ("load",)), "shape")
    return merged | {"shape": [locations.load_shape(text, at, source) if text else None for text in merged["shape"]]}


def _refuse_too_many_files(place: _Place, load: Load, processes: float) -> None:
    """Each connection is an open file of the generator, and of the server that we start."""
    name = "users" if load.model == "closed" else "max_connections"
    count, limit = getattr(load, name), machine.most_open_files()
    if math.ceil(count / processes) + OWN_FILES > limit:
        key = (*place.key, "load", name) if name in given(place.entry.load) else ("load", name)
        raise place.source.error(
            key,
            f"got {count}, but a process may open {limit:g} files here (ulimit -Hn), some {OWN_FILES} of them for "
            "itself; raise the limit, or lower the number",
        )


def _refuse_too_many_processes(suite: SuiteTable, source: Source) -> None:
    """More generator processes than a few for each core take turns, and their starts outlast any patience."""
    count, cores = suite.generator.processes, machine.cores()
    if count > PROCESSES_PER_CORE * cores:
        raise source.error(
            ("generator", "processes"),
            f"got {count}, allowed are {PROCESSES_PER_CORE * cores}, {PROCESSES_PER_CORE} for each core that this "
            "machine lets us use; lower it, or measure on a larger machine",
        )


def _refuse_unused_load_keys(suite: SuiteTable, source: Source) -> None:
    """A key of [load] must have a meaning for [load]'s own model or for some entry's."""
    common = given(suite.load)
    models = list(common.get("model") or DEFAULT_MODELS)
    for entry in suite.matrix:
        models += given(entry.load).get("model", [])
    _refuse_keys_of_other_models(common, models, ("load",), source)


def _refuse_keys_of_other_models(names: Iterable[str], models: list[str], key: Key, source: Source) -> None:
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
        raise source.error((*key, "steps"), "steps lead to ramp_to_rps, which is missing; add it or remove steps")
    values["victim"] = values.get("victim") or None
    load = Load(**values)
    _refuse_empty_window(load, key, source)
    return load


def _refuse_empty_window(load: Load, key: Key, source: Source) -> None:
    """A rate must make a request due in the window; else there is nothing to measure."""
    if load.model == "open" and load.mean_rps * load.measure_s < 1:
        raise source.error(
            (*key, "rate_rps"),
            f"got {load.mean_rps:g} a second, so that no request is due in the window of {load.measure_s:g} s; "
            "raise the rate or measure_s",
        )


def _refuse_pace(place: _Place, loads: list[Load]) -> None:
    """The users of a Locust file keep their own pace, so a rate or a pause from outside could not be kept."""
    for load in loads:
        if load.model == "open":
            raise place.error("scenario", 'needs model = "closed", for a Locust file has users; set it in this load')
        if load.shape is not None:
            raise place.error("scenario", "allows no shape in its load; put the LoadTestShape into the Locust file")
        if load.think_s:
            raise place.error("scenario", "allows no think_s; write the pause as wait_time in the Locust file")


def _workloads(place: _Place) -> list[Draft]:
    entry = place.entry
    if not entry.mode:
        raise place.error("mode", 'is missing; name the modes to compare, such as mode = ["async", "sync"]')
    _refuse_idle_pool(place, entry.mode)
    params = _combinations(entry.params, (*place.key, "params"), place.source)
    lists = (entry.workload, params, entry.mode, entry.features or [""])
    return [
        place.draft(workload=workload, params=values, mode=mode, features=features)
        for workload, values, mode, features in _product(place.key, place.source, *lists)
    ]


def _refuse_idle_pool(place: _Place, modes: Collection[str]) -> None:
    if "pool_processes" in given(place.entry) and not any(mode_named(mode).uses_pool for mode in modes):
        raise place.error("pool_processes", 'belongs to mode "process", which this entry lacks; remove it')


def _mixes(place: _Place) -> list[Draft]:
    """Several workloads of target_app as one case."""
    entry = place.entry
    parts = []
    for index, table in enumerate(entry.mix):
        key = (*place.key, "mix", index)
        if table.endpoint is not None:
            raise place.source.error(
                (*key, "endpoint"),
                "belongs to an app of your own; add app or url to the entry, or name a workload and its mode here",
            )
        for name in ("workload", "mode"):
            if getattr(table, name) is None:
                raise place.source.error((*key, name), "is missing; add it")
        parts.append(Part(**table.model_dump(exclude={"endpoint"})))
    _refuse_idle_pool(place, {part.mode for part in parts})
    name = entry.name or " + ".join(map(_part_name, parts))
    return [
        place.draft(workload=name, mode=MIX.name, parts=tuple(parts), features=features)
        for features in entry.features or [""]
    ]


def _part_name(part: Part) -> str:
    params = (f"{key}={value}" for key, value in part.params.items())
    return " ".join([str(part.weight), part.workload, *params, part.mode])


def _apps(place: _Place) -> list[Draft]:
    source = place.source
    targets = [locations.app_target(text, key, source) for text, key in place.each("app")]
    folders = [
        locations.folder(text, key, source) for text, key in place.each("app_dir") or [(".", (*place.key, "app_dir"))]
    ]
    pythons = [locations.interpreter(text, key, source) for text, key in place.each("python")]
    no_cwd: list[str | None] = [None]
    cwds = [locations.folder(text, key, source) for text, key in place.each("cwd")]
    names = list(named_paths(place.entry))
    arguments = [
        filled_in(each, names, "factory_args", place.error)
        for each in _combinations(place.entry.factory_args, (*place.key, "factory_args"), source)
    ]
    if any(arguments):
        targets = [text if text.endswith("()") else f"{text}()" for text in targets]
    fresh = locations.fresh(named_paths(place.entry), (*place.key, "fresh"), source)
    diffs, modes = _diffs(place), _own_modes(place)
    patches = {(each, folder): _patch(each, folder, source) for each, folder in product(diffs, folders)}
    lists = (targets, folders, pythons or [sys.executable], cwds or no_cwd, arguments, _requests(place), modes, diffs)
    return [
        place.draft(
            app=App(target=target, app_dir=app_dir, python=python, cwd=cwd, factory_args=args, fresh=fresh),
            patch=patches[diff, app_dir],
            **request,
            **mode,
        )
        for target, app_dir, python, cwd, args, request, mode, diff in _product(place.key, source, *lists)
    ]


@dataclass(frozen=True)
class _Diff:
    """A diff that an entry names, and its key."""

    name: str
    text: str
    key: Key


def _diffs(place: _Place) -> list[_Diff | None]:
    """The diffs of an entry; None: the app as it is written."""
    entry, key = place.entry, (*place.key, "patch")
    found: list[_Diff | None] = []
    for table, (_, at) in zip(entry.patch, place.each("patch"), strict=True):
        if table.file == "":
            found.append(None)
        elif (table.file is None) == (table.text is None):
            raise place.source.error(at, "has file and text, or none of them; keep the one that holds the diff")
        elif table.text is not None:
            found.append(_Diff(table.name or "patch", table.text, at))
        else:
            found.append(
                _Diff(table.name or str(table.file), locations.text_file(str(table.file), at, place.source), at)
            )
    if any(found) and (request := next((name for name in ("journey", "scenario") if getattr(entry, name)), None)):
        raise place.source.error(
            key, f"needs answers to compare, one by one, this entry has a {request}; name endpoints, or remove patch"
        )
    return list(dict.fromkeys(found)) or [None]


def _patch(diff: _Diff | None, app_dir: str, source: Source) -> Patch | None:
    if diff is None:
        return None
    try:
        return patch_of(diff.name, diff.text, app_dir)
    except DiffError as error:
        raise source.error(diff.key, f"{diff.name}: {error}") from None


def _own_modes(place: _Place) -> list[dict[str, Any]]:
    """Modes of an app's endpoint, and of its dependencies."""
    entry = place.entry
    modes = entry.mode or [OWN.name]
    for mode, key in place.each("mode"):
        if mode not in OWN_MODES:
            words = ": a def function that is called on the loop, as async, is what blocks" if mode in MODES else ""
            raise place.source.error(
                key, f"got {shown(mode)}, allowed of an app are {', '.join(OWN_MODES)}{words}; correct the value"
            )
    others = [mode for mode in modes if mode != OWN.name]
    if others and set(given(entry).get("interface", ())) - {"asgi"}:
        raise place.error("mode", "is that of an ASGI app's endpoint, a WSGI app runs in threads alone; remove it")
    request = next((name for name in ("mix", "journey", "scenario") if getattr(entry, name)), None)
    if others and request:
        raise place.error(
            "mode", f"is that of one endpoint, this entry has a {request}; name one by endpoint, or remove mode"
        )
    if entry.dependencies and not others:
        raise place.error("dependencies", f"belongs to a mode of {', '.join(OWN_MODES[1:])}; add mode, or remove it")
    _refuse_idle_pool(place, modes)
    kept = Case.model_fields["dependencies"].default
    pairs = ((mode, kept if mode == OWN.name else each) for mode in modes for each in entry.dependencies or [kept])
    choices = dict.fromkeys(pairs)
    return [{"mode": mode, "dependencies": each} for mode, each in choices]


def _urls(place: _Place) -> list[Draft]:
    urls = [locations.base_url(text, place.allow_remote, key, place.source) for text, key in place.each("url")]
    return [place.draft(url=url, **request) for url, request in product(urls, _requests(place))]


def _scenarios(place: _Place) -> list[Draft]:
    return [place.draft(**request) for request in _requests(place)]


_SUBJECTS: dict[str, Callable[[_Place], list[Draft]]] = {
    "app": _apps,
    "url": _urls,
    "workload": _workloads,
    "scenario": _scenarios,
    "mix": _mixes,
}


def _requests(place: _Place) -> list[dict[str, Any]]:
    """Requests to an app that is not ours: `workload`, `endpoints` and, for a Locust file, `scenario`."""
    entry = place.entry
    for name, others in (("mix", ("endpoint", "scenario")), ("journey", ("mix", "endpoint", "scenario"))):
        other = next((other for other in others if getattr(entry, other)), None)
        if getattr(entry, name) and other:
            raise place.error(name, f"can't be combined with {other}; keep one of them in this entry")
    if entry.name and not entry.mix and not entry.journey and len(entry.scenario) != 1:
        raise place.error("name", "names a mix, a journey or one scenario, this entry has none; remove it")
    tables = zip(entry.endpoint, place.each("endpoint"), strict=True)
    endpoints = tuple(lone_endpoint(table, key, place.source) for table, (_, key) in tables)
    if entry.scenario:
        paths = [locations.locust_file(text, key, place.source) for text, key in place.each("scenario")]
        return [
            {"workload": entry.name or Path(path).stem, "endpoints": endpoints, "scenario": path, "options": options}
            for path, options in product(paths, entry.options or [{}])
        ]
    if entry.options:
        raise place.error("options", "belongs to a Locust file; add scenario or remove it")
    if entry.mix:
        mixed = tuple(_mixed(place, index) for index in range(len(entry.mix)))
        return [{"workload": entry.name or " + ".join(part.name for part in mixed), "endpoints": mixed}]
    if entry.journey:
        steps = journey_of(entry.journey, (*place.key, "journey"), place.source)
        return [{"workload": entry.name or " then ".join(step.name for step in steps), "endpoints": steps}]
    if not endpoints:
        raise place.error("endpoint", 'is missing; name a request such as endpoint = "GET /items/1"')
    return [{"workload": endpoint.name, "endpoints": (endpoint,)} for endpoint in endpoints]


def _mixed(place: _Place, index: int) -> Endpoint:
    table, key = place.entry.mix[index], (*place.key, "mix", index)
    for name in ("workload", "mode", "params"):
        if name in given(table):
            raise place.source.error(
                (*key, name), "belongs to a mix without app and url; remove it, or begin another entry"
            )
    if table.endpoint is None:
        raise place.source.error((*key, "endpoint"), "is missing; add it")
    return lone_endpoint(table.endpoint, (*key, "endpoint"), place.source, weight=table.weight)


def _described(drafts: Sequence[Draft], source: Source, describe: Describe) -> Iterator[Case]:
    """Complete the drafts with paths, parameters and costs, all asked from target_app at once."""
    questions = {json.dumps(asked): asked for draft in drafts for _, asked in _questions(*draft)}
    answers = dict(zip(questions, describe(list(questions.values())), strict=True)) if questions else {}
    for entry_key, case in drafts:
        asked = _questions(entry_key, case)
        replies = [_accepted(answers[json.dumps(question)], key, source) for key, question in asked]
        yield case.model_copy(update=_from_target(case, replies)) if replies else case


def _questions(key: Key, case: Case) -> list[tuple[Key, dict[str, Any]]]:
    """The questions to target_app about each route of a case, each with the key that the answer is about."""
    if is_own(case):
        return []
    alone = Part(workload=case.workload, params=case.params, mode=case.mode)
    return [
        (
            (*key, "mix", index) if case.parts else key,
            {**part.model_dump(include={"workload", "params", "mode"}), "features": case.features},
        )
        for index, part in enumerate(case.parts or (alone,))
    ]


def _from_target(case: Case, replies: Sequence[Description]) -> dict[str, Any]:
    """Fields of a case from target_app's descriptions of its routes."""
    first, *_ = replies
    if not case.parts:
        update = first.model_dump(include={"params", "features", "needs"})
        return {**update, "cost": first.cost, "endpoints": (Endpoint(path=first.path),)}
    pairs = list(zip(case.parts, replies, strict=True))
    return {
        "features": first.features,
        "needs": tuple(dict.fromkeys(need for reply in replies for need in reply.needs)),
        "parts": tuple(part.model_copy(update={"params": reply.params, "cost": reply.cost}) for part, reply in pairs),
        "endpoints": tuple(Endpoint(path=reply.path, weight=part.weight) for part, reply in pairs),
    }


def _accepted(answer: Description, place: Key, source: Source) -> Description:
    if not answer.ok:
        # Features belong to the whole mix, not to its parts.
        key = (*(place[:2] if answer.key == "features" else place), *answer.key.split(".", 1))
        raise source.error(key, f'{answer.error}; correct the value or run "bench.py list workloads"')
    return answer
