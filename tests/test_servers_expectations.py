"""Expected bodies and captures: what is found, what is not, and where."""

from typing import Any

import pytest

from loopwise.model import Endpoint, ExpectBody
from loopwise.servers.expectations import MISSING, Expectation, json_path, value_at

DOCUMENT = {"a": {"b": [1, {"c": None}], "x y": "z", "ключ": True}, "n": 1.0}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("$", DOCUMENT),
        ("$.a.b[0]", 1),
        ("$.a.b[-1].c", None),
        ('$.a["x y"]', "z"),
        ("$['a']['ключ']", True),
        ("$.a.b[2]", MISSING),
        ("$.a.b.c", MISSING),
        ("$.a[0]", MISSING),
        ("$.n.x", MISSING),
        ("$.missing", MISSING),
    ],
)
def test_a_path_names_one_value_or_none(path: str, value: Any) -> None:
    assert value_at(DOCUMENT, json_path(path)) is value or value_at(DOCUMENT, json_path(path)) == value


@pytest.mark.parametrize("text", ["", "a", "a.b", "$a", "$.", "$.a[*]", "$..a", "$.a[", "$.a b", "$[a]", "$.1"])
def test_what_is_no_path_to_one_value_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no path to one value"):
        json_path(text)


def fault(expected: ExpectBody, body: bytes, values: dict[str, Any] | None = None) -> str | None:
    endpoint = Endpoint(expect_body=expected, step=None if values is None else 1)
    return Expectation(endpoint).fault(body, values or {})


OK = b'{"status": "ok", "n": 1, "t": true, "l": [1, true], "id": 7}'


@pytest.mark.parametrize(
    ("expected", "why"),
    [
        (ExpectBody(contains='"ok"'), None),
        (ExpectBody(contains="{id}"), "it does not contain '{id}'"),
        (ExpectBody(path="$.status", equals="ok"), None),
        (ExpectBody(path="$.status", equals="no"), "$.status is 'ok', not 'no'"),
        (ExpectBody(path="$.n", equals=1.0), None),
        (ExpectBody(path="$.n", equals=True), "$.n is '1', not 'true'"),
        (ExpectBody(path="$.t", equals=1), "$.t is 'true', not '1'"),
        (ExpectBody(path="$.l", equals=[1, True]), None),
        (ExpectBody(path="$.l", equals=[1, 1]), "$.l is '[1,true]', not '[1,1]'"),
        (ExpectBody(path="$.l", equals=[1]), "$.l is '[1,true]', not '[1]'"),
        (ExpectBody(path="$.id"), None),
        (ExpectBody(path="$.missing"), "it has no $.missing"),
    ],
)
def test_a_body_is_as_expected_or_the_reason_is_named(expected: ExpectBody, why: str | None) -> None:
    assert fault(expected, OK) == why


def test_a_body_that_is_no_json_has_no_value_at_any_path() -> None:
    assert fault(ExpectBody(path="$.a"), b"<html>") == "it has no $.a"
    assert fault(ExpectBody(path="$", equals="x"), b"\xff") == "it has no $"


@pytest.mark.parametrize("value", [7, "7"])
def test_a_row_fills_what_is_expected_whether_text_or_number(value: Any) -> None:
    assert fault(ExpectBody(path="$.id", equals="{id}"), OK, {"id": value}) is None
    assert fault(ExpectBody(contains='"id": {id}'), OK, {"id": value}) is None
    assert fault(ExpectBody(path="$.id", equals="{id}"), OK, {"id": "8"}) == "$.id is '7', not '8'"


def test_places_inside_a_value_and_literal_ones_are_filled() -> None:
    nested = ExpectBody(path="$", equals={"item": [{"{id}": "{id}"}], "open": True})
    assert fault(nested, b'{"item": [{"7": 7}], "open": true}', {"id": "7"}) is None
    assert fault(nested, b'{"item": [{"7": 8}], "open": true}', {"id": "7"}) is not None
    assert fault(ExpectBody(contains="{{id}}"), b"see {id}", {}) is None


def test_captures_take_values_with_their_type_or_name_the_path_that_has_none() -> None:
    expectation = Expectation(Endpoint(capture={"a": "$.n", "b": "$.l"}))
    assert expectation.capture(OK) == ({"a": 1, "b": [1, True]}, None)
    assert expectation.capture(b'{"n": 1, "l": null}') == ({}, "$.l")
    assert expectation.capture(b"oops") == ({}, "$.n")
    assert expectation.capture(b"[" * 100_000) == ({}, "$.n")
    assert expectation.capture(b'{"n": "\\udc80"}') == ({}, "$.n")
    assert expectation.capture(b'{"n": 1, "l": ["\\ud83d\\ude80", "\\ud83d"]}') == ({}, "$.l")


def test_a_capture_that_no_header_can_hold_finds_nothing() -> None:
    endpoint = Endpoint(capture={"token": "$.t"})
    assert Expectation(endpoint, frozenset({"token"})).capture(b'{"t": "a\\r\\nX: y"}') == ({}, "$.t")
    assert Expectation(endpoint).capture(b'{"t": "a\\nb"}') == ({"token": "a\nb"}, None)
