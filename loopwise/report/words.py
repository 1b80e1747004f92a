"""The words that pages, tables and charts share: names of cases and metrics, verdicts, causes, failed runs."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from loopwise.analysis.canary import canary_of
from loopwise.analysis.causes import DEADLOCK, deadlock_of, first_cause_names
from loopwise.analysis.checks import DISTURBANCES
from loopwise.analysis.metrics import METRICS
from loopwise.analysis.predictions import sentence
from loopwise.analysis.rounds import trouble_of
from loopwise.analysis.summary import Summary
from loopwise.model import TOTAL, Case, Check, Round, Run, Verdict
from loopwise.model.naming import name_among
from loopwise.report import format as fmt
from loopwise.report.cells import workers_name
from loopwise.visible import clean

ICONS = {"worse": "▼", "invalid": "✕", "undecided": "?", "better": "▲", "same": "="}
"""Mark beside the word of each verdict, so that neither colour nor language carries it alone; most urgent first."""
URGENCY = tuple(ICONS)
"""The verdicts in the order in which a reader wants to see them."""

_AGAINST_IDLE = {
    "worse": " worse than in the idle app",
    "same": " as in the idle app",
    "undecided": " not clearly worse than in the idle app",
    "": "",
}
MANY_DISTURBED = 0.1
"""From this share of the runs on; single ones are named among the problems, and their numbers differ little."""
OTHERS = "other_cpu"
"""The check of what other processes of this machine used; the others are of its host."""
_NEAR_ONE = (0.9, 1.1)
_SPELLINGS = {"cpu": "CPU", "gb": "GB", "gc": "GC", "littles": "Little's", "mb": "MB", "rss": "memory"}


@dataclass(frozen=True)
class VerdictRow:
    """A line of the verdict table."""

    verdict: str
    icon: str
    sentence: str
    metric: str
    ratio: str
    candidate: str
    baseline: str


def verdict_rows(summary: Summary) -> list[VerdictRow]:
    """Every comparison, in the order in which it was made."""
    names = case_names(summary)
    return [
        VerdictRow(
            verdict.verdict,
            ICONS[verdict.verdict],
            verdict.reason,
            compared(verdict),
            fmt.ratio(verdict.ratio, verdict.ci_low, verdict.ci_high),
            names.get(verdict.candidate_case, verdict.candidate_case),
            names.get(verdict.baseline_case, verdict.baseline_case),
        )
        for verdict in summary.verdicts
    ]


def trouble(summary: Summary) -> list[str]:
    """A sentence per case and reason for runs that failed, are invalid or marked, and for what could not be read."""
    cases = summary.experiment.suite.cases
    replicates: dict[tuple[str, str, str], list[str]] = {}
    for run in sorted(summary.runs, key=lambda run: run.order):
        status = {"ok": "marked", "disturbed": "disturbed and repeated"}.get(run.status, run.status)
        if run.status != "ok" or _failed(run, "flag"):
            key = (case_name(run.case, cases), status, _why(run))
            replicates.setdefault(key, []).append(str(run.replicate))
    sentences = [
        f"{name}, replicate{'s' if len(numbers) > 1 else ''} {', '.join(numbers)}, {status}: {why}"
        for (name, status, why), numbers in replicates.items()
    ]
    names = {case.case_id: case_name(case, cases) for case in cases}
    sliced = [(_sides(each, names), each) for each in summary.slices]
    rounds = [
        f"{where}round {each.number}, {'marked' if each.status == 'ok' else each.status}: {trouble_of(each)}"
        for where, each in [*(("", each) for each in summary.duel), *sliced]
        if each.status != "ok" or not all(check.ok for check in each.checks)
    ]
    killed = [f"{names[case_id]}: in production, {text}" for case_id, text in kill_words(summary.runs).items()]
    return [*sentences, *killed, *rounds, *summary.damaged]


def busy_words(summary: Summary) -> str:
    """That many of the runs behind the answers were disturbed by others on the machine; empty: few or none were."""
    measured = [run for run in summary.runs if run.status in {"ok", "invalid"}] or summary.duel
    failed = [{check.name for check in each.checks if not check.ok} & DISTURBANCES for each in measured]
    disturbed = [names for names in failed if names]
    if not disturbed or len(disturbed) < MANY_DISTURBED * len(measured):
        return ""
    whose = "other processes" if any(OTHERS in names for names in disturbed) else "other guests of the host"
    noun = "rounds" if summary.duel else "runs"
    were = f"{len(disturbed)} of {len(measured)} {noun} were disturbed by {whose}"
    return f"{were}: decide again on a quiet machine"


def _sides(each: Round, names: Mapping[str, str]) -> str:
    """Beginning of a sentence on a round of slices: the names of its two cases."""
    sides = (names.get(case_id, case_id) for case_id in (each.candidate_case, each.baseline_case))
    return f"slices of {' against '.join(sides)}, "


def flagged(runs: Sequence[Run]) -> dict[str, tuple[str, ...]]:
    """Names of the checks that marked a usable run, by case_id."""
    names: dict[str, dict[str, None]] = {}
    for run in runs:
        for check in _failed(run, "flag") if run.status == "ok" else ():
            names.setdefault(run.case.case_id, {})[words(check.name)] = None
    return {case_id: tuple(checks) for case_id, checks in names.items()}


def short_causes(runs: Sequence[Run]) -> dict[str, str]:
    """The first cause of each case in two or three words, by case_id: `loop blocked`."""
    return {case_id: words(name) for case_id, name in first_cause_names(runs).items()}


def deadlocked(runs: Sequence[Run]) -> frozenset[str]:
    """Cases whose server stopped answering in a deadlock, by case_id: that they have no numbers is the finding."""
    return frozenset(case_id for case_id, name in first_cause_names(runs).items() if name == DEADLOCK)


def kill_words(runs: Sequence[Run]) -> dict[str, str]:
    """Evidence that production would have ended a case, by case_id: of each rule, from the first run that shows it."""
    evidence: dict[str, dict[str, str]] = {}
    for run in runs:
        for kill in run.kills if run.status in {"ok", "invalid"} else ():
            evidence.setdefault(run.case.case_id, {}).setdefault(kill.rule, kill.evidence)
    return {case_id: "; ".join(by_rule.values()) for case_id, by_rule in evidence.items()}


def canary_lines(summary: Summary, names: Mapping[str, str]) -> Iterator[str]:
    """Say of the named cases how their canaries fared, those of one outcome together.

    Args:
        summary: of the result.
        names: of the cases, by case_id.
    """
    settings = summary.experiment.suite.compare
    told: dict[tuple[str, str], list[str]] = {}
    for case_id, name in names.items():
        figures = summary.cases.get(case_id)
        found = canary_of(figures, margin=settings.margin, confidence=settings.confidence) if figures else None
        if found is not None:
            p99 = fmt.duration(found.p99.value) if found.p99 else ""
            outcome = found.silence or f"p99{_AGAINST_IDLE[found.verdict]}"
            told.setdefault((found.path, outcome), []).append(f"{name} {p99}".strip())
    for (path, outcome), some in told.items():
        yield clean(f"canary {path}, {outcome}: {', '.join(some)}")


def far_off(summary: Summary, names: Mapping[str, str]) -> dict[str, str]:
    """A sentence for each of the named cases that is far from its prediction, by case_id."""
    sentences = {
        each.case_id: sentence(each, names[each.case_id]) for each in summary.predictions if each.case_id in names
    }
    return {case_id: text for case_id, text in sentences.items() if text}


def case_name(case: Case, rivals: Collection[Case] = ()) -> str:
    """A case in words, with all in which it differs from its rivals: `sleep(ms=50) async, 2 workers`."""
    return clean(f"{name_among(case, rivals)}, {workers_name(case)}")


def case_names(*summaries: Summary) -> dict[str, str]:
    """A name for each case, by case_id, that no other case of its result has."""
    names: dict[str, str] = {}
    for summary in summaries:
        cases = summary.experiment.suite.cases
        for case in cases:
            names.setdefault(case.case_id, case.case_id if summary.duel else case_name(case, cases))
    return names


def metric_name(metric: str) -> str:
    """A metric in words: `p99 service time`."""
    return METRICS[metric].label if metric in METRICS else words(metric)


def metric_direction(metric: str) -> str:
    """A metric's name, and which way is good: `p99 service time (less is better)`."""
    better = METRICS[metric].better if metric in METRICS else None
    note = {"higher": " (more is better)", "lower": " (less is better)"}.get(better or "", "")
    return f"{metric_name(metric)}{note}"


def endpoint_of(verdict: Verdict) -> str:
    """The endpoint of a verdict that is about one of several; else empty."""
    return "" if verdict.endpoint == TOTAL else verdict.endpoint


def compared(verdict: Verdict) -> str:
    """What a verdict compares: `p99 service time, GET /items`."""
    return ", ".join(filter(None, (metric_name(verdict.metric), endpoint_of(verdict))))


def ratio_text(verdict: Verdict) -> str:
    """The ratio: `×1.41 [1.30, 1.52]`; a digit more near 1, where in a duel all three numbers would read `1.00`."""
    values = (verdict.ratio, verdict.ci_low, verdict.ci_high)
    low, high = _NEAR_ONE
    if all(value is not None and low < value < high for value in values):
        return "×{:.3f} [{:.3f}, {:.3f}]".format(*values)
    return fmt.ratio(*values)


def why_invalid(verdict: Verdict) -> str:
    """What an invalid verdict lacks, without the names of its cases, which stand beside it."""
    return clean(verdict.because or verdict.reason)


def words(key: str) -> str:
    """A key as it is read: `cpu_model` -> `CPU model`."""
    return " ".join(_SPELLINGS.get(word, word) for word in str(key).split("_"))


def verdicts_by_candidate(verdicts: Sequence[Verdict], metric: str) -> dict[str, Verdict]:
    """The first verdict on each candidate in this metric."""
    first: dict[str, Verdict] = {}
    for verdict in verdicts:
        if verdict.metric == metric:
            first.setdefault(verdict.candidate_case, verdict)
    return first


def _failed(run: Run, effect: str) -> list[Check]:
    return [check for check in run.checks if not check.ok and check.effect == effect]


def _why(run: Run) -> str:
    """Why a run failed, is invalid, is marked or was repeated."""
    deadlock = deadlock_of(run)
    if deadlock is not None:
        return deadlock.evidence
    sentences = [
        check.detail or f"{words(check.name)} is {fmt.number(check.value)}, limit {fmt.number(check.limit)}."
        for check in _failed(run, "flag" if run.status in {"ok", "disturbed"} else "void")
        if run.status != "disturbed" or check.name in DISTURBANCES
    ]
    return run.error or " ".join(sentences) or "no reason was recorded."
