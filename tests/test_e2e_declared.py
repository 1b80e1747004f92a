"""Declared requests on the wire: feeds over several processes, journeys, expected bodies, the check before a run."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from support.shop_server import ShopServer

from loopwise.errors import EndpointError, GeneratorError
from loopwise.generator.client import GeneratorProcess
from loopwise.generator.protocol import Order
from loopwise.model import Case, Content, Endpoint, ExpectBody, Feed, Load
from loopwise.results.folder import seal_samples
from loopwise.servers.files import hash_of
from loopwise.servers.lifecycle import check_endpoints

pytestmark = pytest.mark.e2e


@pytest.fixture
def shop() -> Iterator[ShopServer]:
    with ShopServer() as shop:
        yield shop


def feed_of(folder: Path, text: str, name: str = "feed.csv", **fields: Any) -> Feed:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return Feed(file=str(path), sha256=hash_of(path.read_bytes()), **fields)


def numbers(count: int) -> str:
    return "id\n" + "".join(f"{number}\n" for number in range(count))


def run(
    generator: GeneratorProcess, folder: Path, url: str, *endpoints: Endpoint, processes: int = 1, **load: Any
) -> list[dict[str, Any]]:
    """Rows of one short run without the unfinished ones."""
    usual = {"warmup_s": 0.0, "warmup_max_s": 0.0, "measure_s": 0.3, "timeout_s": 5.0, "users": 4}
    order = Order(
        url=url,
        endpoints=endpoints,
        load=Load(**usual | load),
        samples=str(folder / "samples.arrow"),
        processes=processes,
    )
    try:
        generator.run(order, lambda _: None)
    finally:
        seal_samples(folder)
    rows: list[dict[str, Any]] = pq.read_table(folder / "samples.parquet").to_pylist()
    return [row for row in rows if row["error"] != "unfinished"]


def test_every_row_of_a_feed_is_one_request_of_one_endpoint(
    generator: GeneratorProcess, shop: ShopServer, tmp_path: Path
) -> None:
    text = 'id,name\n1,"a b"\n2,é/?\n'
    endpoint = Endpoint(method="POST", path="/o/{id}?n={name}", json_body={"n": "{name}"}, feed=feed_of(tmp_path, text))
    rows = run(generator, tmp_path, shop.url, endpoint)
    assert {(row["endpoint"], row["status"], row["error"]) for row in rows} == {("POST /o/{id}?n={name}", 200, None)}
    sent = Counter((each.path, json.loads(each.body)["n"]) for each in shop.asked)
    assert set(sent) == {("/o/1?n=a%20b", "a b"), ("/o/2?n=%C3%A9%2F%3F", "é/?")}
    assert abs(sent["/o/1?n=a%20b", "a b"] - len(shop.asked) / 2) <= 1


@pytest.mark.parametrize(("processes", "model"), [(1, "closed"), (2, "closed"), (2, "open")])
def test_no_unique_row_reaches_the_server_twice(
    generator: GeneratorProcess, shop: ShopServer, tmp_path: Path, processes: int, model: str
) -> None:
    feed = feed_of(tmp_path, numbers(20_000), unique=True, order="shuffle")
    keys = {"users": 4} if model == "closed" else {"model": "open", "rate_rps": 300.0}
    rows = run(generator, tmp_path, shop.url, Endpoint(path="/{id}", feed=feed), processes=processes, **keys)
    assert {row["error"] for row in rows} == {None}
    paths = Counter(shop.paths())
    assert paths.total() >= len(rows) > 20
    assert set(paths.values()) == {1}
    assert "/19999" not in paths


@pytest.mark.parametrize(("processes", "model"), [(1, "closed"), (2, "closed"), (1, "open")])
def test_a_run_without_enough_unique_rows_ends_with_a_sentence_and_its_rows(
    generator: GeneratorProcess, shop: ShopServer, tmp_path: Path, processes: int, model: str
) -> None:
    endpoint = Endpoint(path="/{id}", feed=feed_of(tmp_path, numbers(11), unique=True))
    keys = {"users": 4} if model == "closed" else {"model": "open", "rate_rps": 500.0}
    with pytest.raises(GeneratorError) as raised:
        run(generator, tmp_path, shop.url, endpoint, processes=processes, measure_s=1.0, **keys)
    assert str(raised.value).startswith("feed.csv: its 10 unique rows were all sent after ")
    assert str(raised.value).endswith(": add rows, or remove unique")
    assert len(shop.paths()) == len(set(shop.paths())) <= 10
    assert pq.read_table(tmp_path / "samples.parquet").num_rows >= 5


def test_a_row_for_each_user_goes_over_that_users_connection_alone(
    generator: GeneratorProcess, shop: ShopServer, tmp_path: Path
) -> None:
    feed = feed_of(tmp_path, numbers(6), order="per_user", unique=True)
    run(generator, tmp_path, shop.url, Endpoint(path="/{id}", feed=feed), users=4)
    assert set(shop.paths()) == {"/0", "/1", "/2", "/3"}
    assert len({(each.client, each.path) for each in shop.asked}) == 4


STEPS = (
    Endpoint(method="POST", path="/login", json_body={"user": "{user}"}, step=1, capture={"t": "$.session[0].token"}),
    Endpoint(path="/orders/{user}", headers={"Authorization": "Bearer {t}"}, step=2),
)


def journey(feed: Feed) -> tuple[Endpoint, ...]:
    return (STEPS[0].model_copy(update={"feed": feed}), STEPS[1])


@pytest.mark.parametrize("new_connection_per_request", [False, True])
def test_each_user_of_a_journey_sends_the_token_that_it_was_given(
    generator: GeneratorProcess, shop: ShopServer, tmp_path: Path, new_connection_per_request: bool
) -> None:
    steps = journey(feed_of(tmp_path, "user\nann\nbob\neve\n"))
    check_endpoints(Case(case_id="x", workload="x", mode="own", endpoints=steps, load=Load()), shop.url)
    rows = run(generator, tmp_path, shop.url, *steps, users=3, new_connection_per_request=new_connection_per_request)
    counts = Counter(row["endpoint"] for row in rows)
    assert {row["error"] for row in rows} == {None}
    assert 0 <= counts["POST /login"] - counts["GET /orders/{user}"] <= 3
    assert counts["GET /orders/{user}"] > 3
    orders = {(each.path, each.headers["authorization"]) for each in shop.asked if each.method == "GET"}
    assert orders == {(f"/orders/{user}", f"Bearer token-of-{user}") for user in ("ann", "bob", "eve")}


def test_a_capture_that_finds_nothing_fails_its_request_and_ends_the_pass(
    generator: GeneratorProcess, shop: ShopServer, tmp_path: Path
) -> None:
    rows = run(generator, tmp_path, shop.url, *journey(feed_of(tmp_path, "user\nann\nthief\n")), users=1)
    kinds = Counter((row["endpoint"], row["status"], row["error"]) for row in rows)
    assert set(kinds) == {
        ("POST /login", 200, None),
        ("POST /login", 200, "capture $.session[0].token"),
        ("GET /orders/{user}", 200, None),
    }
    assert "/orders/thief" not in shop.paths()


def test_a_body_that_is_not_as_expected_is_an_error_of_its_own(
    generator: GeneratorProcess, shop: ShopServer, tmp_path: Path
) -> None:
    good = Endpoint(path="/a", expect_body=ExpectBody(path="$.path", equals="/a"))
    wrong = Endpoint(path="/b", expect_body=ExpectBody(contains="nowhere"))
    busy = Endpoint(path="/busy", expect_body=ExpectBody(contains="nowhere"))
    free = Endpoint(path="/c")
    rows = run(generator, tmp_path, shop.url, good, wrong, busy, free)
    assert {(row["endpoint"], row["status"], row["error"]) for row in rows} == {
        ("GET /a", 200, None),
        ("GET /b", 200, "body"),
        ("GET /busy", 503, "status_503"),
        ("GET /c", 200, None),
    }


def check(shop: ShopServer, *endpoints: Endpoint) -> str:
    """What the check before a run says."""
    with pytest.raises(EndpointError) as raised:
        check_endpoints(Case(case_id="x", workload="x", mode="own", endpoints=endpoints, load=Load()), shop.url)
    return str(raised.value)


def test_the_check_before_a_run_reads_bodies_and_captures(shop: ShopServer, tmp_path: Path) -> None:
    wrong = Endpoint(path="/b", expect_body=ExpectBody(path="$.path", equals="/x"))
    assert check(shop, wrong).startswith(
        "GET /b: the body of its answer is not as expected: $.path is '/b', not '/x' (it said: {\"path\": \"/b\""
    )
    assert check(shop, *journey(feed_of(tmp_path, "user\nthief\n"))).startswith(
        'POST /login: its answer has no value at $.session[0].token (it said: {"status": "no"}); correct capture'
    )


def test_the_check_sends_the_row_that_the_load_leaves_out(shop: ShopServer, tmp_path: Path) -> None:
    feed = feed_of(tmp_path, numbers(3), unique=True)
    case = Case(case_id="x", workload="x", mode="own", endpoints=(Endpoint(path="/{id}", feed=feed),), load=Load())
    check_endpoints(case, shop.url)
    assert shop.paths() == ["/2"]


def test_files_and_forms_arrive_as_they_are(generator: GeneratorProcess, shop: ShopServer, tmp_path: Path) -> None:
    binary = bytes(range(256))
    (tmp_path / "a.bin").write_bytes(binary)
    content = Content(file=str(tmp_path / "a.bin"), sha256=hash_of(binary), type="image/x")
    raw = Endpoint(method="PUT", path="/raw", body=content)
    form = Endpoint(method="POST", path="/form", form={"a": "1", "b": ["x", "y z"]})
    both = Endpoint(method="POST", path="/both", form={"a": "1"}, files={"f": content})
    run(generator, tmp_path, shop.url, raw, form, both)
    by_path = {each.path: each for each in shop.asked}
    assert (by_path["/raw"].body, by_path["/raw"].headers["content-type"]) == (binary, "image/x")
    assert by_path["/form"].body == b"a=1&b=x&b=y+z"
    assert by_path["/form"].headers["content-type"] == "application/x-www-form-urlencoded"
    assert by_path["/both"].headers["content-type"].startswith("multipart/form-data; boundary=")
    assert b'name="a"\r\n\r\n1\r\n' in by_path["/both"].body
    assert b'name="f"; filename="a.bin"\r\nContent-Type: image/x\r\n\r\n' + binary in by_path["/both"].body
    assert len({each.body for each in shop.asked}) == 3


def test_a_file_that_changed_since_the_suite_was_read_ends_the_run(
    generator: GeneratorProcess, shop: ShopServer, tmp_path: Path
) -> None:
    feed = feed_of(tmp_path, "id\n1\n")
    feed_of(tmp_path, "id\n2\n")
    with pytest.raises(GeneratorError, match=r"feed\.csv has changed since the suite was read"):
        run(generator, tmp_path, shop.url, Endpoint(path="/{id}", feed=feed))
    assert shop.asked == []
