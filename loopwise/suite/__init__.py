"""Load suites: TOML files, validated completely before anything starts."""

import copy
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from loopwise.model import Case, Comparison, Replicates, Suite
from loopwise.model.factors import baseline_pairs, baselines, case_factors, matches, same
from loopwise.model.naming import shown_names
from loopwise.servers import target
from loopwise.suite import locations
from loopwise.suite.expand import Describe, expand
from loopwise.suite.file import (
    Source,
    apply_overrides,
    find_suite,
    read_suite,
    shown,
    suggestion,
    suite_paths,
)
from loopwise.suite.limits import refuse_unusable
from loopwise.suite.schema import as_variable, given, parse_suite

__all__ = ["baseline_pairs", "case_factors", "load_suite", "make_suite", "suite_paths"]

PATH_FACTORS = {
    "app_dir": locations.folder,
    "cwd": locations.folder,
    "env_file": locations.env_file,
    "python": locations.interpreter,
    "scenario": locations.locust_file,
}
"""Factors with relative paths in a suite and absolute ones in its cases -> the function that resolves them."""


def load_suite(
    name_or_path: str,
    overrides: Sequence[str] = (),
    *,
    allow_remote: Collection[str] = (),
    describe: Describe = target.describe,
) -> Suite:
    """Load the suite of that name in scenarios/, or the file at that path.

    Args:
        name_or_path: `quick`, or `bench/mine.toml`.
        overrides: `--set` strings: `load.users=20`, `matrix.mode=sync` (every entry), `matrix.0.mode=sync`.
        allow_remote: hosts besides this machine that a `url` may name.
        describe: asks target_app; tests pass a fake.

    Raises:
        SuiteError: the file or a value is wrong; the message names file and key.
        RunError: target_app did not answer.
    """
    path = find_suite(name_or_path)
    document, source = read_suite(path)
    apply_overrides(document, overrides, source)
    return _suite(document, source, path.stem, allow_remote, describe)


def make_suite(
    document: Mapping[str, Any],
    *,
    label: str,
    folder: Path,
    overrides: Sequence[str] = (),
    allow_remote: Collection[str] = (),
    describe: Describe = target.describe,
) -> Suite:
    """Make a suite without a file: `document` is what the TOML would hold, errors call it by `label`.

    Raises:
        SuiteError: as in `load_suite`.
    """
    source = Source(label=label, folder=folder.resolve())
    changed = copy.deepcopy(dict(document))
    apply_overrides(changed, overrides, source)
    return _suite(changed, source, label, allow_remote, describe)


def _suite(
    document: Mapping[str, Any],
    source: Source,
    default_name: str,
    allow_remote: Collection[str],
    describe: Describe,
) -> Suite:
    refuse_unusable(document, source)
    table = parse_suite(document, source)
    replicates = _replicates(table.replicates, source)
    suite = Suite(
        name=table.name or _safe_name(default_name),
        description=table.description,
        seed=table.seed,
        generator=table.generator,
        replicates=replicates,
        compare=_comparison(table.compare, source),
        cases=expand(table, source, allow_remote=allow_remote, describe=describe),
    )
    _check_baseline(suite, source)
    return suite


def _safe_name(text: str) -> str:
    """Make the text fit to begin the name of a result's folder."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:64] or "suite"


def _replicates(table: Replicates, source: Source) -> Replicates:
    """A minimum or maximum that is given alone moves the other; both together must be in order."""
    written = given(table)
    lowest = written.get("min", min(table.min, table.max))
    highest = written.get("max", max(table.min, table.max))
    if lowest > highest:
        raise source.error(
            ("replicates", "min"), f"got {lowest}, allowed is max ({highest}) or less; lower min or raise max"
        )
    return table.model_copy(update={"min": lowest, "max": highest})


def _comparison(table: Comparison, source: Source) -> Comparison:
    """Flatten the baseline to the names of `case_factors`, and make its paths absolute."""
    flat: dict[str, Any] = {}
    for key, value in table.baseline.items():
        if key in {"params", "factory_args"} and isinstance(value, dict):
            flat |= {f"{key}.{name}": inner for name, inner in value.items()}
        elif key == "env" and isinstance(value, dict):
            flat |= {
                f"env.{name}": as_variable(inner) if isinstance(inner, int | float | str) else inner
                for name, inner in value.items()
            }
        elif key in PATH_FACTORS and isinstance(value, str):
            flat[key] = PATH_FACTORS[key](value, ("compare", "baseline", key), source)
        else:
            flat[key] = value
    return table.model_copy(update={"baseline": flat})


def _check_baseline(suite: Suite, source: Source) -> None:
    wanted = suite.compare.baseline
    for key, value in wanted.items():
        _check_factor(key, value, suite.cases, source)
    if not any(matches(case, wanted) for case in suite.cases):
        raise source.error(
            ("compare", "baseline"),
            f"no case has all of {shown(wanted)}; leave out one of them or add such a case",
        )
    for candidate, matching in baselines(suite).items():
        if len(matching) > 1:
            shown_as = shown_names(suite.cases)
            names = " and ".join(shown_as[case.case_id] for case in matching[:2])
            raise source.error(
                ("compare", "baseline"),
                f"both {names} could be the baseline of {shown_as[candidate]}; add a factor in which they differ",
            )


def _check_factor(key: str, value: Any, cases: Sequence[Case], source: Source) -> None:
    all_factors = [case_factors(case) for case in cases]
    names = list(dict.fromkeys(name for factors in all_factors for name in factors))
    place = ("compare", "baseline", key)
    if key not in names:
        raise source.error(
            place,
            f"unknown factor{suggestion(key, names)}, allowed are {', '.join(names)}; rename or remove it",
        )
    values = [factors[key] for factors in all_factors if factors.get(key) is not None]
    if not any(same(value, existing) for existing in values):
        distinct = list(dict.fromkeys(map(shown, values))) or ["no value at all"]
        raise source.error(
            place,
            f"got {shown(value)}, the cases have {', '.join(distinct)}; take one of these, or remove "
            "the baseline (--set compare.baseline={})",
        )
