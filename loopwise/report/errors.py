"""Failed requests as rows of tables: how many of a case failed in which way, and an example of each."""

from typing import NamedTuple

from loopwise.analysis.errors import CaseError
from loopwise.analysis.summary import Summary
from loopwise.analysis.wording import count
from loopwise.model import OTHER, TOTAL, Case
from loopwise.report import format as fmt
from loopwise.visible import clean


class ErrorLine(NamedTuple):
    """A row of a table of failed requests."""

    endpoint: str
    """Empty where several are summed."""
    kind: str
    requests: str
    share: str
    """Of the endpoint's requests, in the runs that had such errors."""
    runs: str
    """`2 of 3`."""
    first: str
    """When the first one failed, and where."""
    when: str = ""
    """The same, short: `2.5 ms, #1`."""


SHOWN = 5
"""Rows of a case in a table of all cases; its section of the page has all of its rows."""
HEADINGS = ("endpoint", "error", "requests", "share", "runs", "first")
NUMBERS = frozenset({"requests", "share"})
"""Headings of columns that are aligned to the right."""


def error_lines(summary: Summary, case: Case, most: int | None = None) -> list[ErrorLine]:
    """The failed requests of a case by endpoint and kind; beyond `most` rows the rarest are summed."""
    errors = summary.errors.get(case.case_id, ())
    noun = "round" if summary.duel else "replicate"
    shown = errors if most is None or len(errors) <= most else errors[: most - 1]
    lines = [_line(each, noun) for each in shown]
    if rest := errors[len(shown) :]:
        number = sum(each.counted.count for each in rest)
        lines.append(ErrorLine("", f"{len(rest)} more, see report.html", f"{number:,}", "", "", ""))
    return lines


def has_several(case: Case) -> bool:
    """Whether its requests go to several endpoints, so that a row must name its own."""
    return case.scenario is not None or len(case.endpoints) != 1


def _line(error: CaseError, noun: str) -> ErrorLine:
    counted = error.counted
    kind = count(counted.kinds, "other kind") if counted.kind == OTHER and counted.kinds > 1 else counted.kind
    endpoint = "other endpoints" if counted.endpoint == TOTAL else counted.endpoint
    return ErrorLine(
        clean(endpoint),
        clean(kind),
        f"{counted.count:,}",
        fmt.share(error.ratio),
        f"{len(error.replicates)} of {error.runs}",
        _first(error, noun),
        "" if counted.first_s is None else f"{fmt.duration(counted.first_s * 1e3)}, #{error.replicates[0]}",
    )


def _first(error: CaseError, noun: str) -> str:
    """`after 20 ms of replicate 1, connection 7, status 200`."""
    counted = error.counted
    if counted.first_s is None:
        return ""
    parts = [f"after {fmt.duration(counted.first_s * 1e3)} of {noun} {error.replicates[0]}"]
    if counted.connection is not None:
        parts.append(f"connection {counted.connection}")
    if counted.status and not counted.kind.startswith("status_"):
        parts.append(f"status {counted.status}")
    return ", ".join(parts)


def retries(summary: Summary) -> dict[str, str]:
    """A sentence for each case with requests that were sent again over a new connection, by case_id."""
    counts = [(run.case.case_id, run.counts) for run in summary.runs if run.status in {"ok", "invalid"}]
    for each in summary.duel:
        counts += [(each.baseline_case, each.baseline.counts), (each.candidate_case, each.candidate.counts)]
    sent_again: dict[str, int] = {}
    for case_id, numbers in counts:
        sent_again[case_id] = sent_again.get(case_id, 0) + numbers.get("retried", 0)
    return {
        case_id: f"{count(number, 'request')} met a closing connection and went out again over a new one"
        for case_id, number in sent_again.items()
        if number
    }
