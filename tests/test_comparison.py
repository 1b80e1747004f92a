"""Two results side by side: verdicts of what they share, and gates that need a whole interval."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from fakes import THREE_CONDUCTS, Conduct, case_of, experiment_of, measured, suite_with, three_modes

from loopwise.comparison import (
    Gate,
    compare,
    complaints,
    differences,
    failures,
    parse_gate,
    unjudged,
)
from loopwise.errors import UsageError
from loopwise.measured import CaseFigures
from loopwise.model import Verdict
from loopwise.summary import summarise
from loopwise.verdicts import COMPARED


def verdict_of(
    ratio: float | None,
    low: float | None,
    high: float | None,
    metric: str = "throughput_rps",
    case: str = "c",
) -> Verdict:
    return Verdict(
        baseline_case=case,
        candidate_case=case,
        metric=metric,
        ratio=ratio,
        ci_low=low,
        ci_high=high,
        verdict="undecided" if ratio else "invalid",
        reason="so it is",
    )


# gate, ratio, low, high -> fails
TABLE: list[tuple[str, float | None, float | None, float | None, bool]] = [
    ("throughput_rps:-5%", 0.90, 0.88, 0.94, True),
    ("throughput_rps:-5%", 0.90, 0.84, 0.96, False),
    ("throughput_rps:-5%", 0.95, 0.95, 0.95, False),
    ("throughput_rps:-5%", 0.50, None, None, False),
    ("throughput_rps:-5%", None, None, None, False),
    ("throughput_rps:-5%", 1.50, 1.40, 1.60, False),
    ("throughput_rps:-2.5%", 0.96, 0.95, 0.97, True),
    ("throughput_rps:+10%", 1.20, 1.11, 1.30, True),
    ("throughput_rps:+10%", 1.20, 1.09, 1.31, False),
    ("throughput_rps:+10%", 0.50, 0.49, 0.51, False),
    ("throughput_rps:+0%", 1.02, 1.01, 1.03, True),
    ("throughput_rps:+0%", 0.98, 0.97, 0.99, False),
    ("throughput_rps:-0%", 0.98, 0.97, 0.99, True),
    ("throughput_rps:-0%", 1.02, 1.01, 1.03, False),
    ("throughput_rps:-0%", 1.00, 0.99, 1.01, False),
    ("service_time_p99_ms:-5%", 0.50, 0.49, 0.51, False),
]


@pytest.mark.parametrize(("gate", "ratio", "low", "high", "fails"), TABLE)
def test_a_gate_fails_on_a_whole_interval_never_on_a_bare_difference(
    gate: str, ratio: float | None, low: float | None, high: float | None, fails: bool
) -> None:
    assert parse_gate(gate).fails(verdict_of(ratio, low, high)) is fails


@pytest.mark.parametrize(
    ("text", "metric", "change", "shown"),
    [
        ("service_time_p99_ms:+10%", "service_time_p99_ms", 0.1, "service_time_p99_ms:+10%"),
        (" throughput_rps : -2.5 % ", "throughput_rps", -0.025, "throughput_rps:-2.5%"),
        ("throughput_rps:+7%", "throughput_rps", 0.07, "throughput_rps:+7%"),
        ("throughput_rps:-0%", "throughput_rps", 0.0, "throughput_rps:-0%"),
        ("cpu_ms_per_request:+150%", "cpu_ms_per_request", 1.5, "cpu_ms_per_request:+150%"),
    ],
)
def test_a_gate_is_read_and_shown_as_it_was_meant(text: str, metric: str, change: float, shown: str) -> None:
    gate = parse_gate(text)
    assert gate.metric == metric
    assert gate.change == pytest.approx(change)
    assert str(gate) == shown


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "allowed is METRIC:+N% or METRIC:-N%; write for example throughput_rps:-5%"),
        ("throughput_rps", "allowed is METRIC:+N%"),
        ("throughput_rps:5%", "allowed is METRIC:+N%"),
        ("throughput_rps:-5", "allowed is METRIC:+N%"),
        ("throughput_rps:-5%%", "allowed is METRIC:+N%"),
        ("throughput_rps:-nan%", "allowed is METRIC:+N%"),
        ("mean:+5%", "'mean' gets no verdict, allowed are throughput_rps, service_time_p50_ms"),
        ("error_ratio:+5%", "'error_ratio' gets no verdict"),
        ("throughput_rps:-100%", "allowed is a fall of less than 100%"),
        ("throughput_rps:-250%", "allowed is a fall of less than 100%"),
    ],
)
def test_a_gate_that_cannot_be_meant_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=r"^--fail-on: ") as raised:
        parse_gate(text)
    assert sentence in str(raised.value)


def test_a_case_that_cannot_be_judged_does_not_pass_in_silence() -> None:
    gates = [parse_gate("throughput_rps:-5%"), parse_gate("cpu_ms_per_request:+5%")]
    verdicts = [verdict_of(0.5, 0.4, 0.6, case="a"), verdict_of(None, None, None, case="b")]
    assert failures(gates, verdicts) == [(gates[0], verdicts[0])]
    assert unjudged(gates, verdicts) == [(gates[0], "b"), (gates[1], "a"), (gates[1], "b")]
    assert complaints(gates[:1], verdicts) == [
        "gate throughput_rps:-5% failed: so it is",
        "gate throughput_rps:-5% can't be judged: b has no such figure in both results",
    ]
    assert complaints([], verdicts) == []
    assert complaints([Gate("throughput_rps", -0.5)], verdicts[:1]) == []


def cases_of(folder: Path, conducts: dict[str, Conduct], modes: Sequence[str] = ()) -> dict[str, CaseFigures]:
    suite = suite_with(*(case_of(mode, mode) for mode in modes)) if modes else three_modes()
    return summarise(measured(folder / "r", suite, THREE_CONDUCTS | conducts)).cases


def test_shared_cases_get_a_verdict_per_metric_in_the_order_of_the_base(tmp_path: Path) -> None:
    base = cases_of(tmp_path / "a", {"async": Conduct(900.0, 0.005), "sync": Conduct(400.0, 0.005)})
    other = cases_of(
        tmp_path / "b",
        {"async": Conduct(700.0, 0.005), "sync": Conduct(401.0, 0.005)},
        ("async", "sync", "blocking"),
    )
    found = compare(base, other, margin=0.05, confidence=0.95)
    assert [(v.candidate_case, v.metric) for v in found] == [
        (case_id, metric) for case_id in ("sync", "async") for metric in COMPARED
    ]
    words = {(v.candidate_case, v.metric): v for v in found}
    assert words["sync", "throughput_rps"].verdict == "same"
    slower = words["async", "throughput_rps"]
    assert slower.verdict == "worse"
    assert slower.ratio == pytest.approx(7 / 9, rel=0.05)
    assert slower.reason.startswith("throughput_rps of async is 0.7")
    assert slower.reason.endswith("what it was: worse at ±5%")
    assert words["async", "service_time_p50_ms"].verdict == "worse"


def test_disjoint_results_have_nothing_to_say(tmp_path: Path) -> None:
    base, other = cases_of(tmp_path / "a", {}, ("sync",)), cases_of(tmp_path / "b", {}, ("async",))
    assert compare(base, other, margin=0.05, confidence=0.95) == []


def test_a_side_without_a_valid_run_makes_one_invalid_verdict_that_says_why(tmp_path: Path) -> None:
    base = cases_of(tmp_path / "a", {}, ("sync",))
    other = cases_of(tmp_path / "b", {"sync": Conduct(generator_cpu_ratio=0.97)}, ("sync",))
    for before, after in ((base, other), (other, base)):
        (found,) = compare(before, after, margin=0.05, confidence=0.95)
        assert found.verdict == "invalid"
        assert found.ratio is None
        assert found.reason.startswith("sync can't be compared: generator_cpu: the generator used 97%")


def test_differences_of_environments_are_named_down_to_the_version(tmp_path: Path) -> None:
    suite = three_modes()
    base = experiment_of(suite)
    changed = base.environment | {"cores": 4, "versions": {"uvicorn": "0.41.0", "uvloop": "0.22.1"}}
    other = experiment_of(suite, environment=changed)
    assert differences(base, base) == []
    assert differences(base, other) == [
        ("cores", 2, 4),
        ("versions.uvicorn", "0.40.0", "0.41.0"),
        ("versions.uvloop", None, "0.22.1"),
    ]
