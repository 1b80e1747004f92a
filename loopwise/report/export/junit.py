"""Verdicts and gates as JUnit XML, which every CI can show."""

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from loopwise.analysis.gates import Outcome, subject
from loopwise.model import Verdict
from loopwise.visible import clean


def junit(outcomes: Sequence[Outcome]) -> str:
    """A suite per comparison, a test case per case and metric.

    A failed gate is a failure, a gate that can't be judged an error. A verdict `invalid` or `undecided` on a metric
    without a gate is skipped, since it proves nothing.
    """
    root = ET.Element("testsuites", name="loopwise")
    for outcome in outcomes:
        suite = ET.SubElement(root, "testsuite", name=clean(outcome.title))
        for verdict in outcome.verdicts:
            _test_case(suite, outcome, verdict)
        known = {(verdict.metric, subject(verdict)) for verdict in outcome.verdicts}
        for gate, name in outcome.unjudged:
            if (gate.metric, name) not in known:
                case = ET.SubElement(suite, "testcase", classname=clean(name), name=gate.metric)
                ET.SubElement(case, "error", message=f"gate {gate} can't be judged: it was not measured")
        _count(suite)
    _count(root)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _test_case(suite: ET.Element, outcome: Outcome, verdict: Verdict) -> None:
    case = ET.SubElement(suite, "testcase", classname=clean(subject(verdict)), name=verdict.metric)
    failed = [gate for gate, bad in outcome.failed if bad is verdict]
    open_ = [gate for gate, name in outcome.unjudged if (gate.metric, name) == (verdict.metric, subject(verdict))]
    reason = clean(verdict.reason)
    if failed:
        gates = ", ".join(map(str, failed))
        ET.SubElement(case, "failure", type="gate", message=f"gate {gates} failed: {reason}")
    elif open_:
        gates = ", ".join(map(str, open_))
        ET.SubElement(case, "error", type="unjudged", message=f"gate {gates} can't be judged: {reason}")
    elif verdict.verdict in {"invalid", "undecided"} and verdict.metric not in outcome.gated:
        ET.SubElement(case, "skipped", message=reason)
    ET.SubElement(case, "system-out").text = reason


def _count(element: ET.Element) -> None:
    element.set("tests", str(len(list(element.iter("testcase")))))
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        element.set(attribute, str(len(list(element.iter(tag)))))
