"""Suite files: find them by name or path, read their TOML, apply `--set`."""

import difflib
import json
import re
import sys
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loopwise.errors import SuiteError
from loopwise.model import LOAD_KEYS, SHAPED_KEYS, Load
from loopwise.paths import scenarios_dir

Key = tuple[str | int, ...]
"""Where a value stands in a suite: `("matrix", 1, "mode")`."""


@dataclass(frozen=True)
class Source:
    """The origin of a suite, which every error names."""

    label: str
    """The file's name as a user would type it."""
    folder: Path
    """Absolute folder of the suite's relative paths."""
    overridden: list[Key] = field(default_factory=list)
    """Keys whose values come from `--set`."""

    def error(self, key: Key, sentence: str) -> SuiteError:
        """Make an error that says `file: key: sentence`."""
        from_set = any(key[: len(path)] == path for path in self.overridden)
        place = f"{dotted(key)}{' (from --set)' if from_set else ''}: " if key else ""
        return SuiteError(f"{self.label}: {place}{sentence}")


def dotted(key: Key) -> str:
    """Write a key as errors do: `matrix[1].mode`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in key)
    return text.removeprefix(".")


def shown(value: Any) -> str:
    """Write a value as in TOML, cut to a readable length."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."


def suggestion(word: str, allowed: Iterable[str]) -> str:
    """` (did you mean "users"?)`, or an empty string where no word is similar."""
    near = difflib.get_close_matches(word, list(allowed), n=1)
    return f' (did you mean "{near[0]}"?)' if near else ""


def is_there(path: Path, is_kind: Callable[[Path], bool]) -> bool:
    """Whether the path leads to something of a kind; a name that no file can have leads to nothing."""
    try:
        return is_kind(path)
    except (OSError, ValueError):  # too long, or with a null byte
        return False


def suite_paths() -> dict[str, Path]:
    """Files of the suites that come with Loopwise, by name."""
    return {path.stem: path for path in sorted(scenarios_dir().glob("*.toml"))}


def find_suite(name_or_path: str) -> Path:
    """Find a suite by its name in scenarios/ or by its path.

    Raises:
        SuiteError: there is no such suite.
    """
    shipped = suite_paths()
    if name_or_path in shipped:
        return shipped[name_or_path]
    path = Path(name_or_path)
    if is_there(path, Path.is_file):
        return path
    if is_there(path, Path.is_dir):
        raise SuiteError(f"{name_or_path}: is a folder, no suite; give the path of a .toml file in it")
    guess = suggestion(path.stem, shipped)
    raise SuiteError(
        f"{name_or_path}: no such suite{guess}; the suites there are: {', '.join(shipped)}; "
        "give one of these or the path of a .toml file"
    )


def read_suite(path: Path) -> tuple[dict[str, Any], Source]:
    """Read the file's tables, without validation.

    Raises:
        SuiteError: the file can't be read or is not TOML; the message has line and column.
    """
    absolute = path.resolve()
    source = Source(label=_label(path), folder=absolute.parent)
    try:
        return _toml(absolute.read_text(encoding="utf-8-sig")), source
    except OSError as error:
        raise source.error((), f"can't be read ({error.strerror}); check path and permissions") from None
    except UnicodeDecodeError as error:
        raise source.error((), f"byte {error.start} is no UTF-8; save the file as UTF-8") from None
    except _UnreadableError as error:
        raise source.error((), str(error)) from None
    except tomllib.TOMLDecodeError as error:
        raise source.error((), _syntax_sentence(str(error))) from None


class _UnreadableError(Exception):
    """TOML beyond what its parser can take; the message is the sentence."""


def _toml(text: str) -> dict[str, Any]:
    """Parse TOML.

    Raises:
        TOMLDecodeError: it is none.
        _UnreadableError: it is nested too deep, or has a number too long.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except RecursionError:
        raise _UnreadableError("its values are nested too deep to be read; flatten them") from None
    except ValueError:  # of int(), beyond sys.get_int_max_str_digits()
        raise _UnreadableError("has a whole number of thousands of digits, allowed are 64 bits; correct it") from None


def _label(path: Path) -> str:
    absolute = path.resolve()
    here = Path.cwd()
    return str(absolute.relative_to(here) if absolute.is_relative_to(here) else path)


def _syntax_sentence(message: str) -> str:
    """Put the place first, which `tomllib` puts last, and which may be "at end of document"."""
    match = re.fullmatch(r"(.*?) \(at (.*)\)", message, re.DOTALL)
    what, place = match.groups() if match else (message, "an unknown place")
    return f"{place}: TOML syntax error, {what[:1].lower()}{what[1:]}; correct the line"


def apply_overrides(document: dict[str, Any], overrides: Sequence[str], source: Source) -> None:
    """Write each `KEY=VALUE` into the document, in place, and record the keys in `source`.

    `matrix.KEY` goes to every entry, `matrix.0.KEY` to one. Setting a load's `model` first removes the keys
    that only the other model knows, since `--set` has no way to remove them.

    Raises:
        SuiteError: no `=`, an index out of range, or a key below a value that is not a table.
    """
    settings = [_parse(text) for text in overrides]
    for key, value in sorted(settings, key=lambda setting: setting[0][-1] != "model"):
        for path in _spread(key, document):
            _write(document, path, value)
            source.overridden.append(path)


def _parse(text: str) -> tuple[list[str], Any]:
    key, equals, value = text.partition("=")
    parts = [part.strip() for part in key.split(".")]
    if not equals or not all(parts):
        raise SuiteError(f"--set {text}: got no KEY=VALUE; write for example --set load.users=20")
    try:
        table = _toml(f"value = {value}")
    except _UnreadableError as error:
        raise SuiteError(f"--set {shown(text)}: {error}") from None
    except tomllib.TOMLDecodeError:
        return parts, value.strip()
    return parts, table["value"] if set(table) == {"value"} else value


def _spread(key: list[str], document: Mapping[str, Any]) -> list[Key]:
    """Keys in the document that a `--set` key stands for."""
    entries = document.get("matrix")
    if key[0] != "matrix" or len(key) == 1 or not isinstance(entries, list):
        return [tuple(key)]
    if not key[1].isdecimal():
        return [("matrix", index, *key[1:]) for index in range(len(entries))]
    if len(key[1]) > len(str(sys.maxsize)) or int(key[1]) >= len(entries):
        raise SuiteError(
            f"--set {'.'.join(key)[:60]}: got entry {key[1][:20]}, the matrix has entries 0 to {len(entries) - 1}; "
            "take one of these"
        )
    return [("matrix", int(key[1]), *key[2:])]


def _write(document: dict[str, Any], path: Key, value: Any) -> None:
    table: Any = document
    for depth, part in enumerate(path):
        if isinstance(table, list) and isinstance(part, int):
            if depth == len(path) - 1:
                table[part] = value
            table = table[part]
            continue
        if not isinstance(table, dict):
            raise SuiteError(
                f"--set {dotted(path)}: {dotted(path[:depth])} is {shown(table)}, no table; "
                f"set {dotted(path[:depth])} itself"
            )
        if depth == len(path) - 1:
            _forget_other_model(table, path, value)
            table[part] = value
        else:
            table = table.setdefault(part, {})


def _forget_other_model(table: dict[str, Any], path: Key, value: Any) -> None:
    if path[-2:] == ("load", "model") and isinstance(value, str) and value in LOAD_KEYS:
        for name in set(table) & set(Load.model_fields) - LOAD_KEYS[value]:
            del table[name]
    if path[-2:] == ("load", "shape") and value:
        for name in set(table) & SHAPED_KEYS:
            del table[name]
