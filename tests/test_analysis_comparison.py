"""Two results side by side: verdicts of what they share, and gates that need a whole interval."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from support.fakes import THREE_CONDUCTS, Conduct, case_of, measured, suite_with, three_modes

from loopwise.analysis.comparison import CALIBRATION, compare_results, differences, refuse_different, served_differences
from loopwise.analysis.gates import Gate, Outcome, complaints, failures, parse_gate, unjudged
from loopwise.analysis.metrics import COMPARED
from loopwise.analysis.summary import Summary, summarise
from loopwise.errors import UsageError
from loopwise.model import Content, Cost, Endpoint, Feed, Part, Server, ServerFacts, Verdict
from loopwise.report.export.junit import junit
from loopwise.report.export.markdown import pull_request_comment


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
def test_a_gate_fails_on_an_interval_never_on_a_bare_difference(
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
        "gate throughput_rps:-5% can't be judged: b has no interval of this metric from two sides",
    ]
    assert complaints([], verdicts) == []
    assert complaints([Gate("throughput_rps", -0.5)], verdicts[:1]) == []


def cases_of(folder: Path, conducts: dict[str, Conduct], modes: Sequence[str] = ()) -> Summary:
    suite = suite_with(*(case_of(mode, mode) for mode in modes)) if modes else three_modes()
    return summarise(measured(folder / "r", suite, THREE_CONDUCTS | conducts))


def test_shared_cases_get_a_verdict_per_metric_in_the_base_order(tmp_path: Path) -> None:
    base = cases_of(tmp_path / "a", {"async": Conduct(900.0, 0.005), "sync": Conduct(400.0, 0.005)})
    other = cases_of(
        tmp_path / "b",
        {"async": Conduct(700.0, 0.005), "sync": Conduct(401.0, 0.005)},
        ("async", "sync", "blocking"),
    )
    found = compare_results(base, other, margin=0.05, confidence=0.95)
    assert [(v.candidate_case, v.metric) for v in found] == [
        (case_id, metric) for case_id in ("sync", "async") for metric in COMPARED
    ]
    words = {(v.candidate_case, v.metric): v for v in found}
    assert words["sync", "throughput_rps"].verdict == "same"
    slower = words["async", "throughput_rps"]
    assert slower.verdict == "worse"
    assert slower.ratio == pytest.approx(7 / 9, rel=0.05)
    assert slower.reason.startswith("async now serves 0.7")
    assert slower.reason.endswith("the requests of before")
    assert (slower.pairing, slower.replicates) == ("none", 3)
    assert words["async", "service_time_p50_ms"].verdict == "worse"


def test_disjoint_results_have_nothing_to_say(tmp_path: Path) -> None:
    base, other = cases_of(tmp_path / "a", {}, ("sync",)), cases_of(tmp_path / "b", {}, ("async",))
    assert compare_results(base, other, margin=0.05, confidence=0.95) == []


def sending(folder: Path, **fields: Any) -> Summary:
    case = case_of("sync").model_copy(
        update={"url": "http://127.0.0.1:1", "endpoints": (Endpoint(path="/{id}", **fields),)}
    )
    return summarise(measured(folder / "r", suite_with(case), THREE_CONDUCTS))


@pytest.mark.parametrize(
    ("before", "after", "key"),
    [
        ({"feed": Feed(file="/a/x.csv", sha256="1")}, {"feed": Feed(file="/b/x.csv", sha256="1")}, None),
        ({"feed": Feed(file="/a/x.csv", sha256="1")}, {"feed": Feed(file="/a/x.csv", sha256="2")}, "feed"),
        ({"json_body": 1}, {"json_body": 2}, "json"),
        ({}, {"headers": {"X": "y"}}, "headers"),
        ({}, {"body": Content(text="x")}, "body"),
    ],
)
def test_only_equal_requests_are_compared_and_files_count_by_content(
    tmp_path: Path, before: dict[str, Any], after: dict[str, Any], key: str | None
) -> None:
    found = compare_results(
        sending(tmp_path / "a", **before), sending(tmp_path / "b", **after), margin=0.05, confidence=0.95
    )
    invalid = [v.reason for v in found if v.verdict == "invalid"]
    assert bool(invalid) == (key is not None)
    assert all(f"GET /{{id}} has another {key} than it had" in reason for reason in invalid)


def test_a_side_without_a_valid_run_makes_one_invalid_verdict(tmp_path: Path) -> None:
    base = cases_of(tmp_path / "a", {}, ("sync",))
    other = cases_of(tmp_path / "b", {"sync": Conduct(generator_cpu_ratio=0.97)}, ("sync",))
    for before, after in ((base, other), (other, base)):
        (found,) = compare_results(before, after, margin=0.05, confidence=0.95)
        assert found.verdict == "invalid"
        assert found.ratio is None
        assert found.reason.startswith("sync now and before can't be compared: generator_cpu: the generator used 97 %")


def in_other_surroundings(summary: Summary, **environment: Any) -> Summary:
    changed = summary.experiment.environment | environment
    return replace(
        summary,
        experiment=summary.experiment.model_copy(update={"environment": changed, "created_at": "later"}),
    )


def test_all_distributions_are_compared_and_only_shown() -> None:
    versions = {"fastapi": "1"}
    base = ServerFacts(python="3.12.1", versions=versions, distributions={"fastapi": "1", "idna": "3.4"})
    other = base.model_copy(update={"distributions": {"fastapi": "1", "idna": "3.5", "orjson": "3"}})
    found = served_differences(base, other)
    assert found == [("distributions.idna", "3.4", "3.5"), ("distributions.orjson", None, "3")]
    assert not any(each.forbids for each in found)
    # results of earlier versions recorded none
    assert served_differences(base, base.model_copy(update={"distributions": {}})) == []
    assert served_differences(base, base.model_copy(update={"python": "3.13"})) == [("server.python", "3.12.1", "3.13")]


def test_differences_name_versions_and_the_servers_interpreter(tmp_path: Path) -> None:
    base = cases_of(tmp_path, {})
    other = in_other_surroundings(base, cores=4, memory_gb=8, versions={"uvicorn": "0.41.0", "uvloop": "0.22.1"})
    server = ServerFacts(python="3.12.1", versions={"fastapi": "1"}, pids=(7,))
    other = replace(other, runs=tuple(run.model_copy(update={"server": server}) for run in base.runs))
    assert differences(base, base) == []
    found = differences(base, other)
    assert [(each.key, each.before, each.after) for each in found] == [
        ("cores", 2, 4),
        ("memory_gb", None, 8),
        ("server.python", None, "3.12.1"),
        ("server.versions.fastapi", None, "1"),
        ("versions.uvicorn", "0.40.0", "0.41.0"),
        ("versions.uvloop", None, "0.22.1"),
    ]
    assert [each.key for each in found if not each.forbids] == ["memory_gb"]


@pytest.mark.parametrize(
    ("allowed", "refused"),
    [
        ((), "cores is 2 and 4; server.python is none and 3; versions.uvicorn is 0.40.0 and 0.41.0"),
        (("cores",), "server.python is none and 3; versions.uvicorn"),
        (("cores", "python"), "versions.uvicorn is 0.40.0 and 0.41.0"),
        (("cores", "server", "versions"), None),
        (("cores", "server.python", "versions.uvicorn"), None),
        (("cores", "server.python", "versions.uvi"), "versions.uvicorn"),
        (("mood",), "--allow-different: got 'mood', allowed are cpu_model, cores"),
    ],
)
def test_other_surroundings_are_refused_by_name_unless_allowed(
    allowed: tuple[str, ...], refused: str | None, tmp_path: Path
) -> None:
    base = cases_of(tmp_path, {})
    other = in_other_surroundings(base, cores=4, versions={"uvicorn": "0.41.0"})
    other = replace(other, runs=tuple(run.model_copy(update={"server": ServerFacts(python="3")}) for run in base.runs))
    found = differences(base, other)
    if refused is None:
        refuse_different(found, allowed, ("a", "b"))
        return
    with pytest.raises(UsageError) as raised:
        refuse_different(found, allowed, ("a", "b"))
    assert refused in str(raised.value)


def test_a_result_and_its_copy_are_paired_within_their_blocks(tmp_path: Path) -> None:
    base = cases_of(tmp_path, {})
    found = compare_results(base, base, margin=0.05, confidence=0.95)
    assert {(v.pairing, v.verdict, v.ratio) for v in found} == {("blocks", "same", 1.0)}


@pytest.mark.parametrize("workload", ["cpu", "mixed", "mix"])
def test_computing_cases_of_another_calibration_did_other_work(workload: str, tmp_path: Path) -> None:
    cost = Cost(wait_ms=10, cpu_ms=5)
    parts = (Part(workload="cpu", mode="sync", cost=cost),)
    more: dict[str, Any] = {"parts": parts, "mode": "mix"} if workload == "mix" else {"cost": cost}
    suite = suite_with(case_of("c", **{"mode": "async", "workload": workload} | more))
    base = summarise(measured(tmp_path / "r", suite, {}))
    one, two = (
        replace(base, experiment=base.experiment.model_copy(update={"calibration": {CALIBRATION: value}}))
        for value in (1000.0, 1100.0)
    )
    (found,) = compare_results(one, two, margin=0.05, confidence=0.95)
    assert (found.verdict, found.ratio) == ("invalid", None)
    assert "a request computes 1.1 times what it did" in found.reason
    for allowed, margin in ((("calibration",), 0.05), ((), 0.11)):
        assert {v.verdict for v in compare_results(one, two, margin=margin, confidence=0.95, allowed=allowed)} == {
            "same"
        }


HOSTILE = '</x>&"<b>|`[a](b)` @all \x1b[31m\ud800\n| --- |'


def outcome(*gates: str) -> Outcome:
    verdicts = (
        verdict_of(0.5, 0.4, 0.6, case="slow").model_copy(update={"verdict": "worse"}),
        verdict_of(1.0, 0.9, 1.1, case="vague"),
        verdict_of(1.0, 0.99, 1.01, case=HOSTILE).model_copy(update={"verdict": "same"}),
        verdict_of(None, None, None, case="dead"),
    )
    return Outcome("main", HOSTILE, verdicts, 0.05, 0.95, tuple(map(parse_gate, gates)), (("cores", 2, HOSTILE),))


def test_junit_keeps_failed_gates_apart_from_unjudged_ones() -> None:
    root = ElementTree.fromstring(junit([outcome("throughput_rps:-5%", "cpu_ms_per_request:+5%")]))
    assert root.attrib == {"name": "loopwise", "tests": "8", "failures": "1", "errors": "5", "skipped": "0"}
    kinds = {
        (case.get("classname"), case.get("name")): [child.tag for child in case if child.tag != "system-out"]
        for case in root.iter("testcase")
    }
    assert kinds["slow", "throughput_rps"] == ["failure"]
    assert kinds["vague", "throughput_rps"] == []
    assert kinds["dead", "throughput_rps"] == ["error"]
    assert kinds["slow", "cpu_ms_per_request"] == ["error"]


def test_junit_without_gates_skips_undecided_and_fails_nothing() -> None:
    root = ElementTree.fromstring(junit([outcome()]))
    assert root.attrib == {"name": "loopwise", "tests": "4", "failures": "0", "errors": "0", "skipped": "2"}


def test_markdown_leads_with_the_outcome_and_keeps_names_text() -> None:
    text = pull_request_comment([outcome("throughput_rps:-5%")])
    assert text.startswith("### ❌ 1 gate failed — ")
    assert "1 worse, 1 invalid, 1 undecided, 1 same" in text.splitlines()[0]
    assert "- gate throughput\\_rps:-5% failed: so it is" in text
    assert "| slow | requests a second | ×0.500 [0.400, 0.600] | ▼ worse |" in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {5}
    assert "<b>" not in text
    assert "@all" not in text
    assert "Other differences" in text
    assert pull_request_comment([outcome()]).startswith("### &lt;/x&gt;")
    assert pull_request_comment([outcome("cpu_ms_per_request:+5%")]).startswith("### ⚠️ 4 gates not judged — ")


def test_variables_that_differ_are_shown_and_forbid_nothing(tmp_path: Path) -> None:
    def result(name: str, count: int) -> Summary:
        case = case_of("x", server=Server(env={"OMP_NUM_THREADS": str(count), "A": "1"}))
        return summarise(measured(tmp_path / name, suite_with(case), {"x": Conduct()}))

    (only,) = differences(result("a", 1), result("b", 4))
    assert (only.key, only.before, only.after) == ("case.env.OMP_NUM_THREADS", "1", "4")
    assert not only.forbids
