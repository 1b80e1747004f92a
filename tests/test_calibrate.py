"""What calibration makes of runs: peers' output, ratios, latencies beside packets, the schedule."""

from typing import Any

import numpy as np
import pytest

from loopwise.calibrate import peers
from loopwise.calibrate.accuracy import Situation, accuracy, truth
from loopwise.calibrate.bench import Generated, Rows, percentiles_us
from loopwise.calibrate.cost import bottleneck, ratios_of, summarise
from loopwise.calibrate.packets import Capture, Exchange
from loopwise.calibrate.peers import Answered, CostRound, parse_hey, parse_wrk
from loopwise.calibrate.records import DECLARED, FAST, Spread
from loopwise.generator.arrivals import arrival_times, stretches
from loopwise.model import GeneratorFigures, Load

SECOND = 1_000_000_000
WRK = """Running 2s test @ http://127.0.0.1:8000/
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   280.50us  101.12us   3.92ms   91.63%
    Req/Sec   112.03k     5.11k  118.29k    85.71%
  234068 requests in 2.10s, 38.84MB read
"""
HEY = """
Summary:
  Total:\t2.0013 secs
  Requests/sec:\t20596.5403

Response time histogram:
  0.000 [1]\t|
  0.002 [37004]\t|■■■■■■

Status code distribution:
  [200]\t41000 responses
  [503]\t220 responses
"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (WRK, Answered(234_068, 0)),
        (WRK + "  Socket errors: connect 1, read 2, write 3, timeout 4\n", Answered(234_068, 10)),
        (WRK + "  Non-2xx or 3xx responses: 7\n", Answered(234_068, 7)),
        ("unable to connect to 127.0.0.1:8000 Connection refused", None),
    ],
)
def test_output_of_wrk_is_parsed(text: str, said: Answered | None) -> None:
    assert parse_wrk(text) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEY, Answered(41_220, 220)),
        (
            HEY + "\nError distribution:\n  [3]\tGet http://127.0.0.1:8000: connection reset\n",
            Answered(41_223, 223),
        ),
        ("usage: hey", None),
    ],
)
def test_output_of_hey_is_parsed(text: str, said: Answered | None) -> None:
    assert parse_hey(text) == said


def test_peers_that_are_missing_are_named_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "find_program", lambda name: "/x/wrk" if name == "wrk" else None)
    found, missing = peers.installed()
    assert found == {"wrk": "/x/wrk"}
    assert [(each.tool, "apt install hey" in each.remedy) for each in missing] == [("hey", True)]


def price(us: float, *, wall_s: float = 1.0, server_s: float = 0.5) -> CostRound:
    return CostRound(1000, 0, us * 1e-3, wall_s, server_s)


def figures(found: Spread) -> tuple[float, float, float, int]:
    return found.median, found.low, found.high, found.rounds


def test_ratios_are_made_within_rounds_and_then_their_median() -> None:
    found = {
        DECLARED: {1: price(12), 2: price(30), 3: price(14)},
        "wrk": {1: price(8), 2: price(15), 3: price(10)},
        FAST: {2: price(300)},
    }
    ratios = {(each.numerator, each.denominator): each.ratio for each in ratios_of(found)}
    assert ratios.keys() == {(DECLARED, "wrk"), (FAST, DECLARED)}
    assert figures(ratios[DECLARED, "wrk"]) == pytest.approx((1.5, 1.4, 2.0, 3))
    assert ratios[FAST, DECLARED].rounds == 1


def test_a_tools_line_holds_the_median_and_who_was_full() -> None:
    rounds = {1: price(950, server_s=0.2), 2: price(990, server_s=0.3), 3: price(970, server_s=0.1)}
    (line,) = summarise([FAST, "hey"], {FAST: rounds})
    assert (line.tool, line.requests, line.bottleneck) == (FAST, 3000, "generator")
    assert figures(line.cpu_us_per_request) == pytest.approx((970, 950, 990, 3))


@pytest.mark.parametrize(
    ("generator", "server", "full"),
    [(0.95, 0.4, "generator"), (0.4, 0.95, "server"), (0.95, 0.95, "both"), (0.5, 0.5, "neither")],
)
def test_the_bottleneck_is_whose_core_is_full(generator: float, server: float, full: str) -> None:
    assert bottleneck(generator, server) == full


def test_a_spread_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="one round"):
        Spread.of([])


def test_percentiles_are_exact_and_p999_needs_ten_rows_above() -> None:
    few = percentiles_us(np.arange(1, 1001, dtype=np.int64) * 1000)
    assert few == {"p50": 500.0, "p90": 900.0, "p99": 990.0}
    many = percentiles_us(np.arange(1, 10_001, dtype=np.int64) * 1000)
    assert many["p999"] == 9990.0
    assert percentiles_us(np.array([], dtype=np.int64)) == {}


FIGURES = GeneratorFigures(
    cpu_s=1.0, busiest_cpu_s=1.0, wall_s=1.0, requests=1, cores=2, users=1, users_wanted=1, clock_step_ms=0.0
)


def generated(columns: dict[str, Any], *, start_ns: int, end_ns: int, unfinished: int = 0) -> Generated:
    """A run whose last rows were cut off by its end."""
    times = {name: np.array(values, dtype=np.int64) for name, values in columns.items()}
    count = times["sent_ns"].size
    is_unfinished = np.arange(count) >= count - unfinished
    rows = Rows(times, ~is_unfinished, is_unfinished, np.ones(count, dtype=bool), 100)
    return Generated(rows, FIGURES, start_ns, end_ns, 0.5)


def test_latencies_are_of_the_window_and_counts_of_the_run() -> None:
    run = generated(
        {
            "sent_ns": [0, 1000, 2000, 3000],
            "received_ns": [500, 11_000, 22_000, 99_000],
            "read_ns": [600, 12_000, 23_000, 99_000],
        },
        start_ns=1000,
        end_ns=50_000,
        unfinished=1,
    )
    packets = Capture(
        [Exchange(100, 500), Exchange(2000, 11_000), Exchange(3000, 22_000), Exchange(3500, None)], dropped=0
    )
    found = truth(Situation(DECLARED, "saturated", None), 3, run, packets)
    assert (found.rows, found.packet_requests) == (4, 4)
    assert found.reported_us == {"p50": 10.0, "p90": 20.0, "p99": 20.0}
    assert found.packets_us == {"p50": 9.0, "p90": 19.0, "p99": 19.0}
    assert found.lag_us["p99"] == 1.0
    assert (found.error_us("p50"), found.error_us("p999")) == (1.0, None)
    assert found.error_ratio("p50") == pytest.approx(1 / 9)


def open_run(load: Load, *, seed: int, drop: int | None = None) -> Generated:
    """A run of a second that sent everything 10 µs late, but for one request."""
    times = arrival_times(stretches(load), load.arrivals, seed)
    due = [5 * SECOND + next(times) for _ in range(150)]
    due = [each for number, each in enumerate(due) if number != drop]
    scheduled = np.array(due, dtype=np.int64)
    columns = {"scheduled_ns": scheduled, "sent_ns": scheduled + 10_000, "received_ns": scheduled + 20_000}
    return generated(columns | {"read_ns": scheduled + 20_000}, start_ns=5 * SECOND, end_ns=6 * SECOND)


@pytest.mark.parametrize("dropped", [None, 20])
def test_a_dropped_request_shows_against_the_drawn_schedule(dropped: int | None) -> None:
    load = Load(model="open", rate_rps=100, warmup_s=0, measure_s=1)
    found = accuracy(load, open_run(load, seed=3, drop=dropped), seed=3)
    assert found.due > 50
    assert found.due - found.sent == (0 if dropped is None else 1)
    assert found.late_us == {"p50": 10.0, "p99": 10.0, "max": 10.0}


def test_another_seed_is_another_schedule() -> None:
    load = Load(model="open", rate_rps=100, warmup_s=0, measure_s=1)
    assert accuracy(load, open_run(load, seed=3), seed=4).sent_ratio < 0.1
