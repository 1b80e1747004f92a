"""What README says was measured is what the results in the repository hold."""

import json
import re

import pytest
from support.docs import ROOT, blocks, headings, rows, section, text_of

from loopwise.report import format as fmt

README = (ROOT / "README.md").read_text(encoding="utf-8")
CLAIMS = text_of("claims.md")
FOUND = {said: (link, verdict) for link, said, verdict in rows(CLAIMS, "Claims")}
"""A claim's sentence -> its link and its verdict."""
NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")
TOLD = rows(README, "What is taught, put to the test")


@pytest.mark.parametrize(("said", "told"), TOLD, ids=[said for said, _ in TOLD])
def test_a_claim_in_the_readme_has_the_verdict_and_the_numbers_of_its_page(said: str, told: str) -> None:
    link, verdict = FOUND[said]
    assert told.startswith(f"**{verdict}**")
    claim_id = link[1:4]
    (heading,) = (each for each in headings(CLAIMS) if each.startswith(f"{claim_id}: "))
    known = [float(each.replace(",", "")) for each in NUMBER.findall(section(CLAIMS, heading))]
    for number in NUMBER.findall(told):
        decimals = len(number.partition(".")[2])
        assert number in {f"{value:.{decimals}f}" for value in known}


@pytest.mark.parametrize(
    ("words", "verdict", "count"),
    [
        ("one was refuted", "refuted", 1),
        ("nine were confirmed", "confirmed", 9),
        ("ten depend", "depends", 10),
    ],
)
def test_the_readme_counts_the_verdicts_right(words: str, verdict: str, count: int) -> None:
    assert words in section(README, "What is taught, put to the test")
    assert [found for _, found in FOUND.values()].count(verdict) == count


def test_the_readmes_transcript_is_that_of_the_result_beside_it() -> None:
    (transcript,) = (each for each in blocks(README, "") if "Intervals: " in each)
    summary = json.loads((ROOT / "results" / "showcase" / "summary.json").read_text(encoding="utf-8"))
    words = " ".join(transcript.split())
    for answer in summary["answers"]:
        assert answer in words
    throughputs = [row for row in summary["rows"] if row["metric"] == "throughput_rps"]
    assert len(throughputs) == 20
    for row in throughputs:
        assert fmt.estimate(row["value"], row["ci_low"], row["ci_high"]) in words
