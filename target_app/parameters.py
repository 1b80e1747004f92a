"""Descriptions of workload parameters, and error sentences for invalid ones."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from target_app.workload import Params, Workload

Facts = dict[str, Any]
"""`type`, `default`, `description`, and `minimum`, `maximum` or `allowed` where they apply."""

LONGEST_QUOTE = 60
_KEYS = {"minimum": "minimum", "maximum": "maximum", "enum": "allowed"}
_NUMBERS = {"number": "a number", "integer": "a whole number"}


def facts(params: type[Params]) -> dict[str, Facts]:
    """Describe each parameter from its JSON schema, by name and in the order of the class."""
    return {name: _facts(schema) for name, schema in params.model_json_schema().get("properties", {}).items()}


def _facts(schema: Mapping[str, Any]) -> Facts:
    # An optional parameter is "anyOf: [its schema, null]"; None only stands for "not given".
    schema = {**next(iter(schema.get("anyOf", [{}]))), **schema}
    found = {"type": schema["type"], "default": schema.get("default")}
    found.update({ours: schema[theirs] for theirs, ours in _KEYS.items() if theirs in schema})
    return {**found, "description": schema.get("description", "")}


def allowed(fact: Facts) -> str:
    """Say in words what a parameter accepts: `a number from 0 to 60000`, `read, write`."""
    if "allowed" in fact:
        return ", ".join(map(str, fact["allowed"]))
    words = _NUMBERS.get(fact["type"], f"a {fact['type']}")
    return f"{words} from {plain(fact['minimum'])} to {plain(fact['maximum'])}" if "minimum" in fact else words


def plain(value: Any) -> Any:
    """Turn a whole float into an int, so that 50.0 reads 50; leave anything else."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def quote(value: Any) -> str:
    """Quote a value as the user wrote it, shortened if long."""
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= LONGEST_QUOTE else f"{text[:LONGEST_QUOTE]}…"


def problem(errors: Sequence[Mapping[str, Any]], workload: Workload[Any]) -> tuple[str | None, str]:
    """Turn the first of pydantic's errors into (parameter, sentence with the value and what is allowed).

    The parameter is None where several together are wrong.
    """
    error = errors[0]
    known = facts(workload.params)
    # FastAPI puts "query" before the name, and a class's own rule has no name.
    names = [part for part in error["loc"] if part != "query"]
    if not names:
        return None, str(error["ctx"]["error"]) if "error" in error.get("ctx", {}) else str(error["msg"])
    name = str(names[0])
    if name not in known:
        takes = f"takes {', '.join(known)}" if known else "takes no parameters"
        return name, f"got an unknown parameter; {workload.name} {takes}"
    return name, f"got {quote(error['input'])}, allowed is {allowed(known[name])}"
