"""Comparison of two results: what differs in their environments, and a verdict per shared case."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from loopwise.analysis.metrics import COMPARED
from loopwise.analysis.paired import PairedComparison, is_usable, pair_up
from loopwise.analysis.stats import LogRatio, unpaired
from loopwise.analysis.summary import Summary
from loopwise.analysis.verdicts import judge_family
from loopwise.errors import UsageError
from loopwise.model import Case, Experiment, ServerFacts, Verdict
from loopwise.model.factors import case_factors

CALIBRATION = "cpu_iterations_per_ms"
MATTERS = ("cpu_model", "cores", "system", "cpu_governor", "python", "versions", "variables", "server")
"""Keys whose difference moves numbers by more than any margin: another machine, kernel, interpreter or package, or a
variable of the environment such as LD_PRELOAD. `server` is what the measured servers said of themselves. Memory is only
shown: its size alone moves nothing."""
ALLOWABLE = (*MATTERS, "calibration")
SERVER_KEYS = ("python", "loop", "versions")
STARTED = ("env_file", "fresh", "before_replicate")
"""Factors of how an app is started, beside its variables and arguments."""


class Difference(NamedTuple):
    """A key of the environment with its two values."""

    key: str
    """`cores`, `versions.uvicorn`, `server.versions.uvicorn`."""
    before: Any
    after: Any

    @property
    def forbids(self) -> bool:
        """Whether results that differ in it must not be compared unasked."""
        return self.key.split(".", 1)[0] in MATTERS


def differences(base: Summary, other: Summary) -> list[Difference]:
    """Differences of the environments, and of what the servers of the shared cases ran on; by key."""
    shared = base.cases.keys() & other.cases.keys()
    one, two = (
        _flat(each.experiment.environment) | _started(each.cases[case_id].case for case_id in shared)
        for each in (base, other)
    )
    before, after = ([run.server for run in each.runs if run.case.case_id in shared] for each in (base, other))
    return _differing(one, two, before, after)


def served_differences(base: ServerFacts, other: ServerFacts) -> list[Difference]:
    """Differences of the interpreters and packages that two servers ran on; by key."""
    return _differing({}, {}, [base], [other])


def _differing(
    one: Mapping[str, Any], two: Mapping[str, Any], before: Sequence[ServerFacts], after: Sequence[ServerFacts]
) -> list[Difference]:
    """Compare two sides by what is known of each and by the facts of its servers."""
    installed = _installed(before), _installed(after)
    if not all(installed):  # one side is of a version that recorded none
        installed = {}, {}
    variables = _variables(before), _variables(after)
    if None in variables:  # likewise
        variables = {}, {}
    one = {**one, **_served(before), **installed[0], **(variables[0] or {})}
    two = {**two, **_served(after), **installed[1], **(variables[1] or {})}
    return [Difference(key, one.get(key), two.get(key)) for key in sorted(one | two) if one.get(key) != two.get(key)]


def _installed(servers: Iterable[ServerFacts]) -> dict[str, str]:
    """Distributions of the servers' interpreters, without those in `versions`."""
    return _joined(
        (f"distributions.{name}", version)
        for each in servers
        for name, version in each.distributions.items()
        if name not in each.versions
    )


def _variables(servers: Iterable[ServerFacts]) -> dict[str, str] | None:
    """Variables of the servers' environments that move numbers; None: no run recorded them."""
    known = [each.variables for each in servers if each.variables is not None]
    pairs = ((f"variables.{name}", value) for each in known for name, value in each.items())
    return _joined(pairs) if known else None


def _flat(environment: Mapping[str, Any]) -> dict[str, Any]:
    flat = {key: value for key, value in environment.items() if not isinstance(value, dict)}
    for key, value in environment.items():
        if isinstance(value, dict):
            flat |= {f"{key}.{inner}": entry for inner, entry in value.items()}
    return flat


def _served(servers: Iterable[ServerFacts]) -> dict[str, str]:
    """Interpreters, loops and packages that the servers ran on."""
    flat = (_flat(each.model_dump(include=set(SERVER_KEYS))) for each in servers)
    return _joined((f"server.{key}", value) for facts in flat for key, value in facts.items())


def _started(cases: Iterable[Case]) -> dict[str, str]:
    """Settings with which apps were started, which ids of cases need not say; only shown, for they may be compared."""
    return _joined(
        (f"case.{key}", value)
        for case in cases
        for key, value in case_factors(case).items()
        if value is not None and (key in STARTED or key.startswith(("env.", "factory_args.")))
    )


def _joined(pairs: Iterable[tuple[str, object]]) -> dict[str, str]:
    """Each key with its value as text; `1.0 and 2.0` where it has several."""
    values: dict[str, set[str]] = {}
    for key, value in pairs:
        values.setdefault(key, set()).add(str(value))
    return {key: " and ".join(sorted(several)) for key, several in values.items()}


def refuse_different(differing: Sequence[Difference], allowed: Sequence[str], names: tuple[str, str]) -> None:
    """Refuse to compare results of different machines, interpreters or versions, unless told to.

    Args:
        differing: from `differences`.
        allowed: keys that may differ: `cores`; `versions`, which allows all of them; `versions.uvicorn`, which allows
            the server's, too.
        names: what the two results are called.

    Raises:
        UsageError: something that matters differs, or a key can't be meant.
    """
    for key in allowed:
        if key.split(".", 1)[0] not in ALLOWABLE:
            raise UsageError(
                f"--allow-different: got {key!r}, allowed are {', '.join(ALLOWABLE)} "
                "and their inner keys such as versions.uvicorn; choose one of them"
            )
    forbidden = [each for each in differing if each.forbids and not any(_covers(key, each.key) for key in allowed)]
    if forbidden:
        said = "; ".join(f"{key} is {before or 'none'} and {after or 'none'}" for key, before, after in forbidden)
        remedy = " ".join(f"--allow-different {each.key}" for each in forbidden)
        raise UsageError(
            f"{names[0]} and {names[1]} can't be compared, for they differ in more than what is measured: {said}; "
            f"measure both on equal terms, or accept it by {remedy}"
        )


def _covers(allowed: str, key: str) -> bool:
    return any(name == allowed or name.startswith(f"{allowed}.") for name in (key, key.removeprefix("server.")))


def compare_results(
    base: Summary, other: Summary, *, margin: float, confidence: float, allowed: Sequence[str] = ()
) -> list[Verdict]:
    """A verdict per case that both results have and per metric that both measured, in the base's order.

    A result and its copy share their blocks and are paired within them. Others were measured at different times, so
    nothing pairs their runs: Welch's interval of independent samples, which is wider.

    Args:
        base: the result that was before.
        other: the result that is now.
        margin: the practical margin.
        confidence: of the family of all comparisons on one metric.
        allowed: keys that may differ; `calibration` allows different work per request in cases that compute.
    """
    is_paired = _is_same_measurement(base.experiment, other.experiment)
    work = "" if "calibration" in allowed else _other_work(base.experiment, other.experiment, margin)
    comparisons = []
    for case_id, before in base.cases.items():
        after = other.cases.get(case_id)
        if after is None:
            continue
        for metric in COMPARED:
            why_not = (work if _computes_ms(before.case) else "") or _other_requests(before.case, after.case)
            ratio = None if why_not else _ratio(before.values(metric), after.values(metric), is_paired)
            if ratio is None and metric != "throughput_rps":
                continue
            comparisons.append(
                PairedComparison(
                    case_id,
                    case_id,
                    metric,
                    ratio,
                    (f"{case_id} now", "before"),
                    pairing="blocks" if is_paired else "none",
                    invalid_because=why_not or before.reason or after.reason or "no answers were measured",
                )
            )
    return judge_family(comparisons, margin=margin, confidence=confidence)


def _is_same_measurement(base: Experiment, other: Experiment) -> bool:
    return (base.created_at, base.seed, base.suite) == (other.created_at, other.seed, other.suite)


def _ratio(before: dict[int, float], after: dict[int, float], is_paired: bool) -> LogRatio | None:
    if is_paired:
        return pair_up(before, after)
    sides = [[value for value in side.values() if is_usable(value)] for side in (before, after)]
    return unpaired(*sides) if all(sides) else None


def _other_requests(before: Case, after: Case) -> str:
    """Why cases of an app can't be compared: the same names stand for other requests."""
    for one, two in zip(before.endpoints, after.endpoints, strict=False):
        if one.name != two.name or (before.app is None and before.url is None):
            continue
        sent = [_without_paths(each.model_dump()) for each in (one, two)]
        key = next((key for key in (*sent[0], *sent[1]) if sent[0].get(key) != sent[1].get(key)), None)
        if key is not None:
            return f"{one.name} has another {key} than it had; measure both with the same requests"
    return ""


def _without_paths(value: Any) -> Any:
    """Requests by the content of their files, which may lie elsewhere on another machine."""
    if not isinstance(value, dict):
        return value
    is_file = "sha256" in value
    return {key: _without_paths(each) for key, each in value.items() if not (is_file and key == "file")}


def _computes_ms(case: Case) -> bool:
    """Whether its work is so many milliseconds of computing, which the calibration turns into iterations."""
    costs = (case.cost, *(part.cost for part in case.parts))
    return any(cost is not None and cost.cpu_ms > 0 for cost in costs)


def _other_work(base: Experiment, other: Experiment, margin: float) -> str:
    """Why cases that compute can't be compared: their millisecond of work was calibrated otherwise in each result."""
    one, two = (each.calibration.get(CALIBRATION) for each in (base, other))
    if not one or not two or abs(math.log(two / one)) <= math.log1p(margin):
        return ""
    return (
        f"a request computes {two / one:.3g} times what it did ({CALIBRATION} is {one:.6g} and {two:.6g}); "
        "measure both again, or give --allow-different calibration"
    )
