"""Locust's own statistics, fed in batches, say the same as the rows."""

import io
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopwise.generator.recorder import Recorder, Row
from loopwise.results.columns import UNFINISHED

with pytest.MonkeyPatch.context() as patch:
    # Locust would patch the standard library of all tests.
    patch.setenv("LOCUST_SKIP_MONKEY_PATCH", "1")
    from locust.stats import RequestStats, StatsEntry, bucket_response_time

    from loopwise.generator.livestats import feed

BEGIN_NS = 1_790_000_000_000_000_000
ENDPOINTS = ["GET /a", "GET /a b", "POST /a"]
ERRORS = ["refused", "status_500", UNFINISHED]


@st.composite
def rows(draw: st.DrawFn) -> Row:
    """A row of ENDPOINTS and ERRORS; without a connection it is one of Locust's own clients."""
    sent_ns = BEGIN_NS + draw(st.integers(0, 3_000_000_000))
    received_ns = sent_ns + draw(st.integers(0, 40_000_000_000))
    endpoint = draw(st.integers(0, len(ENDPOINTS) - 1))
    error = draw(st.none() | st.integers(0, len(ERRORS) - 1))
    length = draw(st.integers(0, 2**31 - 1))
    connection = draw(st.none() | st.integers(1, 9))
    return (None, sent_ns, received_ns, received_ns, endpoint, 200, error, length, connection, 0)


BATCHES = st.lists(st.lists(rows(), max_size=12), min_size=1, max_size=4)


def fed(batches: list[list[Row]]) -> RequestStats:
    """Statistics after a flush of each batch."""
    recorder, stats = Recorder(io.BytesIO()), RequestStats()
    for name in ENDPOINTS:
        recorder.endpoints.number(name)
    for text in ERRORS:
        recorder.errors.number(text)
    recorder.on_flush = lambda batch: feed(stats, recorder, batch)
    for batch in batches:
        for row in batch:
            recorder.append(row)
        recorder.flush()
    return stats


def counted(batches: list[list[Row]]) -> list[Row]:
    """Rows that Locust's statistics are to hold: the reactor's, and finished."""
    unfinished = ERRORS.index(UNFINISHED)
    return [row for batch in batches for row in batch if row[8] is not None and row[6] != unfinished]


def check(entry: StatsEntry, mine: list[Row]) -> None:
    """An entry says what the rows say."""
    times_ms = [(row[2] - row[1]) / 1e6 for row in mine]
    assert entry.num_requests == len(mine)
    assert entry.num_failures == sum(row[6] is not None for row in mine)
    assert entry.total_content_length == sum(row[7] for row in mine)
    assert entry.total_response_time == pytest.approx(sum(times_ms))
    assert entry.min_response_time == (min(times_ms) if mine else None)
    assert entry.max_response_time == max(times_ms, default=0)
    buckets = Counter(bucket_response_time(round(time_ms, 3)) for time_ms in times_ms)
    assert dict(entry.response_times) == dict(buckets)
    assert dict(entry.num_reqs_per_sec) == dict(Counter(row[2] // 1_000_000_000 for row in mine))
    assert sum(entry.num_fail_per_sec.values()) == entry.num_failures
    last_s = max((row[2] / 1e9 for row in mine), default=None)
    assert last_s is None or entry.last_request_timestamp == last_s


@given(BATCHES)
def test_locusts_statistics_agree_with_the_rows(batches: list[list[Row]]) -> None:
    stats, mine = fed(batches), counted(batches)
    check(stats.total, mine)
    for number, label in enumerate(ENDPOINTS):
        method, _, name = label.partition(" ")
        check(stats.get(name, method), [row for row in mine if row[4] == number])
    assert len(stats.entries) == len(ENDPOINTS)


@given(BATCHES)
def test_locusts_errors_are_counted_by_endpoint_and_kind(batches: list[list[Row]]) -> None:
    counted_errors = {(e.method, e.name, e.error): e.occurrences for e in fed(batches).errors.values()}
    expected: Counter[tuple[str, str, str]] = Counter()
    for row in counted(batches):
        if row[6] is not None:
            method, _, name = ENDPOINTS[row[4]].partition(" ")
            expected[method, name, ERRORS[row[6]]] += 1
    assert counted_errors == dict(expected)


@given(BATCHES)
def test_statistics_do_not_depend_on_the_flushes(batches: list[list[Row]]) -> None:
    cut, whole = fed(batches), fed([[row for batch in batches for row in batch]])
    for one, two in [
        (cut.total, whole.total),
        *((cut.entries[key], whole.entries[key]) for key in cut.entries),
    ]:
        assert one.num_requests == two.num_requests
        assert dict(one.response_times) == dict(two.response_times)
        assert one.last_request_timestamp == two.last_request_timestamp
    assert cut.entries.keys() == whole.entries.keys()
