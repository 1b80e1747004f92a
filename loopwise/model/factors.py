"""The factors that cases of a suite differ in, and the baseline of each case."""

import json
from collections.abc import Mapping
from typing import Any

from loopwise.model.modes import OWN
from loopwise.model.suite import LOAD_KEYS, Case, Server, Suite

BELONG_TO = {
    "workload": ("params.", "endpoint"),
    "endpoint": ("workload",),
    "scenario": ("workload", "options"),
    "mode": ("dependencies",),
    "model": tuple(name for keys in LOAD_KEYS.values() for name in keys - (LOAD_KEYS["open"] & LOAD_KEYS["closed"])),
}
"""Factor -> factors (or their prefix) that necessarily differ with it."""

Identity = tuple[tuple[str, str], ...]


def is_own(case: Case) -> bool:
    """Whether the case measures something other than a workload of target_app."""
    return case.app is not None or case.url is not None or case.scenario is not None


def is_moded(case: Case) -> bool:
    """Whether an app's endpoint is served in another mode than it is written in."""
    return case.app is not None and case.mode != OWN.name


def is_variant(case: Case) -> bool:
    """Whether an app is served otherwise than it is written, so that its answers are compared with those as written."""
    return is_moded(case) or case.patch is not None


def case_factors(case: Case) -> dict[str, Any]:
    """Return everything that may differ between cases, flat, in a fixed order; None where a factor does not apply.

    Parameters of a workload are `params.<name>`; keys of the server and of the load keep their names. A
    workload of target_app has no `endpoint`, since its path follows from the other factors.
    """
    server = dict(case.server) if case.server else dict.fromkeys(Server.model_fields)
    env = server.pop("env") or {}
    server["server_args"] = server["server_args"] if case.server is None else list(case.server.server_args)
    load = {key: value if key in case.load.used_keys else None for key, value in dict(case.load).items()}
    return {
        "workload": case.workload,
        **{f"params.{name}": value for name, value in sorted(case.params.items())},
        "mode": case.mode,
        "dependencies": case.dependencies if is_moded(case) else None,
        "patch": (case.patch.name if case.patch else "") if case.app else None,
        "features": None if is_own(case) else case.features,
        "app": case.app.target if case.app else None,
        "app_dir": case.app.app_dir if case.app else None,
        "python": case.app.python if case.app else None,
        "cwd": case.app.cwd if case.app else None,
        "fresh": sorted(case.app.fresh.values()) or None if case.app else None,
        "before_replicate": case.before_replicate.text if case.before_replicate else None,
        **{
            f"factory_args.{name}": value for name, value in sorted((case.app.factory_args if case.app else {}).items())
        },
        "url": case.url,
        "scenario": case.scenario,
        "options": case.options or None,
        "endpoint": " + ".join(endpoint.name for endpoint in case.endpoints) or None if is_own(case) else None,
        "server": server.pop("name"),
        **server,
        **{f"env.{name}": value for name, value in sorted(env.items())},
        **load,
    }


def matches(case: Case, wanted: Mapping[str, Any]) -> bool:
    """Whether the case has all these factors; `true` is not 1."""
    factors = case_factors(case)
    return all(same(factors.get(key), value) for key, value in wanted.items())


def same(left: Any, right: Any) -> bool:
    """Whether two values are equal and both booleans or neither."""
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def identity(case: Case, without: Mapping[str, Any] | None = None) -> Identity:
    """Identify a case by its factors, but for those in `without` and those that belong to them."""
    factors = case_factors(case)
    dropped = set(without or ())
    belonging = tuple(part for name in dropped for part in BELONG_TO.get(name, ()))
    kept = {
        name: value
        for name, value in factors.items()
        if name not in dropped and not (belonging and name.startswith(belonging))
    }
    if case.patch is not None and "patch" in kept:
        kept["patch"] = [case.patch.name, case.patch.text]
    if is_own(case) and "endpoint" in kept:
        kept["endpoint"] = [endpoint.model_dump() for endpoint in case.endpoints]
    return tuple((name, json.dumps(value, sort_keys=True)) for name, value in kept.items())


def baselines(suite: Suite) -> dict[str, list[Case]]:
    """case_id of each candidate -> the cases that match its baseline; several if it is ambiguous."""
    wanted = suite.compare.baseline
    if not wanted:
        return {}
    by_identity: dict[Identity, list[Case]] = {}
    for case in suite.cases:
        if matches(case, wanted):
            by_identity.setdefault(identity(case, wanted), []).append(case)
    return {
        case.case_id: by_identity.get(identity(case, wanted), []) for case in suite.cases if not matches(case, wanted)
    }


def baseline_pairs(suite: Suite) -> list[tuple[str, str]]:
    """Pair each case with its baseline: `(baseline's case_id, candidate's case_id)`, in the order of the suite.

    Cases without a baseline are left out.
    """
    return [(matching[0].case_id, candidate) for candidate, matching in baselines(suite).items() if matching]
