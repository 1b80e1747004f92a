"""What README says was measured is what the results in the repository hold, and its times are those of the plans."""

import json
import re
from functools import partial

import pytest
from support.docs import ROOT, blocks, headings, rows, section, text_of
from support.target import described

from loopwise.claims import examine
from loopwise.claims.table import CLAIMS as ALL_CLAIMS
from loopwise.measure.plan import duration
from loopwise.report import format as fmt
from loopwise.suite import load_suite

README = (ROOT / "README.md").read_text(encoding="utf-8")
CLAIMS = text_of("claims.md")
FOUND = {said: (link, verdict) for link, said, verdict in rows(CLAIMS, "Claims")}
"""A claim's sentence -> its link and its verdict."""
NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")
CORES = 2
"""Of the machine that the README speaks of."""
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


def test_the_readme_says_how_much_quick_measures_and_how_long_it_takes() -> None:
    suite = load_suite("quick", describe=described)
    assert "`quick` (twenty cases, four times each, in five minutes or so)" in README
    assert (len(suite.cases), suite.replicates.min, suite.replicates.max) == (20, 4, 4)
    assert round(duration(suite, CORES)[0] / 60) == 5


def test_the_readme_says_how_long_all_claims_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examine, "cores", lambda: CORES)
    monkeypatch.setattr(examine, "load_suite", partial(load_suite, describe=described))
    plans = examine.planned(ALL_CLAIMS.values())
    minutes = [round(sum(times) / 60) for times in ([p.least_s for p in plans], [p.most_s for p in plans])]
    assert "twenty common sentences about sync and async, in {} to {} minutes".format(*minutes) in README
    assert len(plans) == 20
