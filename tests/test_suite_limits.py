"""Values that could be neither sent nor recorded: `check` refuses them at once, whatever their key."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.suite import FakeTarget, sentence, suite_of

from loopwise.errors import SuiteError
from loopwise.model import Load, Suite
from loopwise.servers.wire import endpoint_bytes
from loopwise.suite import make_suite
from loopwise.suite.file import Source
from loopwise.suite.limits import refuse_unusable
from loopwise.suite.schema import Entry

ENTRY = '[[matrix]]\nworkload = "sleep"\nmode = "async"\n'
URL = '[[matrix]]\nurl = "http://127.0.0.1:9"\n'
APP = '[[matrix]]\napp = "shop:app"\nendpoint = "/"\n'
OPEN = '[load]\nmodel = "open"\n'
LONG = "a" * 5000


def nested(levels: int) -> str:
    return "[" * levels + "]" * levels


def sending(value: str) -> str:
    return f'{URL}endpoint = {{ path = "/", method = "POST", json = {value} }}'


# suite, words of its refusal
UNUSABLE = [
    (sending("{ a = nan }"), "matrix[0].endpoint.json.a: got NaN, allowed is a finite number"),
    (sending("[-inf]"), "matrix[0].endpoint.json[0]: got -Infinity"),
    (
        URL + 'endpoint = { path = "/", expect_body = { json = "$.a", equals = nan } }',
        "expect_body.equals: got NaN",
    ),
    (APP + "factory_args = { a = inf }", "matrix[0].factory_args.a: got Infinity"),
    (URL + 'scenario = "ok.py"\noptions = { a = nan }', "matrix[0].options.a: got NaN"),
    (sending(nested(300)), "matrix[0].endpoint.json[0][0]: is nested in more than 100 levels"),
    (ENTRY + f"x = {nested(5000)}", "its values are nested too deep to be read"),
    (ENTRY + "x." + ".".join("a" * 5000) + " = 1", "is nested in more than 100 levels"),
    ("seed = " + "9" * 5000, "has a whole number of thousands of digits, allowed are 64 bits"),
    ("seed = 0x" + "f" * 5000, "seed: got a whole number of 20000 bits, the sign aside, allowed are 63"),
    (sending(str(2**63)), "endpoint.json: got a whole number of 64 bits, the sign aside, allowed are 63"),
    ("[load]\nthink_s = 1.8e308\n" + ENTRY, "load.think_s: got Infinity"),
    ("[load]\nthink_s = 1e300\n" + ENTRY, "load.think_s: got 1e+300, allowed is 86400 or less"),
    ("[load]\nspawn_rate = 1e-300\n" + ENTRY, "load.spawn_rate: got 1e-300, allowed is 0.001 or more"),
    (OPEN + "rate_rps = 1e-300\n" + ENTRY, "load.rate_rps: got 1e-300, allowed is 0.001 or more"),
    (OPEN + "rate_rps = 0.3\n" + ENTRY, "load.rate_rps: got 0.3 a second, so that no request is due in the window"),
    ("[generator]\nprocesses = 64\n" + ENTRY, "generator.processes: got 64, allowed are 8, 4 for each core"),
    (APP + "limit_concurrency = 1", "limit_concurrency: got 1, allowed is 2 or more"),
    (APP + 'app_dir = "a\\u0000b"', "matrix[0].app_dir: got"),
    (APP + f'app_dir = "{LONG}"', "which can be no path (File name too long)"),
    (APP + 'python = "a\\u0000b"', "has a null byte"),
    (APP + f'python = "{LONG}"', "matrix[0].python: got"),
    (APP + f'env_file = "{LONG}"', "matrix[0].env_file: got"),
    (URL + 'scenario = "a\\u0000.py"', "matrix[0].scenario: got"),
    (URL + f'endpoint = {{ path = "/{{a}}", feed = "{LONG}" }}', "matrix[0].endpoint.feed: got"),
    (URL + 'endpoint = { path = "/", body = { file = "a\\u0000b" } }', "endpoint.body.file: got"),
    (APP + 'env = { A = "a\\u0000b" }', "matrix[0].env.A: got"),
    (APP + f'env = {{ A = "{"b" * 200_000}" }}', "has 200,000 bytes, allowed are 131,071"),
    (APP + 'before_replicate = "a\\u0000b"', "matrix[0].before_replicate: got"),
    (URL + f'endpoint = "/{"a" * 70_000}"', "matrix[0].endpoint: got 70,001 characters, allowed are 65,536"),
    (
        (ENTRY + f"workers = {list(range(1, 101))}\nport = {list(range(1, 101))}\n") * 30,
        "matrix: makes more than 10000 cases in all; shorten its lists",
    ),
]


@pytest.mark.parametrize(("text", "words"), UNUSABLE, ids=[words[:40] for _, words in UNUSABLE])
def test_what_can_be_neither_sent_nor_recorded_is_refused(tmp_path: Path, text: str, words: str) -> None:
    message = sentence(tmp_path, text)
    assert words in message
    assert len(message) < 500


@pytest.mark.parametrize("document", [{"name": "a\ud800"}, {"matrix": [{"endpoint": {"json": {"\udc80": 1}}}]}])
def test_what_no_file_can_record_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(SuiteError, match="has a lone surrogate, half of a character, which no file can record"):
        refuse_unusable(document, Source("s.toml", Path()))


@pytest.mark.parametrize("override", [f"seed={'9' * 5000}", f"x={nested(5000)}", f"matrix.{'9' * 5000}.mode=sync"])
def test_overrides_beyond_all_bounds_are_refused_in_a_short_line(tmp_path: Path, override: str) -> None:
    assert len(sentence(tmp_path, ENTRY, override)) < 250


def test_the_deepest_json_that_is_allowed_is_sent_and_recorded(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, sending(nested(96)))
    (endpoint,) = suite.cases[0].endpoints
    assert endpoint_bytes(endpoint, "x").endswith(nested(96).encode())
    assert Suite.model_validate(json.loads(suite.model_dump_json())) == suite


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["/", "GET /a", "http://127.0.0.1:9", "a:b", "sleep", "async", "\0", LONG, 2**70, 1e-300]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
KEYS = [info.alias or name for name, info in Entry.model_fields.items() if name != "load"]
LOADS = st.fixed_dictionaries({}, optional=dict.fromkeys(Load.model_fields, VALUES))
ENTRIES = st.fixed_dictionaries({}, optional=dict.fromkeys(KEYS, VALUES) | {"load": LOADS})
STARTS: list[dict[str, Any]] = [
    {"workload": "sleep", "mode": "async"},
    {"url": "http://127.0.0.1:9", "endpoint": "/"},
    {"app": "a:b", "endpoint": "/"},
]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(STARTS), st.sampled_from(KEYS), VALUES, LOADS, ENTRIES)
def test_whatever_an_entry_holds_it_is_measured_or_refused(
    start: dict[str, Any], key: str, value: Any, load: dict[str, Any], wild: dict[str, Any]
) -> None:
    for entry in ({**start, key: value}, {**start, "load": load}, wild):
        with suppress(SuiteError):
            suite = make_suite({"matrix": [entry]}, label="fuzzed", folder=Path.cwd(), describe=FakeTarget())
            assert Suite.model_validate(json.loads(suite.model_dump_json())) == suite
