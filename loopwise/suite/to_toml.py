"""Turn cases back into TOML, and results into the command lines that repeat them."""

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any

from loopwise.model import App, Case, Endpoint, Experiment, Load, Server
from loopwise.model.factors import is_moded

_DROPPED = {"--out", "--label", "--resume"}
"""Options that a repetition must not have, since it is a result of its own."""
_REPLACED = ("matrix", "load", "compare.baseline")
"""Keys that `case_command` sets itself, in place of earlier settings."""
_HASH: dict[str, Any] = {"sha256": True}
_DERIVED: dict[str, Any] = {
    "weight": True, "step": True, "body": _HASH, "feed": _HASH, "files": {"__all__": _HASH},
}  # fmt: skip
"""Fields of an endpoint that are no keys of its table."""


def repeat_command(experiment: Experiment) -> str:
    """Return the command line that repeats a result: the recorded one, if there is one."""
    if experiment.command:
        return experiment.command
    return shlex.join(["python", "bench.py", "run", experiment.suite.name, "--seed", str(experiment.seed)])


def case_command(experiment: Experiment, case: Case) -> str:
    """Return the command line that repeats one case, with all its replicates; for a side of a duel, the whole duel.

    It is the recorded one with a matrix of one entry that describes the case completely.
    """
    command = repeat_command(experiment)
    try:
        words = shlex.split(command)
    except ValueError:  # somebody's file was edited
        return command
    if "duel" in words[:4]:
        return command
    settings = [f"matrix=[{toml(entry(case))}]", "load={}", "compare.baseline={}"]
    return shlex.join([*_kept(words), *(word for each in settings for word in ("--set", each))])


def entry(case: Case) -> dict[str, Any]:
    """Return the [[matrix]] entry whose only case this is."""
    before = {"before_replicate": case.before_replicate.text} if case.before_replicate else {}
    return {**_subject(case), **before, **_server(case), "load": _load(case.load)}


def toml(value: Any) -> str:
    """Write a value as TOML on one line."""
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_key(str(key))} = {toml(each)}" for key, each in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, str):
        # A TOML string is JSON's, which leaves one control character as it is.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value) if isinstance(value, bool) else repr(value)


def _kept(words: list[str]) -> list[str]:
    kept: list[str] = []
    left = iter(words)
    for word in left:
        name, equals, value = word.partition("=")
        if name not in {*_DROPPED, "--set"}:
            kept.append(word)
            continue
        value = value if equals else next(left, "")
        key = value.partition("=")[0].strip()
        if name == "--set" and not any(key == each or key.startswith(f"{each}.") for each in _REPLACED):
            kept += ["--set", value]
    return kept


def _subject(case: Case) -> dict[str, Any]:
    if case.app is not None:
        return {**_app(case.app, case.server), **_requests(case), **_mode(case), **_patch(case)}
    if case.url is not None:
        return {"url": case.url, **_requests(case)}
    if case.scenario is not None:
        return _requests(case)
    features = {"features": case.features} if case.features else {}
    if case.parts:
        parts = [{**part.model_dump(exclude={"cost"}), "params": _given(part.params)} for part in case.parts]
        return {"mix": parts, "name": case.workload, **features}
    params = {"params": _given(case.params)} if case.params else {}
    return {"workload": case.workload, **params, "mode": case.mode, **features}


def _app(app: App, server: Server | None) -> dict[str, Any]:
    keys: dict[str, Any] = {"app": app.target, "app_dir": app.app_dir, "python": app.python}
    if app.cwd is not None:
        keys["cwd"] = app.cwd
    if app.factory_args:
        keys["factory_args"] = {name: [value] for name, value in app.factory_args.items()}
    if app.fresh:
        env = server.env if server else {}
        is_table = all(env.get(name) == f"{{fresh.{name}}}" for name in app.fresh)
        keys["fresh"] = app.fresh if is_table else list(app.fresh.values())
    return keys


def _mode(case: Case) -> dict[str, Any]:
    """The mode of an app's endpoint, if it is not the one that it is written in."""
    if not is_moded(case):
        return {}
    return {"mode": case.mode, **({} if case.dependencies == "own" else {"dependencies": case.dependencies})}


def _patch(case: Case) -> dict[str, Any]:
    """The diff as text: its file may be gone, or another one by now."""
    return {} if case.patch is None else {"patch": {"name": case.patch.name, "text": case.patch.text}}


def _given(params: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out the parameters that are None, which TOML has no value for."""
    return {name: value for name, value in params.items() if value is not None}


def _requests(case: Case) -> dict[str, Any]:
    endpoints = [_endpoint(each) for each in case.endpoints]
    if case.scenario is not None:
        asked = {"endpoint": endpoints} if endpoints else {}
        options = {"options": case.options} if case.options else {}
        return {"scenario": case.scenario, **options, "name": case.workload, **asked}
    if case.endpoints[0].step is not None:
        return {"journey": endpoints, "name": case.workload}
    if len(endpoints) > 1:
        mix = [
            {"endpoint": table, "weight": each.weight} for table, each in zip(endpoints, case.endpoints, strict=True)
        ]
        return {"mix": mix, "name": case.workload}
    return {"endpoint": endpoints}


def _endpoint(endpoint: Endpoint) -> str | dict[str, Any]:
    table = endpoint.model_dump(exclude=_DERIVED, exclude_defaults=True)
    return endpoint.name if set(table) <= {"method", "path"} else {"path": endpoint.path, **table}


def _server(case: Case) -> dict[str, Any]:
    server = case.server
    if server is None:
        return {}
    chosen = server.model_dump(mode="json", exclude={"name", "workers"}, exclude_defaults=True)
    fresh = case.app.fresh if case.app else {}
    own = {name: value for name, value in server.env.items() if name not in fresh or value != f"{{fresh.{name}}}"}
    chosen |= {"env": own} if own else {}
    if not own:
        chosen.pop("env", None)
    return {"server": server.name, "workers": server.workers, **chosen}


def _load(load: Load) -> dict[str, Any]:
    changed = load.model_dump(include=set(load.used_keys), exclude_defaults=True)
    return {"model": load.model, **changed}


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else toml(name)
