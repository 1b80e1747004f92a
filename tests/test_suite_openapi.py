"""Operations of OpenAPI documents: the request that is made from each, and why it isn't asked unasked."""

import tomllib
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loopwise.suite.openapi import Operation, base_path, hidden, operations
from loopwise.suite.schema import EndpointTable
from loopwise.suite.schema_values import Values
from loopwise.suite.to_toml import toml


def operation(method: str = "get", path: str = "/x", document: dict[str, Any] | None = None, **keys: Any) -> Operation:
    (only,) = operations({**(document or {}), "paths": {path: {method: keys}}})
    return only


def parameter(name: str, place: str = "query", **keys: Any) -> dict[str, Any]:
    return {"name": name, "in": place, "required": True, **keys}


def body(media: str, schema: dict[str, Any], **keys: Any) -> dict[str, Any]:
    return {"required": True, "content": {media: {"schema": schema, **keys}}}


ORDER = {
    "type": "object",
    "required": ["count"],
    "properties": {"count": {"type": "integer"}, "note": {"type": "string"}},
}
UPLOAD = {
    "type": "object",
    "required": ["file", "title"],
    "properties": {"file": {"type": "string", "format": "binary"}, "title": {"type": "string", "example": "a"}},
}


@pytest.mark.parametrize(
    "path", ["/items", "/", "/logs", "/resettlement", "/long-run", "/deleted", "/sync", "/runs/get"]
)
@pytest.mark.parametrize("method", ["get", "head"])
def test_get_and_head_that_need_nothing_are_active(method: str, path: str) -> None:
    each = operation(method, path)
    assert (each.inactive(), each.endpoint) == ("", f"{method.upper()} {path}")


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete", "options"])
def test_other_methods_wait_for_include_unsafe(method: str) -> None:
    each = operation(method)
    assert each.inactive() == ("is neither GET nor HEAD" if method == "options" else "changes data")
    assert each.inactive(include_unsafe=True) == ""


@pytest.mark.parametrize(
    ("path", "keys", "word"),
    [
        ("/auth/logout", {}, "logout"),
        ("/api/v1/reset", {}, "reset"),
        ("/cache/purge-all", {}, "purge"),
        ("/admin/flushAll", {}, "flush"),
        ("/flushall", {}, "flushall"),
        ("/delete_items", {}, "delete"),
        ("/DELETE/me", {}, "delete"),
        ("/system/shutdown", {}, "shutdown"),
        ("/run", {}, "run"),
        ("/p", {"operationId": "wipe_database_p_get"}, "wipe"),
        ("/p", {"summary": "Restart the workers"}, "restart"),
    ],
)
def test_a_get_whose_name_promises_a_change_is_inactive(path: str, keys: dict[str, Any], word: str) -> None:
    each = operation("get", path, **keys)
    assert each.inactive() == f'may change something ("{word}")'
    assert each.inactive(include_unsafe=True) == ""


@pytest.mark.parametrize(
    ("keys", "reason", "headers"),
    [
        ({"security": [{"bearer": []}]}, "needs a login (bearer)", {"Authorization": "Bearer TOKEN"}),
        ({"security": [{"basic": []}]}, "needs a login (basic)", {"Authorization": "Basic CREDENTIALS"}),
        ({"security": [{"key": []}]}, "needs a login (key)", {"X-Key": "KEY"}),
        ({}, "needs a login (oauth)", {"Authorization": "Bearer TOKEN"}),  # of the whole document
        ({"security": []}, "", {}),
        ({"security": [{"bearer": []}, {}]}, "", {}),  # optional
    ],
)
def test_a_login_is_read_from_security(keys: dict[str, Any], reason: str, headers: dict[str, str]) -> None:
    schemes = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "basic": {"type": "http", "scheme": "basic"},
        "key": {"type": "apiKey", "in": "header", "name": "X-Key"},
        "oauth": {"type": "oauth2"},
    }
    document = {"components": {"securitySchemes": schemes}, "security": [{"oauth": []}]}
    each = operation("get", document=document, **keys)
    assert (each.inactive(), each.request.get("headers", {})) == (reason, headers)
    assert each.inactive(include_unsafe=True) == reason


@pytest.mark.parametrize(
    ("path", "parameters", "asked", "headers"),
    [
        ("/i/{n}", [parameter("n", "path", schema={"type": "integer", "minimum": 5})], "/i/5", {}),
        ("/i/{n}", [parameter("n", "path", schema={"type": "string"}, example="a b/c")], "/i/a%20b%2Fc", {}),
        ("/i/{n}", [], "/i/1", {}),  # the document forgot it
        ("/i", [parameter("q", schema={"enum": ["new", "old"]})], "/i?q=new", {}),
        ("/i", [parameter("q", schema={"type": "array", "items": {"type": "boolean"}})], "/i?q=true", {}),
        ("/i", [parameter("q", schema={"type": "array", "default": [1, 2]}, explode=False)], "/i?q=1%2C2", {}),
        ("/i", [parameter("q", schema={"type": "array", "default": [1, 2]})], "/i?q=1&q=2", {}),
        (
            "/i",
            [parameter("q", type="array", items={"type": "integer"}, default=[1, 2])],
            "/i?q=1%2C2",
            {},
        ),  # OpenAPI 2
        (
            "/i",
            [parameter("X-T", "header", schema={"format": "uuid"})],
            "/i",
            {"X-T": "00000000-0000-4000-8000-000000000000"},
        ),
        ("/i", [parameter("c", "cookie", schema={"default": 7})], "/i", {"Cookie": "c=7"}),
    ],
)
def test_required_parameters_are_filled_in_and_named(
    path: str, parameters: list[dict[str, Any]], asked: str, headers: dict[str, str]
) -> None:
    each = operation("get", path, parameters=parameters)
    assert (each.request["path"], each.request.get("headers", {})) == (asked, headers)
    named = f"{parameters[0]['in']} {parameters[0]['name']}" if parameters else "path n"
    assert each.inactive() == f"has required parameters: {named}"


def test_only_values_of_the_document_itself_make_a_request_complete() -> None:
    told = operation("get", "/i/{n}", parameters=[parameter("n", "path", schema={"type": "integer"}, example=7)])
    guessed = operation("get", "/i/{n}", parameters=[parameter("n", "path", schema={"type": "integer"})])
    assert (told.inactive(include_unsafe=True), told.request["path"]) == ("", "/i/7")
    assert guessed.inactive(include_unsafe=True) == "has required parameters: path n"


def test_optional_parameters_are_left_out() -> None:
    each = operation("get", parameters=[{"name": "q", "in": "query", "schema": {"type": "string"}}])
    assert (each.inactive(), each.endpoint) == ("", "GET /x")


def test_an_operation_overrides_a_parameter_of_its_path() -> None:
    shared, own = parameter("q", schema={"default": 1}), parameter("q", schema={"default": 2})
    item = {"parameters": [shared], "get": {"parameters": [own]}, "head": {}}
    assert [each.request["path"] for each in operations({"paths": {"/x": item}})] == ["/x?q=2", "/x?q=1"]


@pytest.mark.parametrize(
    ("keys", "content", "reason"),
    [
        ({"requestBody": body("application/json", ORDER)}, {"json": {"count": 1}}, "needs a JSON body"),
        (
            {"requestBody": body("application/vnd.api+json; charset=utf-8", ORDER, example={"count": 9, "note": None})},
            {"json": {"count": 9}},
            "needs a JSON body",
        ),
        (
            {"requestBody": body("application/x-www-form-urlencoded", ORDER)},
            {"form": {"count": "1"}},
            "needs a form (count)",
        ),
        (
            {"requestBody": body("multipart/form-data", UPLOAD)},
            {"form": {"title": "a"}, "files": {"file": "FILE"}},
            "needs a file (file)",
        ),
        (
            {"requestBody": body("application/octet-stream", {"type": "string", "format": "binary"})},
            {"body": "string", "headers": {"Content-Type": "application/octet-stream"}},
            "needs a body (application/octet-stream)",
        ),
        # OpenAPI 2
        ({"parameters": [parameter("order", "body", schema=ORDER)]}, {"json": {"count": 1}}, "needs a JSON body"),
        (
            {"parameters": [parameter("user", "formData", type="string", default="ann")]},
            {"form": {"user": "ann"}},
            "needs a form (user)",
        ),
        ({"parameters": [parameter("f", "formData", type="file")]}, {"files": {"f": "FILE"}}, "needs a file (f)"),
    ],
)
def test_a_body_is_filled_in_by_its_content_type(keys: dict[str, Any], content: dict[str, Any], reason: str) -> None:
    each = operation("post", **keys)
    assert {name: value for name, value in each.request.items() if name not in {"method", "path"}} == content
    assert each.inactive() == f"changes data; {reason}"
    assert each.inactive(include_unsafe=True) == ("" if set(content) <= {"json", "form"} else reason)


def test_references_are_followed_everywhere() -> None:
    document: dict[str, Any] = {
        "components": {
            "schemas": {"Order": {"allOf": [{"$ref": "#/components/schemas/Base"}, ORDER]}, "Base": UPLOAD},
            "parameters": {"Tenant": parameter("t", schema={"$ref": "#/components/schemas/Size"})},
            "requestBodies": {"Order": body("application/json", {"$ref": "#/components/schemas/Order"})},
        }
    }
    document["components"]["schemas"]["Size"] = {"enum": ["s"]}
    parameters = [{"$ref": "#/components/parameters/Tenant"}]
    order = {"$ref": "#/components/requestBodies/Order"}
    each = operation("post", document=document, parameters=parameters, requestBody=order)
    assert each.request["path"] == "/x?t=s"
    assert each.request["json"] == {"file": "string", "title": "a", "count": 1}


def test_a_stream_of_events_is_not_asked_unasked() -> None:
    each = operation("get", responses={"200": {"content": {"text/event-stream": {}}}})
    assert each.inactive(include_unsafe=True) == "streams its answer, perhaps without end"


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "integer"}, 1),
        ({"type": "integer", "minimum": 3}, 3),
        ({"type": "integer", "exclusiveMinimum": 3}, 4),
        ({"type": "integer", "minimum": 3, "exclusiveMinimum": True}, 4),
        ({"type": "integer", "maximum": -2}, -2),
        ({"type": "number", "minimum": 0.2, "maximum": 0.4}, 0.4),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, 0.5),
        ({"type": "integer", "multipleOf": 5, "minimum": 7}, 10),
        ({"type": ["null", "string"], "maxLength": 3}, "str"),
        ({"type": "string", "minLength": 8}, "stringxx"),
        ({"anyOf": [{"type": "null"}, {"type": "boolean"}]}, True),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [1, 1]),
        ({"const": "x"}, "x"),
        ({"type": "string", "examples": ["y"]}, "y"),
        ({"oneOf": [{"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}}]}, {"a": 1}),
    ],
)
def test_a_value_fits_its_schema(schema: dict[str, Any], value: Any) -> None:
    assert Values({}).of_schema(schema).value == value


def test_a_schema_that_refers_to_itself_ends() -> None:
    node = {"type": "object", "required": ["next"], "properties": {"next": {"$ref": "#/node"}}}
    each = operation("post", document={"node": node}, requestBody=body("application/json", {"$ref": "#/node"}))
    assert "next" in each.request["json"]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"swagger": "2.0", "basePath": "/v2/"}, "/v2"),
        ({"servers": [{"url": "/api"}]}, "/api"),
        ({"servers": [{"url": "/"}]}, ""),
        ({"servers": [{"url": "https://shop.example/api"}]}, ""),
        ({}, ""),
    ],
)
def test_the_base_path_of_a_served_document(document: dict[str, Any], expected: str) -> None:
    assert base_path(document) == expected


def test_a_hidden_route_is_known_by_method_and_path_alone() -> None:
    assert hidden("GET", "/a").inactive() == "is in no OpenAPI document, which would say what it needs"
    assert hidden("GET", "/reset/{n}").inactive(include_unsafe=True) == "has required parameters: n"


KEYS = ["parameters", "requestBody", "content", "application/json", "schema", "type", "properties", "required", "name"]
KEYS += ["in", "$ref", "security", "allOf", "enum", "items", "example", "examples", "responses", "minimum", "minItems"]
WORDS = st.sampled_from(["#/paths", "query", "path", "object", "array", "integer", "a b", "\n"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=20,
)


SCHEMA_KEYS = [
    "type",
    "properties",
    "required",
    "allOf",
    "anyOf",
    "items",
    "minItems",
    "multipleOf",
    "minimum",
    "format",
]
SCHEMA_KEYS += [
    "format",
    "exclusiveMaximum",
    "maximum",
    "minLength",
    "maxLength",
    "$ref",
    "enum",
    "additionalProperties",
]
KINDS = st.sampled_from(["object", "array", "integer", "number", "string", "boolean", "null", "#/type", "", "\x00"])
SCHEMAS = st.recursive(
    KINDS | st.integers(-3, 3) | st.booleans() | st.none(),
    lambda inner: st.dictionaries(st.sampled_from(SCHEMA_KEYS), inner, max_size=5) | st.lists(inner, max_size=3),
    max_leaves=25,
)


@settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(SCHEMAS)
def test_a_damaged_schema_has_a_value_all_the_same(schema: Any) -> None:
    value = Values({"type": schema}).of_schema(schema).value
    assert tomllib.loads(f"x = {toml(value)}")["x"] == value


@settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(max_size=6), st.dictionaries(st.sampled_from(KEYS), JSON, max_size=4), JSON)
def test_a_damaged_document_never_raises_and_never_asks_the_impossible(
    path: str, keys: dict[str, Any], rest: Any
) -> None:
    for each in operations({"paths": {path: {"get": keys}, "rest": rest}, "components": rest}):
        if not each.inactive():
            EndpointTable.model_validate({**each.request})
