"""The app's catalogue of workloads, modes and features, and validation of single requests against it."""

from collections.abc import Collection, Mapping
from dataclasses import asdict
from typing import Any
from urllib.parse import urlencode

from pydantic import ValidationError

from target_app import features
from target_app.modes import MODES, description
from target_app.parameters import facts, plain, problem, quote
from target_app.workload import Workload
from target_app.workloads import WORKLOADS

Workloads = Mapping[str, Workload[Any]]


def modes_of(workload: Workload[Any], modes: Collection[str] = MODES) -> list[str]:
    """Return the served modes that make sense for a workload."""
    return [mode for mode in modes if mode not in workload.lacks]


def catalogue(workloads: Workloads = WORKLOADS, modes: Collection[str] = MODES) -> dict[str, Any]:
    """Describe all workloads (modes, parameters, services needed by default), modes and features, ready for JSON."""
    return {
        "workloads": {
            name: {
                "description": workload.description,
                "modes": modes_of(workload, modes),
                "params": facts(workload.params),
                "needs": list(workload.needs(workload.params())),
                "is_calibrated": workload.is_calibrated,
            }
            for name, workload in workloads.items()
        },
        "modes": {mode: description(mode) for mode in modes},
        "features": {name: features.description(name) for name in features.FEATURES},
    }


def route_problem(
    name: Any, mode: Any, workloads: Workloads = WORKLOADS, modes: Collection[str] = MODES
) -> tuple[str, str] | None:
    """Explain why there is no such route, as (`workload` or `mode`, sentence); None if there is one."""
    workload = workloads.get(name) if isinstance(name, str) else None
    if workload is None:
        return "workload", f"got {quote(name)}, allowed are {', '.join(workloads)}"
    served = modes_of(workload, modes)
    if mode in served:
        return None
    why = f" ({workload.lacks[mode]})" if isinstance(mode, str) and mode in workload.lacks else ""
    return (
        "mode",
        f"got {quote(mode)}{why}, allowed for {workload.name} are {', '.join(served) or 'none here'}",
    )


def describe(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the path and cost of one request, or the wrong key and the reason.

    The request is `{"workload", "mode", "params", "features"}`, the last two may be missing.
    Types are strict (true is no number, "50" neither): the request comes from a file, not from a query.
    """
    name, mode, given = request.get("workload"), request.get("mode"), request.get("params", {})
    if wrong := route_problem(name, mode):
        return _refusal(*wrong)
    workload = WORKLOADS[str(name)]
    if not isinstance(given, dict):
        return _refusal("params", f"got {quote(given)}, allowed is a table of parameters")
    try:
        params = workload.params.model_validate(given, strict=True)
    except ValidationError as error:
        parameter, sentence = problem(error.errors(include_url=False), workload)
        return _refusal(f"params.{parameter or list(given)[-1]}", sentence)
    if refused := workload.refuses(params, str(mode)):
        return _refusal(*refused)
    normal = {key: plain(value) for key, value in params.model_dump(exclude_unset=True, exclude_none=True).items()}
    try:
        added = features.normal(request.get("features", ""))
    except ValueError as error:
        return _refusal("features", str(error))
    cost, needs = workload.cost(params), workload.needs(params)
    return {
        "ok": True,
        "path": f"/{name}/{mode}" + (f"?{urlencode(normal)}" if normal else ""),
        "params": normal,
        "features": added,
        "cost": {key: plain(value) for key, value in asdict(cost).items()} if cost else None,
        **({"needs": list(needs)} if needs else {}),
    }


def _refusal(key: str, error: str) -> dict[str, Any]:
    return {"ok": False, "key": key, "error": error}
