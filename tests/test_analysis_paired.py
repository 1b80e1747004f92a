"""Which pairing a verdict rests on: slices where there are enough and they know it better, by width alone."""

import math

import pytest

from loopwise.analysis.paired import PairedComparison, settled_by_slices
from loopwise.analysis.stats import LogRatio, paired
from loopwise.model import TOTAL, Round, Side


def rounds(*ratios: float, status: str = "ok") -> list[Round]:
    return [
        Round.model_validate(
            {
                "pairing": "slices",
                "number": number,
                "baseline_case": "a",
                "candidate_case": "b",
                "status": status,
                "started_at": "2026-01-01T00:00:00.000+00:00",
                "first": "baseline",
                "baseline": Side(metrics={TOTAL: {"throughput_rps": 100.0}}),
                "candidate": Side(metrics={TOTAL: {"throughput_rps": 100.0 * ratio}}),
            }
        )
        for number, ratio in enumerate(ratios, start=1)
    ]


NARROW = paired([100.0, 100.0, 100.0], [101.0, 100.0, 99.0])
WIDE = paired([100.0, 100.0, 100.0], [180.0, 100.0, 60.0])
ALONE = LogRatio(0.0, math.nan, 0, 1)

# what blocks say, the ratio of each round, the pairing that decides
TABLE = {
    "slices know it better": (WIDE, (1.0, 1.01, 0.99), "slices"),
    "blocks know it better": (NARROW, (1.8, 1.0, 0.6), "blocks"),
    "two rounds are too few, however near they are": (WIDE, (1.0, 1.0001), "blocks"),
    "no round": (WIDE, (), "blocks"),
    "blocks have no interval": (ALONE, (1.8, 1.0, 0.6), "slices"),
    "blocks have nothing": (None, (1.0, 1.01, 0.99), "slices"),
    "slices far from the blocks, but narrower": (WIDE, (3.0, 3.01, 2.99), "slices"),
}


@pytest.mark.parametrize("name", TABLE)
def test_the_pairing_that_knows_it_better_decides(name: str) -> None:
    blocks, ratios, pairing = TABLE[name]
    contest = PairedComparison("a", "b", "throughput_rps", blocks, ("b", "a"))
    assert settled_by_slices(contest, rounds(*ratios), TOTAL).pairing == pairing


def test_rounds_that_are_invalid_are_not_counted() -> None:
    contest = PairedComparison("a", "b", "throughput_rps", WIDE, ("b", "a"))
    found = [*rounds(1.0, 1.01), *rounds(0.99, status="invalid")]
    assert settled_by_slices(contest, found, TOTAL).pairing == "blocks"
