"""Supply of declared requests: which row goes where, in which order, and never one twice where that is asked."""

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopwise.generator import supply as supply_module
from loopwise.generator.feeds import Deal
from loopwise.generator.protocol import Order
from loopwise.generator.request import Request
from loopwise.generator.supply import Supply
from loopwise.model import Endpoint, ExpectBody, Feed, Load
from loopwise.servers.files import hash_of


def feed_of(folder: Path, count: int, name: str = "ids.csv", **fields: Any) -> Feed:
    path = folder / name
    path.write_text("id\n" + "".join(f"{number}\n" for number in range(count)), encoding="utf-8")
    return Feed(file=str(path), sha256=hash_of(path.read_bytes()), **fields)


def order_of(**fields: Any) -> Order:
    return Order(**{"url": "http://127.0.0.1:1", "load": Load(), "samples": "x"} | fields)


def supply_of(*endpoints: Endpoint, **order: Any) -> Supply:
    return Supply(list(enumerate(endpoints)), "host", order_of(**order))


def ids(requests: Iterator[Request], count: int | None = None) -> list[int]:
    return [int(request.data.split(b" ")[1].rpartition(b"/")[2]) for request in islice(requests, count)]


def with_id(feed: Feed, **fields: Any) -> Endpoint:
    return Endpoint(path="/{id}", feed=feed, **fields)


def test_a_sequence_begins_anew_after_the_last_row(tmp_path: Path) -> None:
    requests = supply_of(with_id(feed_of(tmp_path, 3))).of_user()
    assert ids(requests, 7) == [0, 1, 2, 0, 1, 2, 0]


def test_all_users_take_from_one_sequence(tmp_path: Path) -> None:
    supply = supply_of(with_id(feed_of(tmp_path, 4)))
    one, two = supply.of_user(), supply.of_user()
    assert ids(one, 1) + ids(two, 2) + ids(one, 1) == [0, 1, 2, 3]


def test_the_seed_shuffles_and_each_pass_has_every_row_once(tmp_path: Path) -> None:
    feed = feed_of(tmp_path, 50, order="shuffle")
    first, again, other = (ids(supply_of(with_id(feed), seed=seed).of_user(), 150) for seed in (1, 1, 2))
    assert first == again != other
    passes = [first[at : at + 50] for at in (0, 50, 100)]
    assert all(sorted(each) == list(range(50)) for each in passes)
    assert passes[0] != passes[1] != passes[2]


@given(
    count=st.integers(2, 40),
    processes=st.integers(1, 5),
    order=st.sampled_from(["sequence", "shuffle"]),
    weights=st.dictionaries(st.sampled_from(["GET", "PUT", "POST"]), st.integers(1, 3), min_size=1),
)
@settings(deadline=None, max_examples=60)
def test_no_unique_row_is_ever_sent_twice_over_all_processes_and_endpoints(
    tmp_path_factory: pytest.TempPathFactory, count: int, processes: int, order: str, weights: dict[str, int]
) -> None:
    feed = feed_of(tmp_path_factory.mktemp("feed"), count, unique=True, order=order)
    endpoints = [with_id(feed, weight=weight, method=method) for method, weight in weights.items()]
    sent = Counter[int]()
    for part in range(processes):
        supply = supply_of(*endpoints, processes=processes, part=part)
        sent.update(ids(supply.of_user()))
        assert "add rows, or remove unique" in supply.failure
    # The last row is kept for the request before the run.
    assert sent == Counter(range(count - 1))


def test_processes_share_the_rows_of_a_feed_that_is_not_unique(tmp_path: Path) -> None:
    feed = feed_of(tmp_path, 5)
    parts = [ids(supply_of(with_id(feed), processes=2, part=part).of_user(), 4) for part in (0, 1)]
    assert parts == [[0, 2, 4, 0], [1, 3, 1, 3]]
    few = feed_of(tmp_path, 1, name="one.csv")
    assert [ids(supply_of(with_id(few), processes=2, part=part).of_user(), 2) for part in (0, 1)] == [[0, 0], [0, 0]]


def test_a_row_for_each_user_stays_the_users(tmp_path: Path) -> None:
    feed = feed_of(tmp_path, 3, order="per_user")
    supply = supply_of(with_id(feed))
    assert [ids(supply.of_user(), 3) for _ in range(4)] == [[0] * 3, [1] * 3, [2] * 3, [0] * 3]


def test_users_beyond_the_unique_rows_get_nothing_and_the_run_is_told(tmp_path: Path) -> None:
    supply = supply_of(with_id(feed_of(tmp_path, 3, order="per_user", unique=True)))
    assert [ids(supply.of_user(), 1) for _ in range(3)] == [[0], [1], []]
    assert supply.failure == ("ids.csv: its 2 unique rows are fewer than the users; add rows, or remove unique")


def test_a_mix_keeps_its_proportions_whatever_fills_its_parts(tmp_path: Path) -> None:
    own, common = feed_of(tmp_path, 9, order="per_user"), feed_of(tmp_path, 100, name="other.csv")
    supply = supply_of(with_id(own, weight=3), with_id(common, method="PUT"), Endpoint(path="/7", method="POST"))
    one, two = supply.of_user(), supply.of_user()
    taken = [request for _ in range(50) for request in (next(one), next(two))]
    assert Counter(request.endpoint for request in taken) == {0: 60, 1: 20, 2: 20}
    assert ids(iter([request for request in taken if request.endpoint == 1])) == list(range(20))
    assert {int(request.data[5:6]) for request in taken if request.endpoint == 0} == {0, 1}


def test_rows_that_do_not_fit_into_memory_are_filled_in_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = feed_of(tmp_path, 100, unique=True)
    endpoint = with_id(feed, expect_body=ExpectBody(contains="{id}"))
    whole = list(supply_of(endpoint).of_user())
    monkeypatch.setattr(supply_module, "PREPARED_BYTES", 0)
    batches = supply_of(endpoint).of_user()
    assert [request.data for request in batches] == [request.data for request in whole]
    assert len(whole) == 99


def test_answers_are_kept_only_where_a_body_is_expected(tmp_path: Path) -> None:
    assert not supply_of(Endpoint(path="/"), with_id(feed_of(tmp_path, 3))).keeps_answers
    assert supply_of(Endpoint(path="/"), Endpoint(path="/", expect_body=ExpectBody(contains="x"))).keeps_answers


def test_each_row_has_the_body_that_it_expects(tmp_path: Path) -> None:
    endpoint = with_id(feed_of(tmp_path, 3), expect_body=ExpectBody(path="$.id", equals="{id}"))
    first, second = islice(supply_of(endpoint).of_user(), 2)
    assert first.examine is not None
    assert second.examine is not None
    assert [first.examine(b'{"id": 0}'), first.examine(b'{"id": 1}'), second.examine(b'{"id": 1}')] == [
        None,
        "body",
        None,
    ]


def test_rows_that_ran_out_say_how_many_a_run_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([100.0, 100.5])
    monkeypatch.setattr("loopwise.generator.feeds.monotonic", lambda: next(clock))
    load = Load(warmup_s=1.0, measure_s=3.0)
    deal = Deal(feed_of(tmp_path, 1001, unique=True), order_of(load=load))
    assert len(list(deal.numbers)) == 1000
    assert deal.failure == (
        "ids.csv: its 1000 unique rows were all sent after 0.5 s of 4.0 s of warm-up and window; "
        "at this rate a run needs about 8001: add rows, or remove unique"
    )
