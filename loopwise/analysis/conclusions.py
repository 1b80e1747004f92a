"""The answer in one sentence per workload: which mode, how many workers, by how much."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from types import MappingProxyType

from loopwise.analysis.canary import canary_sentence
from loopwise.analysis.figures import CaseFigures
from loopwise.analysis.paired import within_blocks
from loopwise.analysis.verdicts import judge_family
from loopwise.analysis.wording import percent, times
from loopwise.model import TOTAL, Case, Estimate, Experiment, Verdict
from loopwise.model.naming import short_name, tell_apart

METRIC = "throughput_rps"
DUEL_METRICS = ("throughput_rps", "cpu_ms_per_request")
"""Metrics whose verdicts are the answer of a duel."""
NOTHING: Mapping[str, str] = MappingProxyType({})


def answer_all(
    experiment: Experiment,
    cases: Mapping[str, CaseFigures],
    verdicts: tuple[Verdict, ...],
    causes: Mapping[str, str] = NOTHING,
) -> Iterator[str]:
    """One sentence per subject, server and load, in the order of the suite.

    Args:
        experiment: for its margin and confidence.
        cases: by case_id.
        verdicts: all of them.
        causes: evidence of what holds a case back, by case_id; named where no bound explains a difference.
    """
    everything = list(cases.values())
    order = list(dict.fromkeys(_group(each.case) for each in everything))
    everything.sort(key=lambda each: order.index(_group(each.case)))
    many_servers = len({each.case.server.name for each in everything if each.case.server}) > 1
    many_loads = len({each.case.load.label for each in everything}) > 1
    for _, group in groupby(everything, key=lambda each: _group(each.case)):
        rivals = list(group)
        first = rivals[0].case
        subject = first.subject
        if many_servers and first.server:
            subject += f" under {first.server.name}"
        if many_loads:
            subject += f" at {first.load.label}"
        yield f"{subject}: {_answer(experiment, rivals, verdicts, cases, causes)}"


def duel_answers(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """The answer of a duel: its verdicts on the whole, throughput first."""
    for metric in DUEL_METRICS:
        for verdict in verdicts:
            if verdict.metric == metric and verdict.endpoint in {"", TOTAL}:
                yield f"{verdict.reason}."


def _group(case: Case) -> tuple[str, str, str, str]:
    place = case.url or (case.app.target if case.app else "")
    return (case.subject, place, case.server.name if case.server else "", case.load.label)


def _answer(
    experiment: Experiment,
    rivals: list[CaseFigures],
    verdicts: tuple[Verdict, ...],
    cases: Mapping[str, CaseFigures],
    causes: Mapping[str, str],
) -> str:
    confidence, margin = experiment.suite.compare.confidence, experiment.suite.compare.margin
    known: dict[str, tuple[CaseFigures, Estimate]] = {}
    for each in rivals:
        throughput = each.estimate(METRIC, confidence)
        if throughput is not None and throughput.value > 0:
            known[each.case.case_id] = each, throughput
    if not known:
        return f"no valid measurement ({rivals[0].reason or 'not measured yet'})."
    best, throughput = max(known.values(), key=lambda pair: pair[1].value)
    best, peers = fewest_as_good(best, [each for each, _ in known.values()], margin=margin, confidence=confidence)
    throughput = known[best.case.case_id][1]
    text = f"{short_name(best.case, [rival.case for rival in rivals])} serves {_rate(throughput)}"
    if peers:
        does = "does" if len(peers) == 1 else "do"
        text += f" (and so {does} {_listed(peers, rivals)}, within ±{percent(margin)})"
    words = words_against(best, [each for each, _ in known.values()], margin=margin, confidence=confidence)
    open_ = [
        known[case_id][0]
        for case_id, word in words.items()
        if word in {"undecided", "invalid"} and known[case_id][0] not in peers
    ]
    against = _against(best, verdicts, cases, causes) or _against_slowest(best, list(known.values()), causes)
    invalid = len(rivals) - len(known)
    canary = canary_sentence(best, margin=margin, confidence=confidence)
    canary = f" {canary[0].upper()}{canary[1:]}." if canary else ""
    note = f" {invalid} of {len(rivals)} cases have no valid run." if invalid else ""
    return f"{text}{against}.{_no_clear_difference(open_, rivals)}{canary}{note}"


def _no_clear_difference(others: list[CaseFigures], rivals: list[CaseFigures]) -> str:
    """Names the cases that may be as good for all that was measured: a winner by noise must not look like one."""
    if not others:
        return ""
    is_any = len(others) == len(rivals) - 1 > 1
    return f" No clear difference from {'any other' if is_any else _listed(others, rivals)}."


def _listed(some: list[CaseFigures], rivals: list[CaseFigures]) -> str:
    names = [short_name(each.case, [rival.case for rival in rivals]) for each in some]
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def fewest_as_good(
    best: CaseFigures, rivals: Iterable[CaseFigures], *, margin: float, confidence: float
) -> tuple[CaseFigures, list[CaseFigures]]:
    """Of the best and those that are the same as it, the one with the fewest workers; and the others of them."""
    rivals = list(rivals)
    words = words_against(best, rivals, margin=margin, confidence=confidence)
    equals = [each for each in rivals if each is best or words.get(each.case.case_id) == "same"]
    fewest = min(equals, key=lambda each: (each.case.workers or 0, each is not best))
    return fewest, [each for each in equals if each is not fewest]


def words_against(
    best: CaseFigures, rivals: Iterable[CaseFigures], *, margin: float, confidence: float
) -> dict[str, str]:
    """The verdict on the throughput of each rival against the best, by case_id; the rivals are one family."""
    comparisons = [within_blocks(best, each, METRIC) for each in rivals if each is not best]
    judged = judge_family([each for each in comparisons if each], margin=margin, confidence=confidence)
    return {verdict.candidate_case: verdict.verdict for verdict in judged}


def _rate(throughput: Estimate) -> str:
    interval = "" if throughput.low is None else f" [{throughput.low:,.0f}, {throughput.high:,.0f}]"
    return f"{throughput.value:,.0f}{interval} requests/s"


def _against(
    best: CaseFigures,
    verdicts: tuple[Verdict, ...],
    cases: Mapping[str, CaseFigures],
    causes: Mapping[str, str],
) -> str:
    """How the best stands against its baseline, which may be of another server, load or subject."""
    for verdict in verdicts:
        if verdict.candidate_case == best.case.case_id and verdict.metric == METRIC and verdict.ratio:
            baseline = cases[verdict.baseline_case].case
            ratio = Estimate(value=verdict.ratio, low=verdict.ci_low, high=verdict.ci_high, replicates=1)
            reason = f", because {verdict.because}" if verdict.because else ""
            if not reason and verdict.verdict == "better":
                reason = _held_back(baseline, best.case, causes)
            doubt = ", which does not decide it" if verdict.verdict == "undecided" else ""
            return f", {times(ratio)} those of {tell_apart(baseline, best.case)[0]}{reason}{doubt}"
    return ""


def _held_back(slower: Case, faster: Case, causes: Mapping[str, str]) -> str:
    """The first cause that holds the slower one back."""
    cause = causes.get(slower.case_id, "")
    return f" ({tell_apart(slower, faster)[0]}: {cause})" if cause else ""


def _against_slowest(best: CaseFigures, known: list[tuple[CaseFigures, Estimate]], causes: Mapping[str, str]) -> str:
    """How the best stands where nothing is its baseline."""
    slowest, throughput = min(known, key=lambda pair: pair[1].value)
    if slowest is best:
        return ""
    cause = causes.get(slowest.case.case_id, "")
    because = f" ({cause})" if cause else ""
    return f"; the slowest, {tell_apart(slowest.case, best.case)[0]}, {_rate(throughput)}{because}"
