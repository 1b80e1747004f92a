"""Cards: what is recommended for each workload or endpoint, as data."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from support.answers import ASYNC, CLOSE, FAST, LOAD, SLOW, SYNC, THREAD, figures_of, verdict_of
from support.fakes import case_of, experiment_of, suite_with

from loopwise.analysis.cards import Card, cards
from loopwise.analysis.figures import RunFigures
from loopwise.model import Case, Cause, Load, Server

NOISY = (500.0, 900.0, 700.0)
FULL = Cause(cause="cpu_saturated", share=0.9, evidence="all cores are used", remedy="add workers")
BLOCKED = Cause(cause="loop_blocked", share=0.9, evidence="event loop blocked 99 %", remedy="use `def`")
FAR_BELOW = (300.0, 301.0, 302.0)
TWO = case_of("two", "async", server=Server(workers=2), load=LOAD)


def cards_of(
    suite: Sequence[Case],
    values: Mapping[str, Sequence[float]],
    pairs: Sequence[tuple[str, str]] = (),
    causes: Mapping[str, Cause] | None = None,
) -> list[Card]:
    experiment = experiment_of(suite_with(*suite))
    cases = {case.case_id: figures_of(case, values[case.case_id], "no run") for case in suite}
    verdicts = tuple(verdict_of(cases, *pair, values) for pair in pairs)
    return list(cards(experiment, cases, verdicts, causes or {}))


PAIR = [("sync", "async")]
TABLE: dict[str, tuple[Any, dict[str, Any]]] = {
    "the best against its baseline, because of a bound": (
        ((SYNC, ASYNC), {"sync": SLOW, "async": FAST}, PAIR),
        {"name": "async", "mode": "async", "rival": "sync", "is_baseline": True, "verdict": "better", "ratio": 2.04,
         "because": "sync waits for its 40 threads", "cases": 2, "invalid": 0},
    ),
    "without a baseline the slowest is the rival": (
        ((SYNC, ASYNC), {"sync": SLOW, "async": FAST}),
        {"name": "async", "rival": "sync", "is_baseline": False, "verdict": "better", "ratio": 2.04, "because": ""},
    ),
    "a baseline that is best itself": (
        ((SYNC, ASYNC), {"sync": FAST, "async": SLOW}, PAIR),
        {"name": "sync", "rival": "async", "is_baseline": False, "verdict": "better", "ratio": 2.04},
    ),
    "without a bound the cause of the rival explains": (
        ((SYNC, ASYNC), {"sync": FAR_BELOW, "async": FAST}, PAIR, {"sync": BLOCKED}),
        {"because": "sync: event loop blocked 99 %", "held": "sync", "remedy": "use `def`"},
    ),
    "its own cause says what to do next": (
        ((SYNC, ASYNC), {"sync": FAR_BELOW, "async": FAST}, PAIR, {"sync": BLOCKED, "async": FULL}),
        {"because": "sync: event loop blocked 99 %", "held": "async", "remedy": "add workers"},
    ),
    "equals with more workers are as good": (
        ((ASYNC, TWO), {"async": CLOSE, "two": FAST}),
        {"name": "async with 1 worker", "workers": 1, "as_good": ("async with 2 workers",), "unclear": (),
         "rival": "async on 2 workers", "verdict": "same"},
    ),
    "what noise leaves open is unclear": (
        ((SYNC, ASYNC), {"sync": NOISY, "async": (1000.0, 800.0, 900.0)}, PAIR),
        {"name": "async", "unclear": ("sync",), "verdict": "undecided", "because": ""},
    ),
    "a case alone has no rival": (
        ((SYNC,), {"sync": SLOW}), {"name": "sync", "rival": None, "held": None, "cases": 1},
    ),
    "nothing valid, nothing recommended": (
        ((SYNC, ASYNC), {"sync": (), "async": ()}),
        {"name": "", "case_id": None, "reason": "no run", "invalid": 2, "rival": None},
    ),
    "invalid cases are counted": (
        ((SYNC, ASYNC, THREAD), {"sync": SLOW, "async": FAST, "to_thread": ()}), {"cases": 3, "invalid": 1},
    ),
}  # fmt: skip


def flat(card: Card) -> dict[str, Any]:
    """The card with its parts spread out."""
    found = card.model_dump()
    rival, held = card.rival, card.held
    found["rival"] = rival.name if rival else None
    found |= {"verdict": rival.verdict, "ratio": rival.ratio.value, "is_baseline": rival.is_baseline} if rival else {}
    found["held"] = held.name if held else None
    return found | ({"remedy": held.remedy} if held else {})


@pytest.mark.parametrize("name", TABLE)
def test_a_card_holds_the_answer_as_data(name: str) -> None:
    given, wanted = TABLE[name]
    (card,) = cards_of(*given)
    found = flat(card)
    assert {key: found[key] for key in wanted} == {
        key: pytest.approx(value, rel=0.01) if key == "ratio" else value for key, value in wanted.items()
    }


def test_a_ratio_turned_round_keeps_its_interval_around_it() -> None:
    (card,) = cards_of((SYNC, ASYNC), {"sync": FAST, "async": SLOW}, PAIR)
    assert card.rival is not None
    ratio = card.rival.ratio
    assert ratio.low is not None
    assert ratio.high is not None
    assert 2.0 < ratio.low < ratio.value < ratio.high < 2.1
    assert (ratio.replicates, ratio.confidence) == (3, 0.95)


def test_subjects_have_cards_in_the_order_of_the_suite() -> None:
    slow, fast = (case_of(f"u{users}", "sync", load=Load(users=users)) for users in (9, 200))
    found = cards_of((fast, slow), {"u9": SLOW, "u200": FAST})
    assert [card.subject for card in found] == ["sleep(ms=50) at 200 users", "sleep(ms=50) at 9 users"]


def test_the_canary_of_the_recommended_case_is_what_it_costs_others() -> None:
    case = case_of("c", "sync", load=Load(users=9, victim="/health"))
    figures = figures_of(case, SLOW)
    name = figures.endpoint
    for replicate, run in figures.runs.items():
        more = {(name, "victim_p99_ms"): 30.0 + replicate, (name, "victim_slowdown"): 15.0 + replicate / 10}
        figures.runs[replicate] = RunFigures(endpoint=name, metrics={**run.metrics, **more})
    (card,) = cards(experiment_of(suite_with(case)), {"c": figures}, (), {})
    assert card.canary is not None
    assert (card.canary.path, card.canary.verdict) == ("/health", "worse")
    assert card.model_dump(mode="json")["canary"]["p99"]["value"] == pytest.approx(32, rel=0.01)
