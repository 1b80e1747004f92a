"""A suite's document to typed tables, and pydantic's complaints to sentences that name file and key."""

import re
from collections.abc import Callable, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from loopwise.suite.file import Key, Source, shown, suggestion
from loopwise.suite.schema import SuiteTable


def parse_suite(document: Mapping[str, Any], source: Source) -> SuiteTable:
    """The document as typed tables.

    Raises:
        SuiteError: the first thing that is wrong, and how many more there are.
    """
    try:
        return SuiteTable.model_validate(document, strict=True)
    except ValidationError as failure:
        errors = failure.errors(include_url=False)
        first = errors[0]
        key = _written_key(first["loc"], document)
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        raise source.error(key, f"{_sentence(first, key)}{more}") from None


def _written_key(loc: Key, document: Any) -> Key:
    """`loc` as the user wrote it: a scalar made a list has no index, a string that was split no parts."""
    at, key = document, []
    for part in loc:
        if isinstance(part, int) and not isinstance(at, list):
            continue
        if isinstance(part, str) and not isinstance(at, dict):
            break
        key.append(part)
        at = at[part] if isinstance(part, int) else at.get(part)
    return tuple(key)


_ALLOWED = {
    "bool_type": "true or false",
    "dict_type": "a table",
    "finite_number": "a finite number",
    "float_type": "a number",
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "{ge:g} or more",
    "int_type": "a whole number",
    "less_than": "less than {lt:g}",
    "less_than_equal": "{le:g} or less",
    "list_type": "a list",
    "model_type": "a table",
    "string_pattern_mismatch": "letters, digits, dots, - and _, at most 64, beginning with a letter or digit",
    "string_too_long": "at most {max_length} characters",
    "string_too_short": "at least one character",
    "string_type": "a string",
    "too_short": "at least one value",
}
"""pydantic's error type -> what is allowed instead."""

_TYPE_NAMES = {
    bool: "a boolean",
    int: "a whole number",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "a table",
}


def _sentence(error: ErrorDetails, key: Key) -> str:
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    if key == ("matrix",):
        got = "no entries" if kind in {"missing", "too_short"} else shown(value)
        return f"got {got}; begin each entry with a line [[matrix]] in double brackets"
    fixed = _SENTENCES.get(kind)
    if fixed:
        return fixed(error)
    kind_name = f" ({_type_name(value)})" if kind.endswith("_type") else ""
    allowed = _ALLOWED.get(kind, error["msg"]).format(**context)
    return f"got {shown(value)}{kind_name}, allowed is {allowed}; correct the value"


def _unknown_key(error: ErrorDetails) -> str:
    allowed = _keys_at(error["loc"][:-1])
    guess = suggestion(str(error["loc"][-1]), allowed)
    return f"unknown key{guess}, allowed are {', '.join(allowed)}; rename or remove it"


def _not_an_option(error: ErrorDetails) -> str:
    options = re.findall(r"'([^']*)'", error["ctx"]["expected"])
    guess = suggestion(str(error["input"]), options)
    return f"got {shown(error['input'])}, allowed are {', '.join(options)}{guess}; correct the value"


_SENTENCES: dict[str, Callable[[ErrorDetails], str]] = {
    "extra_forbidden": _unknown_key,
    "literal_error": _not_an_option,
    "missing": lambda _: "is missing; add it",
    "sentence": lambda error: str(error["ctx"]["sentence"]),
}
"""pydantic's error type -> its sentence, where "got …, allowed is …" does not fit."""


def _type_name(value: Any) -> str:
    return _TYPE_NAMES.get(type(value), "something else")


def _keys_at(loc: Key) -> list[str]:
    """The keys of the table that stands at `loc`."""
    model: type[BaseModel] = SuiteTable
    for part in loc:
        if isinstance(part, str):
            fields = {info.alias or name: info for name, info in model.model_fields.items()}
            model = _table_in(fields[part].annotation) or model
    return sorted(info.alias or name for name, info in model.model_fields.items())


def _table_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _table_in(part))), None)
