"""How the selftest counts: false alarms and power with their intervals, and how both are told."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from support.printed import broken_words

from loopwise.model import Verdict
from loopwise.selftest import rates
from loopwise.selftest.rates import Outcome, Rate, rate_of, rates_of
from loopwise.selftest.trials import BLOCKS, DUEL

# From verdicts to rates.


def verdict(word: str, ratio: float = 1.0, half_width: float | None = 0.01) -> Verdict:
    width = half_width or 0.0
    return Verdict.model_validate(
        {
            "baseline_case": "a",
            "candidate_case": "b",
            "metric": "throughput_rps",
            "ratio": ratio,
            "ci_low": None if half_width is None else ratio * (1 - width),
            "ci_high": None if half_width is None else ratio * (1 + width),
            "verdict": word,
            "reason": word,
        }
    )


def outcome(word: str | None, difference: float = 0.0, **options: Any) -> Outcome:
    fields: dict[str, Any] = {"method": BLOCKS, "workload": "cpu"} | options
    return Outcome(difference=difference, verdict=None if word is None else verdict(word), **fields)


# alarms, trials -> interval (Clopper and Pearson, from the usual tables)
INTERVALS = [
    (0, 10, 0.0, 0.3085),
    (1, 20, 0.0013, 0.2487),
    (2, 10, 0.0252, 0.5561),
    (5, 10, 0.1871, 0.8129),
    (10, 10, 0.6915, 1.0),
    (0, 42, 0.0, 0.0841),
    (0, 1, 0.0, 0.975),
]


@pytest.mark.parametrize(("alarms", "count", "low", "high"), INTERVALS)
def test_a_rate_has_the_interval_of_clopper_and_pearson(alarms: int, count: int, low: float, high: float) -> None:
    found = rate_of([outcome("worse")] * alarms + [outcome("same")] * (count - alarms)).alarms
    assert found.value == pytest.approx(alarms / count)
    assert found.low == pytest.approx(low, abs=5e-5)
    assert found.high == pytest.approx(high, abs=5e-5)
    assert found.replicates == count


@pytest.mark.parametrize(("alarms", "count"), [(1, 7), (3, 9), (17, 40)])
def test_interval_ends_have_a_chance_of_one_in_forty(alarms: int, count: int) -> None:
    found = rate_of([outcome("better")] * alarms + [outcome("undecided")] * (count - alarms)).alarms
    assert found.low is not None
    assert found.high is not None

    def chance(p: float, seen: range) -> float:
        return sum(math.comb(count, k) * p**k * (1 - p) ** (count - k) for k in seen)

    assert chance(found.low, range(alarms, count + 1)) == pytest.approx(0.025, rel=1e-4)
    assert chance(found.high, range(alarms + 1)) == pytest.approx(0.025, rel=1e-4)


# words -> alarms, of these in the wrong direction where something was injected
WORDS: list[tuple[list[str | None], int, int]] = [
    (["same", "undecided", "invalid", None], 0, 0),
    (["better", "worse", "same"], 2, 1),
    (["better", "better"], 2, 2),
    (["worse"], 1, 0),
]


@pytest.mark.parametrize(("words", "alarms", "wrong"), WORDS)
def test_better_and_worse_are_alarms_and_unmeasured_is_invalid(
    words: list[str | None], alarms: int, wrong: int
) -> None:
    for difference in (0.0, 0.1):
        found = rate_of([outcome(word, difference) for word in words])
        assert found.trials == len(words)
        assert found.alarms.value == pytest.approx(alarms / len(words))
        assert found.wrong_way == (wrong if difference else 0)
        assert sum(found.words.values()) == len(words)
        assert found.words.get("invalid", 0) == sum(word in {"invalid", None} for word in words)


def test_widths_and_times_are_medians_of_what_has_them() -> None:
    widths = [0.01, 0.5, 0.02, None]
    found = rate_of(
        [
            outcome("same", duration_s=each)._replace(verdict=verdict("same", 0.8, width))
            for each, width in zip((3.0, 1.0, 9.0, 2.0), widths, strict=True)
        ]
    )
    assert found.half_width == pytest.approx(0.02)
    assert found.duration_s == 3.0
    assert rate_of([outcome(None)]).half_width is None


def test_a_rate_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one trial"):
        rate_of([])
    assert rates_of([]) == []


def test_a_rate_per_kind_and_one_over_all_equal_pairs() -> None:
    found = rates_of(
        [
            outcome("same", workload="noop"),
            outcome("worse", workload="cpu"),
            outcome("same", workload="cpu"),
            outcome("worse", 0.1),
            outcome("same", method=DUEL),
            outcome("worse", 0.03, method=DUEL),
        ]
    )
    assert [(each.method, each.difference, each.workload, each.trials) for each in found] == [
        (BLOCKS, 0.0, "all", 3),
        (BLOCKS, 0.0, "cpu", 2),
        (BLOCKS, 0.0, "noop", 1),
        (BLOCKS, 0.1, "cpu", 1),
        (DUEL, 0.0, "cpu", 1),
        (DUEL, 0.03, "cpu", 1),
    ]
    assert found[0].alarms.value == pytest.approx(1 / 3)


# The rates.


def some_rates() -> list[Rate]:
    return rates_of(
        [
            *[outcome("same", duration_s=4.0)] * 9,
            outcome("undecided", duration_s=5.0),
            *[outcome("worse", 0.03, method=DUEL, duration_s=39.4)] * 9,
            outcome("better", 0.03, method=DUEL),
        ]
    )


def test_the_markdown_is_a_row_per_rate_with_its_interval() -> None:
    head, rule, *rows = rates.markdown(some_rates()).splitlines()
    assert head == f"| {' | '.join(rates.COLUMNS)} |"
    assert rule.count("---") == len(rates.COLUMNS)
    assert rows == [
        "| blocks, then slices | cpu | nothing | 10 | 9 same, 1 undecided | 0 % [0 %, 31 %] | ±1.00 % | 4 s |",
        "| duel | cpu | 3 % | 10 | 1 better, 9 worse | 100 % [69 %, 100 %], 1 the wrong way | ±1.00 % | 39 s |",
    ]


def test_the_terminal_shows_the_cells_and_what_an_alarm_means(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert broken_words(rates.tables(some_rates())) == []
    Console(width=160).print(rates.tables(some_rates()))
    printed = capsys.readouterr().out
    for cell in (
        "9 same, 1 undecided",
        "0 % [0 %, 31 %]",
        "100 % [69 %, 100 %], 1 the wrong way",
        "±1.00 %",
        "39 s",
    ):
        assert cell in printed
    assert "better or worse is a false alarm" in printed
    assert "Clopper and Pearson" in printed


def test_the_files_hold_rates_and_every_trial(tmp_path: Path) -> None:
    outcomes = [outcome("same"), outcome(None, 0.1, rounds=5)]
    rates.write(tmp_path, rates_of(outcomes), outcomes)
    document = json.loads((tmp_path / rates.JSON).read_text())
    assert [each["alarms"]["value"] for each in document["rates"]] == [0.0, 0.0]
    assert document["rates"][0]["alarms"]["high"] == pytest.approx(0.975)
    assert document["trials"][0]["verdict"]["verdict"] == "same"
    assert document["trials"][1]["verdict"] is None
    assert (document["trials"][1]["difference"], document["trials"][1]["rounds"]) == (0.1, 5)
    assert (tmp_path / rates.MARKDOWN).read_text() == rates.markdown(rates_of(outcomes))
