"""The answer in one sentence per workload: which mode, how many workers, by how much."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from types import MappingProxyType

from loopwise.analysis.canary import canary_sentence
from loopwise.analysis.figures import CaseFigures
from loopwise.analysis.paired import within_blocks
from loopwise.analysis.verdicts import judge_family
from loopwise.analysis.wording import percent, times, whole
from loopwise.model import TOTAL, Case, Estimate, Experiment, Verdict
from loopwise.model.naming import short_name, tell_apart

METRIC = "throughput_rps"
DUEL_METRICS = ("throughput_rps", "cpu_ms_per_request")
"""Metrics whose verdicts are the answer of a duel."""
TOGETHER = "all comparisons taken together"
"""Why a case is no clear loser although its interval does not touch that of the best: Holm's step-down widens both."""
NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Subject:
    """A workload or endpoint on one server under one load, and the cases of it that are compared."""

    name: str
    """With the server or the load where the suite has several: `sleep(ms=50) under uvicorn at 200 users`."""
    rivals: tuple[CaseFigures, ...]

    def name_of(self, figures: CaseFigures) -> str:
        """Name of one of its cases among the others: `async with 1 worker`."""
        return short_name(figures.case, [rival.case for rival in self.rivals])


@dataclass(frozen=True)
class Choice:
    """The case of a subject that is recommended, beside the others."""

    best: CaseFigures
    """The fewest workers among those that serve the most."""
    throughput: Estimate
    known: tuple[tuple[CaseFigures, Estimate], ...]
    """The cases with a throughput, and that; the best among them."""
    peers: tuple[CaseFigures, ...]
    """The same within the margin."""
    unclear: tuple[CaseFigures, ...]
    """Those that may be as good for all that was measured."""
    rivals: Mapping[str, Verdict]
    """Each of `known` ÷ the best in throughput, by case_id; one family."""
    verdict: Verdict | None
    """The best against its baseline, which may be of another server, load or subject; None without one."""

    @property
    def slowest(self) -> tuple[CaseFigures, Estimate] | None:
        """The slowest other case and its throughput; None where there is none."""
        slowest = min(self.known, key=lambda pair: pair[1].value)
        return None if slowest[0] is self.best else slowest


def subjects(cases: Mapping[str, CaseFigures]) -> Iterator[Subject]:
    """The subjects in the order of the suite, and the cases of each."""
    everything = list(cases.values())
    order = list(dict.fromkeys(_group(each.case) for each in everything))
    everything.sort(key=lambda each: order.index(_group(each.case)))
    many_servers = len({each.case.server.name for each in everything if each.case.server}) > 1
    many_loads = len({each.case.load.label for each in everything}) > 1
    for _, group in groupby(everything, key=lambda each: _group(each.case)):
        rivals = tuple(group)
        first = rivals[0].case
        name = first.subject
        if many_servers and first.server:
            name += f" under {first.server.name}"
        if many_loads:
            name += f" at {first.load.label}"
        yield Subject(name, rivals)


def choose(subject: Subject, verdicts: Iterable[Verdict], *, margin: float, confidence: float) -> Choice | None:
    """The case to recommend; None where none has a valid measurement."""
    estimates = {each.case.case_id: each.estimate(METRIC, confidence) for each in subject.rivals}
    known = {
        each.case.case_id: (each, throughput)
        for each in subject.rivals
        if (throughput := estimates[each.case.case_id]) is not None and throughput.value > 0
    }
    if not known:
        return None
    some = [each for each, _ in known.values()]
    best, _ = max(known.values(), key=lambda pair: pair[1].value)
    best, peers = fewest_as_good(best, some, margin=margin, confidence=confidence)
    rivals = verdicts_against(best, some, margin=margin, confidence=confidence)
    return Choice(
        best=best,
        throughput=known[best.case.case_id][1],
        known=tuple(known.values()),
        peers=tuple(peers),
        unclear=tuple(
            known[case_id][0]
            for case_id, verdict in rivals.items()
            if verdict.verdict in {"undecided", "invalid"} and known[case_id][0] not in peers
        ),
        rivals=rivals,
        verdict=next((each for each in verdicts if _is_of(each, best.case)), None),
    )


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
    for subject in subjects(cases):
        yield f"{subject.name}: {_answer(experiment, subject, verdicts, cases, causes)}"


def duel_answers(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """The answer of a duel: its verdicts on the whole, throughput first."""
    for metric in DUEL_METRICS:
        for verdict in verdicts:
            if verdict.metric == metric and verdict.endpoint in {"", TOTAL}:
                yield f"{verdict.reason}."


def _group(case: Case) -> tuple[str, str, str, str]:
    place = case.url or (case.app.target if case.app else "")
    return (case.subject, place, case.server.name if case.server else "", case.load.label)


def _is_of(verdict: Verdict, case: Case) -> bool:
    return verdict.candidate_case == case.case_id and verdict.metric == METRIC and bool(verdict.ratio)


def _answer(
    experiment: Experiment,
    subject: Subject,
    verdicts: tuple[Verdict, ...],
    cases: Mapping[str, CaseFigures],
    causes: Mapping[str, str],
) -> str:
    confidence, margin = experiment.suite.compare.confidence, experiment.suite.compare.margin
    choice = choose(subject, verdicts, margin=margin, confidence=confidence)
    if choice is None:
        return f"no valid measurement ({subject.rivals[0].reason or 'not measured yet'})."
    text = f"{subject.name_of(choice.best)} serves {_rate(choice.throughput)}"
    if choice.peers:
        does = "does" if len(choice.peers) == 1 else "do"
        text += f" (and so {does} {_listed(choice.peers, subject)}, within ±{percent(margin)})"
    against = _against(choice, cases, causes) or _against_slowest(choice, causes)
    invalid = len(subject.rivals) - len(choice.known)
    canary = canary_sentence(choice.best, margin=margin, confidence=confidence)
    canary = f" {canary[0].upper()}{canary[1:]}." if canary else ""
    note = f" {invalid} of {len(subject.rivals)} cases have no valid run." if invalid else ""
    return f"{text}{against}.{_no_clear_difference(choice, subject)}{canary}{note}"


def _no_clear_difference(choice: Choice, subject: Subject) -> str:
    """Names the cases that may be as good for all that was measured: a winner by noise must not look like one."""
    if not choice.unclear:
        return ""
    is_any = len(choice.unclear) == len(subject.rivals) - 1 > 1
    others = "any other" if is_any else _listed(choice.unclear, subject)
    together = f", {TOGETHER}" if len(choice.rivals) > 1 else ""
    return f" No clear difference from {others}{together}."


def _listed(some: Iterable[CaseFigures], subject: Subject) -> str:
    names = [subject.name_of(each) for each in some]
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def fewest_as_good(
    best: CaseFigures, rivals: Iterable[CaseFigures], *, margin: float, confidence: float
) -> tuple[CaseFigures, list[CaseFigures]]:
    """Of the best and those that are the same as it, the one with the fewest workers; and the others of them."""
    rivals = list(rivals)
    judged = verdicts_against(best, rivals, margin=margin, confidence=confidence)
    same = {case_id for case_id, verdict in judged.items() if verdict.verdict == "same"}
    equals = [each for each in rivals if each is best or each.case.case_id in same]
    fewest = min(equals, key=lambda each: (each.case.workers or 0, each is not best))
    return fewest, [each for each in equals if each is not fewest]


def verdicts_against(
    best: CaseFigures, rivals: Iterable[CaseFigures], *, margin: float, confidence: float
) -> dict[str, Verdict]:
    """The verdict on the throughput of each rival against the best, by case_id; the rivals are one family."""
    comparisons = [within_blocks(best, each, METRIC) for each in rivals if each is not best]
    judged = judge_family([each for each in comparisons if each], margin=margin, confidence=confidence)
    return {verdict.candidate_case: verdict for verdict in judged}


def _rate(throughput: Estimate) -> str:
    interval = "" if throughput.low is None else f" [{whole(throughput.low)}, {whole(throughput.high)}]"
    return f"{whole(throughput.value)}{interval} requests/s"


def _against(choice: Choice, cases: Mapping[str, CaseFigures], causes: Mapping[str, str]) -> str:
    """How the best stands against its baseline."""
    verdict, best = choice.verdict, choice.best.case
    if verdict is None or verdict.ratio is None:
        return ""
    baseline = cases[verdict.baseline_case].case
    ratio = Estimate(value=verdict.ratio, low=verdict.ci_low, high=verdict.ci_high, replicates=1)
    reason = f", because {verdict.because}" if verdict.because else ""
    if not reason and verdict.verdict == "better":
        reason = _held_back(baseline, best, causes)
    doubt = ", which does not decide it" if verdict.verdict == "undecided" else ""
    return f", {times(ratio)} those of {tell_apart(baseline, best)[0]}{reason}{doubt}"


def _held_back(slower: Case, faster: Case, causes: Mapping[str, str]) -> str:
    """The first cause that holds the slower one back."""
    cause = causes.get(slower.case_id, "")
    return f" ({tell_apart(slower, faster)[0]}: {cause})" if cause else ""


def _against_slowest(choice: Choice, causes: Mapping[str, str]) -> str:
    """How the best stands where nothing is its baseline."""
    if choice.slowest is None:
        return ""
    slowest, throughput = choice.slowest
    cause = causes.get(slowest.case.case_id, "")
    because = f" ({cause})" if cause else ""
    return f"; the slowest, {tell_apart(slowest.case, choice.best.case)[0]}, {_rate(throughput)}{because}"
