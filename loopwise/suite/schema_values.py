"""Values for the schemas of an OpenAPI document: what it names itself, or else what has the right type and bounds."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

DEPTH = 8
"""Schemas in schemas that are followed; what is deeper refers to itself."""
MAX_ITEMS, MAX_LENGTH = 100, 10_000
"""Of lists and strings that are made up, whatever their schema demands."""
STRINGS = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "time": "12:00:00",
    "duration": "PT1H",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "email": "ann@example.com",
    "uri": "http://127.0.0.1/",
    "hostname": "localhost",
    "ipv4": "127.0.0.1",
    "ipv6": "::1",
    "byte": "AA==",
}
"""A string's format -> a value of it."""


class Value(NamedTuple):
    """A value for a schema."""

    value: Any
    is_given: bool
    """The document itself names it (example, default, enum); otherwise it only has the right type and bounds."""


class Values:
    """Values for the schemas of a document."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document

    def resolved(self, node: Any) -> dict[str, Any]:
        """The table that a node is or refers to; empty where there is none."""
        for _ in range(DEPTH):
            reference = node.get("$ref") if isinstance(node, dict) else None
            if not isinstance(reference, str):
                break
            node = self._at(reference)
        return table_of(node)

    def _at(self, reference: str) -> Any:
        node: Any = self._document
        for part in reference.removeprefix("#/").split("/"):
            node = table_of(node).get(part.replace("~1", "/").replace("~0", "~"))
        return node

    def of_parameter(self, parameter: Mapping[str, Any]) -> Value:
        """A value for a parameter, whose schema version 2 writes into the parameter itself."""
        if "content" in parameter:
            return self.of_media(next(iter(table_of(parameter["content"]).values()), {}))
        named = self._example(parameter)
        return named or self.of_schema(parameter.get("schema", parameter))

    def of_media(self, media: Mapping[str, Any]) -> Value:
        """A value for one content type of a body."""
        named = self._example(media)
        if named is None and not self._whole(media.get("schema")):
            return Value({}, False)  # anything will do
        return named or self.of_schema(media.get("schema"))

    def _example(self, owner: Mapping[str, Any]) -> Value | None:
        if "example" in owner:
            return Value(_without_none(owner["example"]), True)
        examples = owner.get("examples")
        each = next(iter(examples.values()), None) if isinstance(examples, dict) else None
        if each is None:
            return None
        each = self.resolved(each)
        return Value(_without_none(each["value"]), True) if "value" in each else None

    def of_schema(self, schema: Any, depth: int = 0) -> Value:
        """A value that a schema allows: its own example, default or first alternative, or else one of its type."""
        schema = self._whole(schema)
        for key in ("example", "examples", "const", "default", "enum", "x-example"):
            found = schema.get(key)
            if key in {"examples", "enum"}:
                found = next((each for each in list_of(found) if each is not None), None)
            if found is not None:
                return Value(_without_none(found), True)
        if depth >= DEPTH:
            return Value({}, False)
        kind = kind_of(schema)
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            inner = self.of_schema(schema.get("items"), depth + 1)
            least = schema.get("minItems")
            count = min(max(1, least), MAX_ITEMS) if isinstance(least, int) else 1
            return Value([inner.value] * count, inner.is_given)
        if kind in {"integer", "number"}:
            return Value(_number(schema, is_whole=kind == "integer"), False)
        return Value({"boolean": True, "null": ""}.get(str(kind), _string(schema)), False)

    def _whole(self, schema: Any) -> dict[str, Any]:
        """A schema with all of its parts, and the first alternative that is not null."""
        schema = self.resolved(schema)
        for _ in range(DEPTH):
            parts = [self.resolved(each) for each in list_of(schema.get("allOf"))]
            choices = [self.resolved(each) for key in ("anyOf", "oneOf") for each in list_of(schema.get(key))]
            parts += [each for each in choices if each.get("type") != "null"][:1]
            if not parts:
                break
            rest = {key: value for key, value in schema.items() if key not in {"allOf", "anyOf", "oneOf"}}
            schema = _merged([*parts, rest])
        return table_of(schema)

    def _object(self, schema: Mapping[str, Any], depth: int) -> Value:
        properties = table_of(schema.get("properties"))
        required = [name for name in _names(schema.get("required")) if name in properties]
        values = {name: self.of_schema(properties[name], depth + 1) for name in required}
        return Value(
            {name: each.value for name, each in values.items()}, all(each.is_given for each in values.values())
        )

    def properties(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """The properties of an object."""
        return table_of(self._whole(schema).get("properties"))

    def is_file(self, schema: Any) -> bool:
        """Whether a field of a form is a file, or a list of files."""
        schema = self._whole(schema)
        if kind_of(schema) == "array":
            schema = self._whole(schema.get("items"))
        return schema.get("type") == "file" or "contentMediaType" in schema or schema.get("format") == "binary"


def kind_of(schema: Mapping[str, Any]) -> str | None:
    """A schema's type besides null; None where it has none."""
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((each for each in kind if each != "null"), "null")
    if kind is None and "properties" in schema:
        return "object"
    return kind if isinstance(kind, str) else None


def _number(schema: Mapping[str, Any], *, is_whole: bool) -> int | float:
    """1, or what is nearest to it within the bounds."""
    least, most = _bound(schema, "minimum", "exclusiveMinimum"), _bound(schema, "maximum", "exclusiveMaximum")
    step = schema.get("multipleOf")
    step = step if isinstance(step, int | float) and step > 0 else 1
    low = -math.inf if least is None else least[0]
    high = math.inf if most is None else most[0]
    value: float = min(max(step, math.ceil(low / step) * step if math.isfinite(low) else step), high)
    if least is not None and least[1] and value <= low:
        value = low + step if low + step < high else (low + high) / 2
    if most is not None and most[1] and value >= high:
        value = high - step if high - step > low else (low + high) / 2
    return int(value) if is_whole or float(value).is_integer() else value


def _bound(schema: Mapping[str, Any], key: str, exclusive: str) -> tuple[float, bool] | None:
    """A bound, and whether it is excluded: version 3.1 writes the number itself, older ones true beside it."""
    other = schema.get(exclusive)
    if isinstance(other, int | float) and not isinstance(other, bool):
        return other, True
    value = schema.get(key)
    return (value, other is True) if isinstance(value, int | float) else None


def _string(schema: Mapping[str, Any]) -> str:
    text = STRINGS.get(str(schema.get("format")), "string")
    least, most = schema.get("minLength"), schema.get("maxLength")
    if isinstance(least, int):
        text = text.ljust(min(least, MAX_LENGTH), "x")
    return text[:most] if isinstance(most, int) else text


def _merged(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Schemas that hold together as one."""
    merged: dict[str, Any] = {}
    for part in parts:
        properties = {**table_of(merged.get("properties")), **table_of(part.get("properties"))}
        required = list(dict.fromkeys([*_names(merged.get("required")), *_names(part.get("required"))]))
        merged |= part
        merged |= {"properties": properties} if properties else {}
        merged |= {"required": required} if required else {}
    return merged


def _names(value: Any) -> list[str]:
    return [each for each in list_of(value) if isinstance(each, str)]


def _without_none(value: Any) -> Any:
    """A value as TOML can write it: it has no null."""
    if isinstance(value, dict):
        return {str(name): _without_none(each) for name, each in value.items() if each is not None}
    if isinstance(value, list):
        return [_without_none(each) for each in value if each is not None]
    return value


def table_of(value: Any) -> dict[str, Any]:
    """The value if it is a table, or else an empty one: documents are damaged in all ways."""
    return value if isinstance(value, dict) else {}


def list_of(value: Any) -> list[Any]:
    """The same for a list."""
    return value if isinstance(value, list) else []
