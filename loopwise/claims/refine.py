"""Cases as a suite of their own: what a search measures is an ordinary, small result."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loopwise.errors import UsageError
from loopwise.model import LOAD_KEYS, Case, Comparison, Suite
from loopwise.servers.target import describe as ask_target
from loopwise.suite import make_suite
from loopwise.suite.expand import Describe


def suite_of(cases: Sequence[Case], like: Suite, name: str, *, describe: Describe = ask_target) -> Suite:
    """The cases as a suite, with the replicates of another.

    Args:
        cases: of target_app's workloads, whose values were changed.
        like: the suite they come from.
        name: of the suite.
        describe: asks target_app for the paths of its routes.

    Raises:
        SuiteError: target_app refuses a value.
    """
    document = {
        "name": name,
        "description": f"between the values of {like.name}",
        "seed": like.seed,
        "generator": like.generator.model_dump(),
        "replicates": like.replicates.model_dump(),
        # Its points are compared by the claim's rule, and slices would cost more time than points.
        "compare": Comparison(slices_max=0).model_dump(),
        "matrix": [entry_of(case) for case in cases],
    }
    return make_suite(document, label=name, folder=Path.cwd(), describe=describe)


def entry_of(case: Case) -> dict[str, Any]:
    """The [[matrix]] entry that makes this case.

    Raises:
        UsageError: it is no workload of target_app.
    """
    if case.app is not None or case.url is not None or case.scenario is not None or case.server is None:
        raise UsageError(f"{case.case_id}: is no workload of target_app, and a search varies nothing else")
    keys = sorted(LOAD_KEYS[case.load.model])
    load = {key: value for key, value in case.load.model_dump().items() if key in keys and value is not None}
    given = case.server.model_dump(exclude_defaults=True, exclude={"name"})
    entry: dict[str, Any] = {"load": load, "server": case.server.name, **given}
    if case.features:
        entry["features"] = case.features
    if case.parts:
        parts = [
            {
                "workload": part.workload,
                "params": _written(part.params),
                "mode": part.mode,
                "weight": part.weight,
            }
            for part in case.parts
        ]
        return {**entry, "mix": parts}
    return {**entry, "workload": case.workload, "params": _written(case.params), "mode": case.mode}


def _written(params: dict[str, Any]) -> dict[str, Any]:
    """Parameters as a suite may have them: what was left out is None, which TOML can't say."""
    return {name: value for name, value in params.items() if value is not None}
