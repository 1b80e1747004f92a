"""The tables of a suite as types, and validation errors as sentences that name file and key."""

import json
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, create_model
from pydantic_core import ErrorDetails, PydanticCustomError

from loopwise.model import Comparison, FeedOrder, Generator, Load, Noun, Replicates, Server
from loopwise.servers.expectations import json_path
from loopwise.servers.specs import SERVERS
from loopwise.servers.templates import names_in
from loopwise.servers.wire import FRAMING, name_fault, value_fault
from loopwise.suite.file import Key, Source, shown, suggestion
from loopwise.suite.limits import PATH_CHARACTERS, text_fault

T = TypeVar("T")

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
SUITE_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
"""A suite's name begins the names of result folders."""


def _wrong(sentence: str) -> PydanticCustomError:
    """Make an error whose sentence is complete."""
    return PydanticCustomError("sentence", "{sentence}", {"sentence": sentence})


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


def _scalar(value: Any) -> Any:
    if not isinstance(value, str | int | float | bool):
        raise _wrong(f"got {shown(value)}, allowed are numbers, strings and booleans; correct it")
    return value


def _option(value: Any) -> Any:
    for each in value if isinstance(value, list) else [value]:
        _scalar(each)
    return value


def _path(value: Any) -> Any:
    """Refuse paths that leave the server they are sent to, such as `//host` and `http://host`."""
    if isinstance(value, str) and len(value) > PATH_CHARACTERS:
        raise _wrong(f"got {len(value):,} characters, allowed are {PATH_CHARACTERS:,}; send long values in the body")
    if isinstance(value, str) and not re.fullmatch(r"/(?!/)[^\s#\\\x00-\x1f\x7f]*", value):
        raise _wrong(f"got {shown(value)}, allowed is a path such as /items/1 without spaces, # and //; correct it")
    return value


def _headers(value: Any) -> Any:
    """Refuse names that differ in case alone: only one of them could be sent."""
    names: dict[str, str] = {}
    for name in value if isinstance(value, dict) else ():
        if other := names.get(str(name).lower()):
            raise _wrong(f"{shown(other)} and {shown(name)} are the same header; remove one")
        names[str(name).lower()] = name
    return value


def _header_name(name: str) -> str:
    if fault := name_fault(name):
        raise _wrong(f"it {fault}; correct the name")
    if name.lower() in FRAMING:
        raise _wrong("this header follows from the body and is sent by itself; remove it")
    return name


def _header_value(value: str) -> str:
    if fault := value_fault(value):
        raise _wrong(f"got {shown(value)}, it {fault}; correct the value")
    return value


def _method(value: Any) -> Any:
    if isinstance(value, str) and value.upper() not in METHODS:
        guess = suggestion(value.upper(), METHODS)
        raise _wrong(f"got {shown(value)}, allowed are {', '.join(METHODS)}{guess}; correct it")
    return value.upper() if isinstance(value, str) else value


def _server_name(value: Any) -> Any:
    if not isinstance(value, str) or value not in SERVERS:
        guess = suggestion(str(value), SERVERS)
        raise _wrong(f"got {shown(value)}, allowed are {', '.join(SERVERS)}{guess}; correct the value")
    return value


def as_variable(value: Any) -> Any:
    """A variable's value as text: numbers and booleans as TOML writes them."""
    _scalar(value)
    return json.dumps(value) if isinstance(value, bool) else _system_text(str(value))


def _system_text(value: str) -> str:
    """Refuse a text that no process could be given."""
    if fault := text_fault(value):
        raise _wrong(f"got {shown(value)}, which {fault}; correct it")
    return value


def _variables(value: Any) -> Any:
    """Refuse names that no environment has, and those that Loopwise sets."""
    for name in value if isinstance(value, dict) else ():
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise _wrong(f"got {shown(name)}, allowed are letters, digits and _; correct the variable's name")
        if name.startswith("LOOPWISE_"):
            raise _wrong(f"got {shown(name)}, which Loopwise sets; give the variable another name")
    return value


def _argument_lists(value: Any) -> Any:
    """One list of options is one value; a list of lists multiplies the cases."""
    if isinstance(value, list) and not any(isinstance(each, list) for each in value):
        return [value]
    return value


def _as_paths(value: Any) -> Any:
    """A path, a list of paths, or a table of variables that get the paths of the copies."""
    return _variables(value) if isinstance(value, dict) else _as_list(value)


def _json(value: Any) -> Any:
    """Refuse dates and times, which TOML has and JSON has not."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for item in inner:
        _json(item)
    if not isinstance(value, str | int | float | bool | dict | list):
        raise _wrong(f"got {shown(value)}, allowed is what JSON can say; write dates as strings")
    return value


def method_and_path(text: str) -> tuple[str, str]:
    """Split `GET /items/1` or `/items/1`; neither part is validated."""
    method, _, path = text.strip().rpartition(" ")
    return method.strip() or "GET", path


def _endpoint(value: Any) -> Any:
    """Turn `"GET /items/1"` and `"/items/1"` into tables."""
    if not isinstance(value, str):
        return value
    method, path = method_and_path(value)
    if method.upper() not in METHODS or not path.startswith("/"):
        raise _wrong(
            f'got {shown(value)}, allowed is a method and a path such as "GET /items/1" '
            f"(methods: {', '.join(METHODS)}); correct it"
        )
    return {"method": method, "path": path}


def _written(key: str) -> Callable[[Any], Any]:
    """Turn a string into a table with this key."""
    return lambda value: {key: value} if isinstance(value, str) else value


def _field(value: Any) -> Any:
    """A form's field as text: numbers as they are written, booleans as true and false."""
    if isinstance(value, list):
        return [_field(each) for each in value]
    return value if isinstance(value, str) else json.dumps(_scalar(value))


def _captured(value: Any) -> Any:
    """Refuse captures that nothing could be done with."""
    for name, path in value.items() if isinstance(value, dict) else ():
        if names_in(f"{{{name}}}") != [name]:
            raise _wrong(f"got the name {shown(name)}, allowed are letters, digits, _ and -; rename it")
        _json_path(path)
    return value


def _json_path(value: Any) -> Any:
    try:
        json_path(value)
    except (ValueError, TypeError):
        what = 'a path to one value, such as $.token, $.items[0].id or $["a key"]'
        raise _wrong(f"got {shown(value)}, allowed is {what}; correct it") from None
    return value


Factor = Annotated[list[T], BeforeValidator(_as_list), Field(min_length=1)]
"""A value or a list of values; each multiplies the cases."""
Variable = Annotated[str, BeforeValidator(as_variable)]
Scalar = Annotated[Any, BeforeValidator(_scalar)]
OptionValue = Annotated[Any, BeforeValidator(_option)]
RequestPath = Annotated[str, BeforeValidator(_path)]
VictimPath = Annotated[str, BeforeValidator(lambda value: value if value == "" else _path(value))]
"""An empty string removes the victim that [load] set."""
Headers = Annotated[
    dict[Annotated[str, AfterValidator(_header_name)], Annotated[str, AfterValidator(_header_value)]],
    BeforeValidator(_headers),
]


class Table(BaseModel):
    """Base of all tables: no value is converted, no key is ignored."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class ContentTable(Table):
    """A body, or a file of a form."""

    text: str | None = None
    file: str | None = None
    name: str | None = Field(default=None, min_length=1)
    type: Annotated[str, AfterValidator(_header_value)] | None = None


class FeedTable(Table):
    """A file whose rows fill requests."""

    file: str
    order: FeedOrder = "sequence"
    unique: bool = False


class ExpectBodyTable(Table):
    """The body that is a success."""

    contains: str | None = Field(default=None, min_length=1)
    path: Annotated[str, BeforeValidator(_json_path)] | None = Field(default=None, alias="json")
    equals: Annotated[Any, BeforeValidator(_json)] = None


class EndpointTable(Table):
    """One request, written as a string or as a table."""

    method: Annotated[str, BeforeValidator(_method)] = "GET"
    path: RequestPath
    headers: Headers = Field(default_factory=dict)
    json_body: Annotated[Any, BeforeValidator(_json)] = Field(default=None, alias="json")
    body: Annotated[ContentTable, BeforeValidator(_written("text"))] | None = None
    form: dict[str, Annotated[str | list[str], BeforeValidator(_field)]] | None = Field(default=None, min_length=1)
    files: dict[str, Annotated[ContentTable, BeforeValidator(_written("file"))]] | None = Field(
        default=None, min_length=1
    )
    feed: Annotated[FeedTable, BeforeValidator(_written("file"))] | None = None
    expect_status: int | None = Field(default=None, ge=100, le=599)
    expect_body: Annotated[ExpectBodyTable, BeforeValidator(_written("contains"))] | None = None


class StepTable(EndpointTable):
    """One request of a journey."""

    capture: Annotated[dict[str, str], BeforeValidator(_captured)] = Field(default_factory=dict)
    once: bool = False


EndpointText = Annotated[EndpointTable, BeforeValidator(_endpoint)]
StepText = Annotated[StepTable, BeforeValidator(_endpoint)]


class PatchTable(Table):
    """A diff: its file, or its text."""

    file: str | None = None
    text: str | None = Field(default=None, min_length=1)
    name: str | None = Field(default=None, min_length=1, max_length=200)


class MixTable(Table):
    """One of several requests in the same case: to an app that is not ours, or to a workload of target_app."""

    endpoint: EndpointText | None = None
    workload: str | None = None
    params: dict[str, Scalar] = Field(default_factory=dict)
    mode: str | None = None
    weight: int = Field(default=1, ge=1, le=1000)


def _factors_of(noun: type[Noun], renamed: Mapping[str, str]) -> dict[str, Any]:
    """Turn a model's fields into factors; types and bounds stay in the model."""
    annotated: Any = Annotated
    factor: Any = Factor
    return {
        renamed.get(name, name): (
            factor[annotated[(info.annotation, Field(), *info.metadata)]],
            Field(default_factory=list),
        )
        for name, info in noun.model_fields.items()
    }


if TYPE_CHECKING:

    class LoadTable(Table):
        """Fields of `model.Load`, each a list of values."""

    class ServerTable(Table):
        """Fields of `model.Server` with `name` as `server`, each a list of values."""

        env: dict[str, list[str]]
else:
    LoadTable = create_model(
        "LoadTable",
        __base__=Table,
        **_factors_of(Load, {}) | {"victim": (Factor[VictimPath], Field(default_factory=list))},
    )
    ServerTable = create_model(
        "ServerTable",
        __base__=Table,
        **_factors_of(Server, {"name": "server"})
        | {
            "server": (Factor[Annotated[str, BeforeValidator(_server_name)]], Field(default_factory=list)),
            "env": (
                Annotated[dict[str, Factor[Variable]], BeforeValidator(_variables)],
                Field(default_factory=dict),
            ),
            "server_args": (
                Annotated[list[list[Annotated[str, AfterValidator(_system_text)]]], BeforeValidator(_argument_lists)],
                Field(default_factory=list, min_length=1),
            ),
        },
    )

SERVER_KEYS = tuple(ServerTable.model_fields)


class Entry(ServerTable):
    """One [[matrix]] entry; `expand` decides which keys go together."""

    workload: Factor[str] = Field(default_factory=list)
    params: dict[str, Factor[Scalar]] = Field(default_factory=dict)
    mode: Factor[str] = Field(default_factory=list)
    features: Factor[str] = Field(default_factory=list)
    dependencies: Factor[Literal["own", "same"]] = Field(default_factory=list)
    patch: Factor[Annotated[PatchTable, BeforeValidator(_written("file"))]] = Field(default_factory=list)
    app: Factor[str] = Field(default_factory=list)
    python: Factor[str] = Field(default_factory=list)
    app_dir: Factor[str] = Field(default_factory=list)
    cwd: Factor[str] = Field(default_factory=list)
    factory_args: dict[str, Factor[Annotated[Any, BeforeValidator(_json)]]] = Field(default_factory=dict)
    fresh: Annotated[list[str] | dict[str, str], BeforeValidator(_as_paths)] = Field(default_factory=list)
    before_replicate: Annotated[str, Field(min_length=1), AfterValidator(_system_text)] | None = None
    url: Factor[str] = Field(default_factory=list)
    endpoint: Factor[EndpointText] = Field(default_factory=list)
    mix: list[MixTable] = Field(default_factory=list, min_length=1)
    journey: list[StepText] = Field(default_factory=list, min_length=1)
    scenario: Factor[str] = Field(default_factory=list)
    options: Factor[dict[str, OptionValue]] = Field(default_factory=list)
    name: str | None = Field(default=None, min_length=1, max_length=80)
    load: LoadTable = Field(default_factory=LoadTable)


class SuiteTable(Table):
    """A whole suite, each value of the right type."""

    name: str | None = Field(default=None, pattern=SUITE_NAME)
    description: str = ""
    seed: int = Field(default=1, ge=0, lt=2**63)
    load: LoadTable = Field(default_factory=LoadTable)
    generator: Generator = Generator()
    replicates: Replicates = Replicates()
    compare: Comparison = Comparison()
    matrix: list[Entry] = Field(min_length=1)


def given(table: BaseModel) -> dict[str, Any]:
    """Return the keys that were written, with their values; defaults are left out."""
    return {name: getattr(table, name) for name in type(table).model_fields if name in table.model_fields_set}


def parse_suite(document: Mapping[str, Any], source: Source) -> SuiteTable:
    """Parse the document into typed tables.

    Raises:
        SuiteError: the first error, and how many more there are.
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
    """Undo what validators did to `loc`: a scalar made a list has no index, a string that was split no parts."""
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
    """Return the keys of the table at `loc`."""
    model: type[BaseModel] = SuiteTable
    for part in loc:
        if isinstance(part, str):
            fields = {info.alias or name: info for name, info in model.model_fields.items()}
            model = (part in fields and _table_in(fields[part].annotation)) or model
    return sorted(info.alias or name for name, info in model.model_fields.items())


def _table_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((table for part in get_args(annotation) if (table := _table_in(part))), None)
