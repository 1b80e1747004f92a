"""Advice in words, for a terminal."""

from collections.abc import Iterable, Sequence
from itertools import groupby

from loopwise.advise.rows import AdviceRow
from loopwise.report import format as fmt

LEFT_LISTED = 8


def lines(rows: Sequence[AdviceRow], canary: str | None) -> list[str]:
    """Numbered advice, the best first, with what was tried besides; then what is left as it is, and what wasn't tried.

    Args:
        rows: of advice.json.
        canary: path of the canary.
    """
    found: list[str] = []
    by_endpoint = [list(group) for _, group in groupby(rows, key=lambda row: row.endpoint)]
    advised = [group for group in by_endpoint if group[0].outcome == "advised"]
    vain = [group for group in by_endpoint if group[0].outcome in {"tried", "failed"}]
    for number, group in enumerate(advised, start=1):
        first, *others = group
        found.append(f"{number}. {first.endpoint}  {first.cause}")
        found.append(f"   {first.change}      {gain_words(first, canary)}")
        found += _besides(others)
    if not advised:
        found.append("nothing to gain: no change that was measured surely serves more, or spares others more")
    for group in vain:
        found.append(f"-  {group[0].endpoint}  {group[0].cause}")
        found.append("   no advice: nothing that was tried surely gains")
        found += _besides(group)
    left = [row for row in rows if row.outcome == "left"]
    found += _listed("leave as they are", (f"{row.endpoint} ({row.reason})" for row in left))
    untried = [row for row in rows if row.outcome == "untried"]
    found += _listed("could not be tried", (f"{row.endpoint} ({why(row)})" for row in untried))
    return found


def why(row: AdviceRow) -> str:
    """Why an endpoint was not tried."""
    return "; ".join(filter(None, (row.cause, row.reason)))


def gain_words(row: AdviceRow, canary: str | None) -> str:
    """`18.2 times [17.5, 18.9] the requests; p99 of /health 1.48 s → 6.00 ms`."""
    times = f"{fmt.number(row.ratio)} times"
    if row.ci_low is not None and row.ci_high is not None:
        times += f" [{fmt.number(row.ci_low)}, {fmt.number(row.ci_high)}]"
    if row.canary_p99_ms is None or not canary:
        return f"{times} the requests"
    before, after = map(fmt.duration, row.canary_p99_ms)
    beside = f"p99 of {canary} {before} → {after}"
    return f"{times} the requests; {beside}" if row.metric == "throughput_rps" else f"{beside}, {times}"


def _besides(rows: Iterable[AdviceRow]) -> list[str]:
    tried = [f"{row.change}  {tried_words(row)}" for row in rows if row.outcome == "tried" and row.ratio is not None]
    failed = [
        f"{row.change}: {row.tried_and_failed or row.reason}"
        for row in rows
        if row.outcome == "failed" or (row.outcome == "tried" and row.ratio is None)
    ]
    found = [f"   tried besides: {'; '.join(tried)}"] if tried else []
    return found + [f"   tried and failed: {each}" for each in failed]


def tried_words(row: AdviceRow) -> str:
    """`17.9 times`; with the reason why a gain is not advised."""
    interval = "" if row.ci_low is None else f" [{fmt.number(row.ci_low)}, {fmt.number(row.ci_high)}]"
    what = "" if row.metric == "throughput_rps" else " the canary's p99"
    return f"{fmt.number(row.ratio)} times{interval}{what}{f' ({row.reason})' if row.reason else ''}"


def _listed(title: str, words: Iterable[str]) -> list[str]:
    each = list(words)
    if len(each) <= 1:
        return [f"{title}: {text}" for text in each]
    return [f"{title}:", *(f"   {text}" for text in each)]
