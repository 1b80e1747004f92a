"""A claim: what is taught, why, what decides it, and what is shown of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from loopwise.analysis.figures import CaseFigures
from loopwise.analysis.summary import Summary
from loopwise.claims.crossover import Sweep
from loopwise.claims.evidence import RESPONSE_P99, RPS, VICTIM, Evidence
from loopwise.claims.finding import Bracket, Finding, Lesson, Word
from loopwise.claims.panels import Chart, Panel
from loopwise.claims.questions import CONFIDENCE, Judged, Unmeasured
from loopwise.machine import machine_words
from loopwise.paths import scenarios_dir

UNDECIDED = ", which the measurement is too noisy or too short to decide"
TEXTS = ("claim_id", "statement", "belief", "experiment", "prediction", "truth", "wrong", "right", "advice")
"""What `claims show --json` prints of a claim, beside `needs_cores`."""


class Gauge(NamedTuple):
    """The metric by which a lesson's two routes are compared."""

    metric: str
    words: str
    """Completes "the right route …": `serves {} the requests of the wrong one`."""
    endpoint: str | None = None
    """Of a mix; None: the case as a whole."""


THROUGHPUT = Gauge(RPS, "serves {} the requests of the wrong one")
RESPONSE = Gauge(RESPONSE_P99, "takes {} the wrong one's p99")
HEALTH = Gauge(VICTIM, "leaves /health {} the p99 that it has beside the wrong one")


@dataclass(frozen=True)
class Opinion:
    """The outcome of a rule: a verdict and what it is based on."""

    word: Word
    sentence: str
    """What was measured, in words that hold whatever the verdict."""
    decisive: Judged
    """Its ratio is the finding's."""
    slower: CaseFigures
    """The case whose telemetry names the cause."""
    crossover: Bracket | None = None


def word(*, confirmed: bool, refuted: bool, depends: bool = False) -> Word:
    """The verdict of conditions that exclude each other; undecided where none holds."""
    if depends:
        return "depends"
    if confirmed and not refuted:
        return "confirmed"
    return "refuted" if refuted and not confirmed else "undecided"


def word_at_ends(low: Judged, high: Judged) -> Word:
    """The verdict on something that may hold at the large end of a factor and not at the small one."""
    return word(depends=low.no and high.yes, confirmed=low.yes and high.yes, refuted=low.no and high.no)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One claim of the table. Its suite is scenarios/claims/cNN.toml, its lesson's routes are cNN_wrong and cNN_right.

    Texts name their sources as a reader finds them: FastAPI's documentation ("Concurrency and async / await"), AnyIO's
    ("Working with threads"), Python's (asyncio, concurrent.futures, sys), and the sources of uvicorn, httpx, aiosqlite.
    """

    claim_id: str
    """`C01` … `C20`."""
    statement: str
    """The claim, in one sentence."""
    belief: str
    """Why people believe it."""
    experiment: str
    """What is measured and what is compared."""
    prediction: str
    """What arithmetic says, and where that comes from."""
    truth: str = ""
    """What is true instead, or under which condition it is true; empty where the claim may stand as it is."""
    advice: str
    """What to do in one's own code."""
    needs_cores: int = 0
    """Cores without which the claim can't be decided; 0: any machine will do."""
    rule: Callable[[Evidence], Opinion]
    """Decides the claim. It reads valid runs only.

    Raises:
        Unmeasured: a case that it needs is missing or has no valid run.
    """
    crossover: Callable[[Evidence], Sweep] | None = None
    """The factor on which it depends, whose crossover is searched for."""
    chart: Chart
    gauge: Gauge = THROUGHPUT
    """Under open load all routes serve what arrives, and a route's harm to its neighbours is not in its own figures:
    such lessons have another gauge."""

    @property
    def wrong(self) -> str:
        """Function of the lesson's route that does it wrong."""
        return f"{self.claim_id.lower()}_wrong"

    @property
    def right(self) -> str:
        """Function of the lesson's route that does it right."""
        return f"{self.claim_id.lower()}_right"

    @property
    def suite(self) -> str:
        """Path of the suite that puts the claim to the test."""
        return str(scenarios_dir() / "claims" / f"{self.claim_id.lower()}.toml")

    def document(self) -> dict[str, Any]:
        """The texts, as JSON."""
        return {name: getattr(self, name) for name in TEXTS} | {"needs_cores": self.needs_cores}

    def judge(self, summary: Summary) -> Finding:
        """The finding that a summary of the claim's suite gives; invalid where it lacks what the rule needs."""
        evidence = Evidence(summary)
        common: dict[str, Any] = {
            "claim_id": self.claim_id,
            "lesson": self._lesson(evidence),
            "measured_at": summary.experiment.created_at,
            "machine": machine_words(summary.experiment.environment),
        }
        try:
            opinion = self.rule(evidence)
        except Unmeasured as missing:
            return Finding(verdict="invalid", sentence=str(missing), **common)
        return Finding(
            verdict=opinion.word,
            sentence=opinion.sentence + (UNDECIDED if opinion.word == "undecided" else ""),
            ratio=opinion.decisive.estimate,
            cause=evidence.cause(opinion.slower),
            crossover=opinion.crossover,
            **common,
        )

    def sweep(self, summary: Summary) -> Sweep | None:
        """The claim's sweep as far as the summary has it; None where it has none, or lacks its baseline."""
        try:
            return self.crossover(Evidence(summary)) if self.crossover else None
        except Unmeasured:
            return None

    def panel(self, summary: Summary, finding: Finding) -> Panel | None:
        """The claim's chart; None where nothing of it was measured."""
        return self.chart(Evidence(summary), finding.crossover)

    def _lesson(self, evidence: Evidence) -> Lesson | None:
        """The ratio right ÷ wrong; None where either has no valid run, or fewer than two."""
        wrong, right = (_route(evidence, name) for name in (self.wrong, self.right))
        if wrong is None or right is None:
            return None
        metric, words, endpoint = self.gauge
        ratio = evidence.ratio(right, wrong, metric, endpoint=endpoint, baseline_endpoint=endpoint)
        if ratio is None or not ratio.has_interval:
            return None
        return Lesson(metric=metric, words=words, ratio=ratio.estimate(CONFIDENCE))


def _route(evidence: Evidence, name: str) -> CaseFigures | None:
    """The case that requests a route of the lessons: on the fewest workers, where there are several."""
    path = "/" + name.replace("_", "/")
    cases = [
        each
        for each in evidence.summary.cases.values()
        if each.case.app is not None and each.case.workload.split(" ")[-1] == path
    ]
    return min(cases, key=lambda each: each.case.workers or 0, default=None)
