"""Endpoints with bodies, feeds and journeys: what a suite may say, and a sentence for what it may not."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from support.fakes import case_of
from support.suite import ids_of, sentence, suite_of

from loopwise.model import Content, Endpoint, ExpectBody, Feed, Suite
from loopwise.model.naming import assign_ids
from loopwise.servers.files import hash_of
from loopwise.suite.to_toml import entry, toml

URL = '[[matrix]]\nurl = "http://127.0.0.1:9000"\n'
USERS = "id,name\n1,ann\n2,bob\n3,eve\n"


@pytest.fixture(autouse=True)
def files(tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text(USERS, encoding="utf-8")
    (tmp_path / "items.jsonl").write_text('{"n": 1, "token": "a\\nb"}\n{"n": 2, "token": "x"}\n', encoding="utf-8")
    (tmp_path / "broken.csv").write_text("id\n1,2\n", encoding="utf-8")
    (tmp_path / "empty.jsonl").write_text("", encoding="utf-8")
    (tmp_path / "photo.bin").write_bytes(b"\x00\xff")


def endpoint_of(folder: Path, text: str) -> Endpoint:
    (case,) = suite_of(folder, f"{URL}endpoint = {text}").cases
    return case.endpoints[0]


def test_bodies_are_texts_or_files_that_are_known_by_their_content(tmp_path: Path) -> None:
    photo = {"file": str(tmp_path.resolve() / "photo.bin"), "sha256": hash_of(b"\x00\xff")}
    assert endpoint_of(tmp_path, '{ path = "/", body = "x" }').body == Content(text="x")
    assert endpoint_of(tmp_path, '{ path = "/", body = { file = "photo.bin", type = "a/b" } }').body == Content(
        **photo, type="a/b"
    )
    both = endpoint_of(
        tmp_path,
        '{ path = "/", form = { a = 1, b = [true, "x", 2.5] }, files = { f = "photo.bin", g = { text = "y" } } }',
    )
    assert both.form == {"a": "1", "b": ["true", "x", "2.5"]}
    assert both.files == {"f": Content(**photo), "g": Content(text="y")}


def test_a_feed_is_a_file_or_a_table_with_its_order(tmp_path: Path) -> None:
    feed = Feed(file=str(tmp_path.resolve() / "users.csv"), sha256=hash_of(USERS.encode()))
    assert endpoint_of(tmp_path, '{ path = "/{id}", feed = "users.csv" }').feed == feed
    table = '{ path = "/{id}", feed = { file = "users.csv", order = "shuffle" } }'
    assert endpoint_of(tmp_path, table).feed == feed.model_copy(update={"order": "shuffle"})


def test_expected_bodies_are_a_part_or_a_value_at_a_path(tmp_path: Path) -> None:
    assert endpoint_of(tmp_path, '{ path = "/", expect_body = "ok" }').expect_body == ExpectBody(contains="ok")
    table = '{ path = "/", expect_body = { json = "$.a[0]", equals = { b = 1 } } }'
    assert endpoint_of(tmp_path, table).expect_body == ExpectBody(path="$.a[0]", equals={"b": 1})


JOURNEY = """
    name = "shopping"
    journey = [
      { path = "/login", json = { u = "{name}" }, feed = "users.csv", capture = { t = "$.a" }, once = true },
      "GET /items",
      { path = "/users/{id}", headers = { Authorization = "Bearer {t}" } },
    ]
"""


def test_a_journey_is_one_case_whose_steps_keep_their_order(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, f"{URL}{JOURNEY}")
    (case,) = suite.cases
    assert (case.workload, case.mode, case.case_id) == ("shopping", "own", "shopping-own-url-u50")
    steps = [(each.step, each.name, each.once, each.capture) for each in case.endpoints]
    assert steps == [
        (1, "GET /login", True, {"t": "$.a"}),
        (2, "GET /items", False, {}),
        (3, "GET /users/{id}", False, {}),
    ]
    assert Suite.model_validate_json(suite.model_dump_json()) == suite
    (unnamed,) = suite_of(tmp_path, f'{URL}journey = ["GET /a", "/b"]').cases
    assert unnamed.case_id == "get-a-then-get-b-own-url-u50"


@pytest.mark.parametrize(
    "keys",
    [
        JOURNEY,
        'endpoint = { method = "POST", path = "/{id}", body = "{name}", feed = { file = "users.csv", unique = true } }',
        'endpoint = { path = "/", form = { a = ["1"] }, files = { f = { file = "photo.bin", name = "x" } } }',
        'endpoint = { path = "/", body = { file = "photo.bin" }, expect_body = { json = "$.a", equals = [1] } }',
    ],
)
def test_such_a_case_comes_back_from_its_toml(tmp_path: Path, keys: str) -> None:
    (case,) = suite_of(tmp_path, f"{URL}{keys}\nload = {{ users = 2 }}").cases
    text = toml(entry(case))
    (again,) = suite_of(tmp_path, f"matrix = [{text}]").cases
    assert again == case
    assert tomllib.loads(f"x = {text}")


def test_endpoints_without_the_later_keys_are_written_as_before() -> None:
    endpoint = Endpoint(method="POST", path="/x", json_body={"a": 1}, weight=2)
    assert endpoint.model_dump() == {
        "method": "POST", "path": "/x", "headers": {}, "json": {"a": 1}, "expect_status": None, "weight": 2,
    }  # fmt: skip


def test_equal_names_with_other_bodies_keep_the_ids_they_had() -> None:
    """The hash at their end is of all that is written of a case."""
    cases = [case_of("", endpoints=(Endpoint(path="/x", json_body={"n": n}),)) for n in (1, 2)]
    assert [case.case_id[-7:] for case in assign_ids(cases)] == ["-0f1da0", "-39481c"]


def test_another_content_of_a_feed_is_another_case(tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("id\n9\n", encoding="utf-8")
    feeds = "[{ path = '/{id}', feed = 'users.csv' }, { path = '/{id}', feed = 'other.csv' }]"
    ids = ids_of(suite_of(tmp_path, f"{URL}endpoint = {feeds}"))
    assert len(set(ids)) == 2
    assert all(each.startswith("get-id-own-url-u50-") for each in ids)


def with_feed(more: str, feed: str = '"users.csv"') -> str:
    return f'{URL}endpoint = {{ path = "/{{id}}", feed = {feed}{more and ", "}{more} }}'


def one(keys: str) -> str:
    return f'{URL}endpoint = {{ path = "/", {keys} }}'


WRONG: list[tuple[str, str]] = [
    (one('json = 1, body = "x"'), "endpoint.body: can't be combined with json: a request has one body"),
    (one('body = "x", form = { a = 1 }'), "endpoint.form: can't be combined with body"),
    (one('json = 1, form = { a = 1 }, files = { a = "x" }'), "endpoint.form: can't be combined with json"),
    (one("form = {}"), "endpoint.form: got {}, allowed is at least one"),
    (one("form = { a = { b = 1 } }"), "endpoint.form.a: got"),
    (one("files = { f = 'gone.bin' }"), 'endpoint.files.f.file: got "gone.bin", but there is no file'),
    (one("files = { f = { nme = 'x' } }"), 'endpoint.files.f.nme: unknown key (did you mean "name"?)'),
    (one("body = { type = 'x' }"), 'endpoint.body: needs either text = "…" or file = "PATH"'),
    (one("body = { text = 'x', name = 'x' }"), "endpoint.body.name: is sent with a file of a form"),
    (one("body = { file = 'gone.bin' }"), 'endpoint.body.file: got "gone.bin", but there is no file'),
    (one('expect_body = { json = "a.b" }'), 'endpoint.expect_body.json: got "a.b", allowed is a path to one value'),
    (one('expect_body = { equals = "x" }'), "endpoint.expect_body: needs a text, or { json ="),
    (one('expect_body = ""'), 'endpoint.expect_body: got "", allowed is at least one character'),
    (
        one('expect_body = "x", headers = { accept-encoding = "gzip" }'),
        "endpoint.headers.accept-encoding: asks for an encoded body",
    ),
    (one('feed = "gone.csv"'), 'endpoint.feed: got "gone.csv", but there is no file'),
    (one('feed = "photo.bin"'), 'endpoint.feed: got "photo.bin", allowed are .csv and .jsonl files'),
    (one('feed = "broken.csv"'), "endpoint.feed: broken.csv, line 2: has 2 fields, the header names 1 (id)"),
    (one('feed = "empty.jsonl"'), "endpoint.feed: empty.jsonl has no rows"),
    (one('feed = "users.csv"'), "endpoint.feed: fills nothing; write {id} where its values go"),
    (with_feed("", '{ file = "users.csv", order = "random" }'), 'endpoint.feed.order: got "random", allowed are seq'),
    (with_feed("json = { a = ['{nam}'] }"), 'endpoint.json: got {nam} (did you mean "name"?), which neither a feed'),
    (with_feed("body = '{items{x}}'"), "names here are: id, name; correct it, or write {{x}} for the text itself"),
    (with_feed("form = { a = '{x}' }"), "endpoint.form.a: got {x}"),
    (with_feed("expect_body = '{x}'"), "endpoint.expect_body: got {x}"),
    (
        one('headers = { X-T = "{token}" }, feed = "items.jsonl"'),
        "endpoint.headers.X-T: items.jsonl, line 1: token has '\\n', which is a control character, so no header",
    ),
    (f'{URL}endpoint = "/items/{{id}}"', "endpoint.path: got {id}, which nothing fills; add feed = "),
    (one('capture = { t = "$.a" }'), "endpoint.capture: unknown key"),
    (f'{URL}mix = [{{ endpoint = {{ path = "/{{x}}", feed = "users.csv" }} }}]', "mix[0].endpoint.path: got {x}"),
    (f'{URL}journey = [{{ path = "/", once = true }}]', "matrix[0].journey: has nothing to repeat"),
    (f'{URL}journey = ["/"]\nendpoint = "/"', "matrix[0].journey: can't be combined with endpoint"),
    (
        f'{URL}journey = ["/{{t}}", {{ path = "/", capture = {{ t = "$.t" }} }}]',
        "journey[0].path: got {t}, which is cap",
    ),
    (f'{URL}journey = [{{ path = "/{{t}}", capture = {{ t = "$.t" }} }}]', "captured by this step or a later one"),
    (f'{URL}journey = [{{ path = "/", capture = {{ t = "t" }} }}]', 'journey[0].capture: got "t", allowed is a path'),
    (f'{URL}journey = [{{ path = "/", capture = {{ "a b" = "$.t" }} }}]', 'journey[0].capture: got the name "a b"'),
    (f'{URL}journey = ["/"]\nload = {{ model = "open" }}', 'matrix[0].journey: needs model = "closed"'),
    ('[[matrix]]\nscenario = "ok.py"\njourney = ["/"]', "matrix[0].journey: can't be combined with scenario"),
    (
        with_feed("", '{ file = "users.csv", order = "per_user" }') + '\nload = { model = "open" }',
        'matrix[0]: a feed with order = "per_user" needs model = "closed"',
    ),
]


@pytest.mark.parametrize(("text", "expected"), WRONG)
def test_what_an_endpoint_may_not_say_is_named_with_file_and_key(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in sentence(tmp_path, text)


UNIQUE = '{ file = "users.csv", unique = true }'
OWN = '{ file = "users.csv", order = "per_user", unique = true }'
OPEN = 'model = "open", arrivals = "constant", rate_rps = 2'
LOADS: list[tuple[str, str, int]] = [
    (UNIQUE, "users = 2", 2),
    (UNIQUE, "users = 3", 3),
    (OWN, "users = 2", 2),
    (OWN, "users = 3", 3),
    (UNIQUE, f"{OPEN}, warmup_s = 0, measure_s = 1", 2),
    (UNIQUE, f"{OPEN}, warmup_s = 1, measure_s = 1", 4),
    (UNIQUE, f"{OPEN}, warmup_s = 1, measure_s = 1, ramp_to_rps = 10", 8),
    (UNIQUE, 'model = "open", rate_rps = 100, warmup_s = 0, measure_s = 1', 50),
]


@pytest.mark.parametrize(("feed", "load", "needed"), LOADS)
def test_a_unique_feed_that_a_run_is_sure_to_use_up_is_refused(
    tmp_path: Path, feed: str, load: str, needed: int
) -> None:
    text = with_feed("", feed) + f"\nload = {{ {load} }}"
    if needed <= 2:
        assert suite_of(tmp_path, text).cases
        return
    said = sentence(tmp_path, text)
    assert "users.csv has 2 unique rows for the load (and one for the request before it)" in said
    assert f"need at least {needed}; add rows, or remove unique" in said


def test_a_part_of_a_mix_needs_its_share_of_unique_rows_only(tmp_path: Path) -> None:
    mix = f'{URL}mix = [{{ endpoint = "/a", weight = 3 }}, {{ endpoint = {{ path = "/{{id}}", feed = {UNIQUE} }} }}]\n'
    assert suite_of(tmp_path, f"{mix}load = {{ users = 11 }}").cases
    assert "need at least 3" in sentence(tmp_path, f"{mix}load = {{ users = 12 }}")


def test_two_processes_need_a_row_more_for_users_of_their_own(tmp_path: Path) -> None:
    text = with_feed("", OWN) + "\nload = { users = 2 }\n[generator]\nprocesses = 2"
    assert "need at least 3" in sentence(tmp_path, text)


def model_of(**fields: Any) -> Endpoint:
    return Endpoint.model_validate(Endpoint(**fields).model_dump())


def test_steps_and_captures_survive_their_json() -> None:
    endpoint = model_of(step=2, capture={"a": "$.b"}, once=True, expect_body=ExpectBody(path="$.a", equals=False))
    assert (endpoint.step, endpoint.capture, endpoint.once) == (2, {"a": "$.b"}, True)
    assert endpoint.expect_body == ExpectBody(path="$.a", equals=False)
