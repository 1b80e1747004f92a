"""One endpoint under advice, and its rows of advice.json."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from loopwise.advise.candidates import Candidate
from loopwise.advise.decide import Decision, Judged, Screened, decide
from loopwise.advise.diagnosis import Diagnosis
from loopwise.advise.rows import AdviceRow, untried
from loopwise.blame.findings import BlamedLine
from loopwise.model import TOTAL, Case, Round, Verdict


@dataclass
class Subject:
    """One endpoint after everything was measured."""

    case: Case
    """As written, with one endpoint."""
    diagnosis: Diagnosis
    throughput_rps: float = 0.0
    """As written; the lowest that was measured."""
    line: BlamedLine | None = None
    """What holds the loop most."""
    no_edit: str = ""
    """Why no edit of its source could be made."""
    candidates: list[Candidate] = field(default_factory=list)
    screened: list[Screened] = field(default_factory=list)
    failed: list[tuple[Candidate, str]] = field(default_factory=list)
    """Candidates that could not be measured, and why."""
    best: Screened | None = None
    out_of_time: str = ""
    judged: Judged | None = None
    decision: Decision | None = None
    rounds: int = 0

    @property
    def endpoint(self) -> str:
        """`GET /x`."""
        return self.case.endpoints[0].name

    @property
    def where(self) -> str:
        """`shop/report.py:41`, relative to the app's folder; empty where no line is known."""
        if self.line is None or self.case.app is None:
            return ""
        path, folder = Path(self.line.path).resolve(), Path(self.case.app.app_dir).resolve()
        return f"{path.relative_to(folder) if path.is_relative_to(folder) else path}:{self.line.line}"

    def measured(self, rounds: Sequence[Round]) -> None:
        """Lower the throughput as written to the lowest of these rounds."""
        rates = [each.baseline.metrics.get(TOTAL, {}).get("throughput_rps") for each in rounds]
        self.throughput_rps = min([self.throughput_rps, *filter(None, rates)])

    def judge(self, found: Judged | None, harmed: Mapping[str, Verdict], refused: str, rounds: int) -> None:
        """Decide by the confirmation.

        Args:
            found: the comparison of its best change; None: it could not be made.
            harmed: endpoints beside it that surely lose.
            refused: why the change was not possible any more; or empty.
            rounds: that were measured.
        """
        self.rounds = rounds
        if refused and self.best is not None:
            self.failed.append((self.best.candidate, refused))
            self.screened.remove(self.best)
            self.best = None
        elif found is not None:
            self.judged, self.decision = found, decide(found, harmed)

    @property
    def cause(self) -> str:
        """`blocks the event loop 97 % of the time at shop/report.py:41 (requests.get)`."""
        cause = self.diagnosis.cause
        if cause is None:
            return self.diagnosis.note
        if cause.cause != "loop_blocked":
            return cause.evidence
        at = f" at {self.where}" if self.where else ""
        call = f" ({self.line.function or self.line.source})" if self.line else ""
        return f"blocks the event loop {cause.share:.0%} of the time{at}{call}".replace("%", " %")

    @property
    def advised(self) -> Candidate | None:
        """The change that is advised."""
        return self.best.candidate if self.best and self.decision and self.decision.is_advised else None

    @property
    def gain(self) -> tuple[bool, float]:
        """How much is gained, for the order: requests before the canary's sake, the most first; False: nothing."""
        if self.advised is None or self.decision is None or self.decision.verdict.ratio is None:
            return False, 0.0
        ratio = self.decision.verdict.ratio
        return True, ratio if self.decision.verdict.metric == "throughput_rps" else -ratio


def concluded(subjects: Sequence[Subject]) -> list[AdviceRow]:
    """The rows of all endpoints: those with advice first, the largest gain before the others."""
    advised = sorted((each for each in subjects if each.advised), key=lambda each: each.gain, reverse=True)
    others = [each for each in subjects if not each.advised]
    return [row for each in (*advised, *others) for row in _rows(each)]


def _rows(subject: Subject) -> list[AdviceRow]:
    """All rows of an endpoint: its advice, what else was tried, what failed; or why nothing was tried."""
    rows = []
    if subject.best is not None and subject.decision is not None and subject.judged is not None:
        rows.append(_confirmed(subject, subject.best.candidate, subject.decision, subject.judged))
    for each in sorted(subject.screened, key=lambda one: -(one.gain or 0.0)):
        if rows and each is subject.best:
            continue
        rows.append(_tried(subject, each))
    rows += [
        AdviceRow.model_validate(
            {**_of(subject, candidate), "verdict": "invalid", "outcome": "failed", "tried_and_failed": sentence}
        )
        for candidate, sentence in subject.failed
    ]
    if not rows:
        return [_untouched(subject)]
    if subject.no_edit:
        rows.append(
            AdviceRow(
                endpoint=subject.endpoint,
                change="an edit of its source",
                kind="edit",
                where=subject.where,
                verdict="invalid",
                outcome="failed",
                tried_and_failed=subject.no_edit,
                cause=subject.cause,
            )
        )
    return rows


def _of(subject: Subject, candidate: Candidate) -> dict[str, object]:
    return {
        "endpoint": subject.endpoint,
        "change": candidate.change,
        "kind": candidate.kind,
        "where": candidate.where or subject.where,
        "diff": candidate.diff,
        "cause": subject.cause,
    }


def _confirmed(subject: Subject, candidate: Candidate, decision: Decision, found: Judged) -> AdviceRow:
    verdict = decision.verdict
    return AdviceRow.model_validate(
        {
            **_of(subject, candidate),
            "metric": verdict.metric,
            "ratio": verdict.ratio,
            "ci_low": verdict.ci_low,
            "ci_high": verdict.ci_high,
            "verdict": verdict.verdict,
            "canary_p99_ms": found.canary_p99_ms,
            "outcome": "advised" if decision.is_advised else "tried",
            "reason": _why_not(subject, decision),
            "rounds": subject.rounds,
        }
    )


def _why_not(subject: Subject, decision: Decision) -> str:
    """Why a change that was to be confirmed is not advised; empty where figures say it, or it is."""
    if decision.is_advised or decision.reason:
        return decision.reason
    if subject.out_of_time:
        return f"not confirmed: {subject.out_of_time}"
    return decision.verdict.because or decision.verdict.reason if decision.verdict.ratio is None else ""


def _tried(subject: Subject, each: Screened) -> AdviceRow:
    """A change that was not worth confirming: its ratio is that of a round, without an interval."""
    row = {**_of(subject, each.candidate), "ratio": each.gain, "outcome": "tried", "reason": each.fault}
    row["rounds"] = each.rounds if each.gain is not None else 0
    return AdviceRow.model_validate(row | ({"verdict": "invalid"} if each.gain is None else {}))


def _untouched(subject: Subject) -> AdviceRow:
    diagnosis = subject.diagnosis
    if diagnosis.fault:
        return untried(subject.endpoint, diagnosis.fault)
    if subject.out_of_time:
        return untried(subject.endpoint, subject.out_of_time, subject.cause)
    if diagnosis.cause is not None:
        return untried(subject.endpoint, "no change of ours may lift it", subject.cause)
    return AdviceRow(
        endpoint=subject.endpoint,
        outcome="left",
        verdict="same",
        reason=diagnosis.note or f"{diagnosis.throughput_rps:,.0f} requests/s, nothing holds its loop or threads",
        cause=diagnosis.note,
    )
