"""What more workers bring to otherwise equal cases, and how many of them are enough. Pure functions."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from loopwise.analysis.bounds import bounds
from loopwise.analysis.conclusions import fewest_as_good
from loopwise.analysis.contest import is_usable
from loopwise.analysis.measured import CaseFigures
from loopwise.analysis.sentences import percent
from loopwise.analysis.usl import Fit, Parameter, divisor, fit
from loopwise.model import Experiment, Noun
from loopwise.model.factors import identity, name_among

METRIC = "throughput_rps"
POOR_FIT = 0.1
"""A curve further than this from a measured throughput does not describe it; cores that are used up make a kink."""


class Scaling(Noun):
    """What more workers bring to otherwise equal cases; an entry of summary.json's `scaling`."""

    case_ids: tuple[str, ...]
    """By rising number of workers."""
    workers: tuple[int, ...]
    law: Literal["usl", "amdahl"]
    one_worker_rps: float
    """The curve's throughput on one worker."""
    contention: float
    """σ, 0–1: the share of the work that only one worker can do at a time."""
    contention_low: float | None
    """Ends of its interval; null with one replicate."""
    contention_high: float | None
    coherency: float | None
    """κ ≥ 0: what each pair of workers costs; null: Amdahl's law, which has none."""
    coherency_low: float | None
    coherency_high: float | None
    confidence: float
    """Of the intervals."""
    misfit_ratio: float
    """The greatest distance of the curve from a measured throughput, relative to it."""
    best_workers: int
    """Workers of the highest throughput."""
    recommended_workers: int
    """The fewest whose throughput has the verdict `same` as the best."""
    sentence: str

    def throughput_rps(self, workers: float) -> float:
        """The fitted curve."""
        return self.one_worker_rps * workers / divisor(self.contention, self.coherency or 0.0, workers)


def scale_all(experiment: Experiment, cases: Mapping[str, CaseFigures]) -> Iterator[Scaling]:
    """What more workers bring, for each set of cases that differ in workers alone, measured on three or more."""
    settings = experiment.suite.compare
    known = [each.case for each in cases.values()]
    groups: dict[object, list[CaseFigures]] = {}
    for each in cases.values():
        # In open load the schedule sets the throughput, whatever the workers could do.
        if each.case.workers is not None and each.case.load.model == "closed":
            groups.setdefault(identity(each.case, {"workers": None}), []).append(each)
    for group in groups.values():
        members = sorted(
            (each for each in group if any(is_usable(value) for value in each.values(METRIC).values())),
            key=lambda each: each.case.workers or 0,
        )
        found = fit({each.case.workers or 0: each.values(METRIC) for each in members}, settings.confidence)
        if found is not None:
            name = name_among(members[0].case, known)
            yield _scaling(experiment, members, found, name)


def _scaling(experiment: Experiment, members: Sequence[CaseFigures], found: Fit, name: str) -> Scaling:
    settings, cores = experiment.suite.compare, experiment.environment["cores"]
    best = max(members, key=lambda each: _typical(each, settings.confidence))
    fewest, _ = fewest_as_good(best, members, margin=settings.margin, confidence=settings.confidence)
    contention, coherency = found.contention, found.coherency
    made = Scaling(
        case_ids=tuple(each.case.case_id for each in members),
        workers=tuple(each.case.workers or 0 for each in members),
        law=found.law,
        one_worker_rps=found.one_worker_rps,
        contention=contention.value,
        contention_low=contention.low,
        contention_high=contention.high,
        coherency=coherency.value if coherency else None,
        coherency_low=coherency.low if coherency else None,
        coherency_high=coherency.high if coherency else None,
        confidence=settings.confidence,
        misfit_ratio=found.misfit_ratio,
        best_workers=best.case.workers or 0,
        recommended_workers=fewest.case.workers or 0,
        sentence="",
    )
    said = "".join(_clauses(made, found, settings.margin, _load_bound(best, cores)))
    return made.model_copy(update={"sentence": f"{name} {said}."})


def _typical(each: CaseFigures, confidence: float) -> float:
    known = each.estimate(METRIC, confidence)
    return known.value if known else 0.0


def _load_bound(best: CaseFigures, cores: int) -> str:
    """Name of the smallest bound of the best case, if that is its users; else empty."""
    limits = bounds(best.case, cores)
    return limits[0].name if limits and limits[0].name.endswith(" users") else ""


def _clauses(made: Scaling, found: Fit, margin: float, load_bound: str) -> Iterator[str]:
    """What a person would say of it, but for the name."""
    best, chosen = made.best_workers, made.recommended_workers
    law = f"contention {_shown(found.contention)}"
    if found.coherency is not None:
        law += f", coherency {_shown(found.coherency)}"
    grows = f"scales to {_workers(best)}" if best > made.workers[0] else "gains nothing from more workers"
    yield f"{grows}: {law}"
    if chosen < best:
        yield f"; {_workers(chosen)} already serve{'s' if chosen == 1 else ''} the same within ±{percent(margin)}"
    if load_bound:
        yield f"; its {load_bound} are all there is to serve, so more of them may show more"
    if made.misfit_ratio > POOR_FIT:
        yield f"; the curve misses a point by {100 * made.misfit_ratio:.0f} % and describes it badly"


def _workers(count: int) -> str:
    return f"{count} worker{'s' if count != 1 else ''}"


def _shown(parameter: Parameter) -> str:
    """`3.1 % [1.2, 5]`."""
    value = f"{_digits(parameter.value)} %"
    if parameter.low is None or parameter.high is None:
        return value
    return f"{value} [{_digits(parameter.low)}, {_digits(parameter.high)}]"


def _digits(share: float) -> str:
    """In percent, two significant digits; below a thousandth of a percent it is zero."""
    return f"{share * 100:.2g}" if share >= 1e-5 and share < 0.995 else f"{share * 100:.0f}"
