"""How numbers, latencies, ratios and names read."""

import math

import pytest

from loopwise.analysis.wording import count
from loopwise.report import format as fmt
from loopwise.visible import clean

NAN = math.nan


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (812.4, "812"),
        (12_345.6, "12,300"),
        (1_000_000, "1,000,000"),
        (9.996, "10.0"),
        (999.6, "1,000"),
        (0.04321, "0.0432"),
        (0, "0"),
        (-0.0, "0"),
        (-2.5, "-2.50"),
        (NAN, "–"),
        (math.inf, "–"),
        (None, "–"),
    ],
)
def test_a_number_has_three_significant_digits(value: float | None, text: str) -> None:
    assert fmt.number(value) == text


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (790.3, 834.1, "812 [790, 834]"),
        (None, None, "812"),
        (NAN, NAN, "812"),
        (790.0, math.inf, "812"),
    ],
)
def test_an_estimate_carries_its_interval_if_it_has_one(low: float | None, high: float | None, text: str) -> None:
    assert fmt.estimate(812, low, high) == text


@pytest.mark.parametrize(
    ("value_ms", "low_ms", "high_ms", "text"),
    [
        (52.31, None, None, "52.3 ms"),
        (0.5, None, None, "0.500 ms"),
        (0.0432, None, None, "43.2 µs"),
        (1234.0, 1200.0, 1300.0, "1.23 [1.20, 1.30] s"),
        (999.0, 990.0, 1010.0, "999 [990, 1,010] ms"),
        (0.0, None, None, "0 ms"),
        (None, None, None, "–"),
    ],
)
def test_a_latency_and_its_interval_share_the_values_unit(
    value_ms: float | None, low_ms: float | None, high_ms: float | None, text: str
) -> None:
    assert fmt.duration(value_ms, low_ms, high_ms) == text


def test_ratios_and_shares_read_as_people_say_them() -> None:
    assert fmt.ratio(2.41, 2.2, 2.6) == "×2.41 [2.20, 2.60]"
    assert fmt.ratio(None) == "–"
    assert fmt.share(0.0123) == "1.23 %"
    assert fmt.share(0.0) == "0 %"
    assert fmt.share(None) == "–"
    assert fmt.confidence(0.999) == "99.9 %"
    assert [count(number, "worker") for number in (1, 2, 1200)] == ["1 worker", "2 workers", "1,200 workers"]


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("plain", "plain"),
        ("two\nlines\tand  more", "two lines and more"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("right\u202eleft", r"right\u202eleft"),
        ("half \ud800 a pair", r"half \ud800 a pair"),
        ("日本語 🚀 é", "日本語 🚀 é"),
    ],
)
def test_control_characters_never_reach_a_reader(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned
