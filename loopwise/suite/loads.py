"""The loads of a [[matrix]] entry: its own keys over those of [load], and the product of the lists."""

import math
from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import Any

from loopwise.model import LOAD_KEYS, Load
from loopwise.suite.file import Key, Source
from loopwise.suite.schema import Entry, SuiteTable, given

MAX_CASES = 10_000
"""Of one entry. More would run for weeks: it is a slip in a list."""

DEFAULT_MODELS = [Load.model_fields["model"].default]


def combinations(lists: Mapping[str, list[Any]], key: Key, source: Source) -> Iterator[dict[str, Any]]:
    """Every choice of one value from each list, the last list running fastest."""
    count = math.prod(map(len, lists.values()))
    refuse_too_many(count, key, source)
    return (dict(zip(lists, values, strict=True)) for values in product(*lists.values()))


def refuse_too_many(count: int, key: Key, source: Source) -> None:
    """Stop before a product of lists fills the memory."""
    if count > MAX_CASES:
        raise source.error(key, f"makes {count} cases, allowed are {MAX_CASES}; shorten its lists")


def loads_of(entry: Entry, key: Key, suite: SuiteTable, source: Source) -> list[Load]:
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
        for values in combinations(_fitting(merged, model), (*key, "load"), source)
    ]
    if entry.scenario:
        _refuse_pace(loads, (*key, "scenario"), source)
    return loads


def refuse_unused_load_keys(suite: SuiteTable, source: Source) -> None:
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
