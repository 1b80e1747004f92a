"""Names of the copies that an entry's key `fresh` asks for, and the places in its variables that get their paths."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePath
from typing import Any

from loopwise.errors import SuiteError
from loopwise.servers.fresh import PLACE
from loopwise.suite.file import shown
from loopwise.suite.schema import Entry

WrongAt = Callable[[str, str], SuiteError]
"""Makes an error from a key of the entry and a sentence."""


def named_paths(entry: Entry) -> dict[str, str]:
    """Name -> path as written: the variable of a table, or the last part of a listed path."""
    fresh = entry.fresh
    return dict(fresh) if isinstance(fresh, dict) else {PurePath(text).name: text for text in fresh}


def with_copies(entry: Entry, env: Mapping[str, str], wrong: WrongAt) -> dict[str, str]:
    """An entry's variables with those that `fresh` adds, and every place of a copy by its full name.

    Raises:
        SuiteError: a place names no copy, a variable is set twice, or nothing tells the app a copy's path.
    """
    names = list(named_paths(entry))
    added = {name: f"{{fresh.{name}}}" for name in entry.fresh} if isinstance(entry.fresh, dict) else {}
    for name in added.keys() & env.keys():
        raise wrong("fresh", f"gives the variable {name} a copy's path, and env another value; remove one of them")
    if len(names) < len(entry.fresh):
        raise wrong("fresh", 'has two paths with the same name; write a table of variables: { DATA_DIR = "./data" }')
    filled = {**filled_in(dict(env), names, "env", wrong), **added}
    arguments = filled_in(dict(entry.factory_args), names, "factory_args", wrong)
    used = {place for text in _texts([filled, arguments]) for place in PLACE.findall(text)}
    for name in names:
        if name not in used:
            raise wrong(
                "fresh",
                f"nothing gives the app the path of the copy of {shown(name)}; write a table, which sets a variable: "
                f'fresh = {{ DATA = "{named_paths(entry)[name]}" }}, or {{fresh}} into a value of env',
            )
    return filled


def filled_in(value: Any, names: list[str], key: str, wrong: WrongAt) -> Any:
    """A value whose places `{fresh}` have the name of the copy."""
    if isinstance(value, dict):
        return {name: filled_in(each, names, key, wrong) for name, each in value.items()}
    if isinstance(value, list):
        return [filled_in(each, names, key, wrong) for each in value]
    if not isinstance(value, str):
        return value
    for place in PLACE.finditer(value):
        if (place[1] is None and len(names) != 1) or (place[1] is not None and place[1] not in names):
            known = ", ".join(f"{{fresh.{name}}}" for name in names) or "none, since the entry has no fresh"
            raise wrong(key, f"got {shown(value)}, allowed places of copies are {known}; correct it")
    return PLACE.sub(lambda place: f"{{fresh.{place[1] or names[0]}}}", value)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)
