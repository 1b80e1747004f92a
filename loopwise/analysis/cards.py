"""Cards: the answer on each workload or endpoint as data, which a page, a program or a chart can show."""

from collections.abc import Iterator, Mapping

from loopwise.analysis.canary import Canary, canary_of
from loopwise.analysis.conclusions import Choice, Subject, choose, subjects
from loopwise.analysis.figures import CaseFigures
from loopwise.model import Case, Cause, Estimate, Experiment, Noun, Verdict
from loopwise.model.naming import tell_apart


class Rival(Noun):
    """The case that a recommended one is compared with."""

    case_id: str
    name: str
    """By what differs between the two: `sync`, `async on 2 workers`."""
    is_baseline: bool
    """Whether the suite says so; else it is the slowest."""
    ratio: Estimate
    """The recommended case's throughput ÷ this one's."""
    verdict: str
    """On the recommended case: `better`, `same`, `undecided`, `worse`."""


class Held(Noun):
    """What holds a case back, and what to do about it."""

    case_id: str
    name: str
    """As in the card."""
    cause: str
    evidence: str
    remedy: str = ""
    """Empty where the evidence says it."""


class Card(Noun):
    """The answer on one subject: an entry of summary.json's `cards`."""

    subject: str
    """Workload or endpoint, with the server or the load where the suite has several."""
    cases: int
    """Cases that are compared."""
    invalid: int
    """Those of them without a valid run."""
    reason: str = ""
    """Why nothing is recommended: no case has a valid run."""
    case_id: str | None = None
    """The recommended case: of those that serve the most, the one with the fewest workers."""
    name: str = ""
    """Its name among the cases: `async with 1 worker`."""
    mode: str = ""
    workers: int | None = None
    throughput: Estimate | None = None
    rival: Rival | None = None
    """None: there is nothing to compare it with."""
    because: str = ""
    """What explains the difference, as far as known."""
    as_good: tuple[str, ...] = ()
    """Names of cases that are the same within the margin."""
    unclear: tuple[str, ...] = ()
    """Names of cases that may be as good for all that was measured."""
    canary: Canary | None = None
    """What the recommended case costs others; None: no canary."""
    held: Held | None = None
    """What holds the recommended case back, or else the other one."""


def cards(
    experiment: Experiment,
    cases: Mapping[str, CaseFigures],
    verdicts: tuple[Verdict, ...],
    causes: Mapping[str, Cause],
) -> Iterator[Card]:
    """One card per subject, server and load, in the order of the suite.

    Args:
        experiment: for its margin and confidence.
        cases: by case_id.
        verdicts: all of them.
        causes: the first cause of each case that has one, by case_id.
    """
    margin, confidence = experiment.suite.compare.margin, experiment.suite.compare.confidence
    for subject in subjects(cases):
        choice = choose(subject, verdicts, margin=margin, confidence=confidence)
        if choice is None:
            count, reason = len(subject.rivals), subject.rivals[0].reason or "not measured yet"
            yield Card(subject=subject.name, cases=count, invalid=count, reason=reason)
            continue
        best = choice.best.case
        rival = _rival(choice, cases)
        yield Card(
            subject=subject.name,
            cases=len(subject.rivals),
            invalid=len(subject.rivals) - len(choice.known),
            case_id=best.case_id,
            name=subject.name_of(choice.best),
            mode=best.mode,
            workers=best.workers,
            throughput=choice.throughput,
            rival=rival,
            because=_because(choice, rival, causes),
            as_good=tuple(subject.name_of(each) for each in choice.peers),
            unclear=tuple(subject.name_of(each) for each in choice.unclear),
            canary=canary_of(choice.best, margin=margin, confidence=confidence),
            held=_held(choice, subject, rival, causes),
        )


def _rival(choice: Choice, cases: Mapping[str, CaseFigures]) -> Rival | None:
    """The baseline of the recommended case; where it has none, the slowest of the others."""
    best, verdict = choice.best.case, choice.verdict
    if verdict is not None and (ratio := _ratio(verdict)) is not None:
        return _named(best, cases[verdict.baseline_case].case, ratio, verdict.verdict, is_baseline=True)
    if choice.slowest is None:
        return None
    slowest = choice.slowest[0].case
    verdict = choice.rivals.get(slowest.case_id)
    if verdict is None or (ratio := _ratio(verdict)) is None:
        return None
    word = "better" if verdict.verdict == "worse" else verdict.verdict
    return _named(best, slowest, _turned(ratio), word, is_baseline=False)


def _named(best: Case, rival: Case, ratio: Estimate, verdict: str, *, is_baseline: bool) -> Rival:
    name = tell_apart(rival, best)[0]
    return Rival(case_id=rival.case_id, name=name, is_baseline=is_baseline, ratio=ratio, verdict=verdict)


def _ratio(verdict: Verdict) -> Estimate | None:
    """Candidate ÷ baseline with the interval that decided."""
    if not verdict.ratio:
        return None
    ends = {"low": verdict.ci_low, "high": verdict.ci_high}
    return Estimate(value=verdict.ratio, **ends, replicates=verdict.replicates, confidence=verdict.confidence)


def _turned(ratio: Estimate) -> Estimate:
    """The same comparison from the other side."""
    low, high = (1 / end if end else None for end in (ratio.high, ratio.low))
    return ratio.model_copy(update={"value": 1 / ratio.value, "low": low, "high": high})


def _because(choice: Choice, rival: Rival | None, causes: Mapping[str, Cause]) -> str:
    if choice.verdict is not None and choice.verdict.because:
        return choice.verdict.because
    if rival is None or rival.verdict != "better" or rival.case_id not in causes:
        return ""
    return f"{rival.name}: {causes[rival.case_id].evidence}"


def _held(choice: Choice, subject: Subject, rival: Rival | None, causes: Mapping[str, Cause]) -> Held | None:
    """The first cause of the recommended case; where it has none, that of the one it is compared with."""
    named = [
        (choice.best.case.case_id, subject.name_of(choice.best)),
        *([(rival.case_id, rival.name)] if rival else []),
    ]
    for case_id, name in named:
        if cause := causes.get(case_id):
            return Held(case_id=case_id, name=name, cause=cause.cause, evidence=cause.evidence, remedy=cause.remedy)
    return None
