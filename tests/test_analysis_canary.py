"""The canary under load against the idle app, in a verdict and in words."""

import pytest
from support.fakes import case_of

from loopwise.analysis.canary import against_idle, canary_sentence
from loopwise.analysis.figures import CaseFigures, RunFigures
from loopwise.model import Estimate, Load


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [
        (1.06, 9.0, "worse"),
        (1.04, 9.0, "undecided"),
        (0.5, 1.04, "same"),
        (0.5, 1.06, "undecided"),
        (None, None, "undecided"),
    ],
)
def test_the_whole_interval_decides_against_the_idle_app(low: float | None, high: float | None, word: str) -> None:
    assert against_idle(Estimate(value=1.0, low=low, high=high, replicates=3), 0.05) == word


def figures(*runs: dict[str, float], rows: int = 9, victim: str | None = "/health") -> CaseFigures:
    case = case_of("c", load=Load(users=1, victim=victim))
    found = [
        RunFigures("GET /", {("GET /", name): value for name, value in run.items()}, {"victim_rows": rows})
        for run in runs
    ]
    return CaseFigures(case, dict(enumerate(found, start=1)), {}, "")


@pytest.mark.parametrize(
    ("case", "words"),
    [
        (
            figures(*[{"victim_p99_ms": p99, "victim_slowdown": p99 / 2} for p99 in (390.0, 400.0, 410.0)]),
            "the canary /health took 400 [376, 426] ms at p99, 200 times [188, 213] that of the idle app: worse",
        ),
        (
            figures(*[{"victim_p99_ms": 2.0, "victim_slowdown": 1.0} for _ in range(3)]),
            "the canary /health took 2 [2, 2] ms at p99, 1 times [1, 1] that of the idle app: "
            "no worse by more than 5 %",
        ),
        (figures({"victim_p99_ms": 2.0}), "the canary /health took 2 ms at p99"),
        (figures({}, {}, rows=0), "the canary /health had no answer in the window"),
        (figures({}), "the canary /health had no good answer in the window"),
        (figures({}, victim=None), ""),
        (figures(), ""),
    ],
)
def test_the_canary_is_told_in_words(case: CaseFigures, words: str) -> None:
    assert canary_sentence(case, margin=0.05, confidence=0.95) == words
