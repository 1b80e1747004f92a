"""What differs between the surroundings of two results, and which of it forbids to compare them. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from loopwise.analysis.summary import Summary
from loopwise.errors import UsageError
from loopwise.model import Run

MATTERS = ("cpu_model", "cores", "system", "cpu_governor", "python", "versions", "server")
"""Keys whose difference moves numbers by more than any margin: another machine, kernel, interpreter or package.
`server` is what the measured servers said of themselves. Memory is only shown: its size alone moves nothing."""
ALLOWABLE = (*MATTERS, "calibration")
SERVER_KEYS = ("python", "loop", "versions")


class Difference(NamedTuple):
    """A key of the surroundings and its two values."""

    key: str
    """`cores`, `versions.uvicorn`, `server.versions.uvicorn`."""
    before: Any
    after: Any

    @property
    def forbids(self) -> bool:
        """Whether results that differ in it must not be compared unasked."""
        return self.key.split(".", 1)[0] in MATTERS


def differences(base: Summary, other: Summary) -> list[Difference]:
    """What differs in the environments, and in what the servers of the shared cases ran on; by key."""
    shared = base.cases.keys() & other.cases.keys()
    one, two = (
        _flat(each.experiment.environment) | _served(run for run in each.runs if run.case.case_id in shared)
        for each in (base, other)
    )
    return [
        Difference(key, one.get(key), two.get(key))
        for key in sorted(one | two)
        if one.get(key) != two.get(key)
    ]


def _flat(environment: Mapping[str, Any]) -> dict[str, Any]:
    flat = {key: value for key, value in environment.items() if not isinstance(value, dict)}
    for key, value in environment.items():
        if isinstance(value, dict):
            flat |= {f"{key}.{inner}": entry for inner, entry in value.items()}
    return flat


def _served(runs: Iterable[Run]) -> dict[str, str]:
    """What the servers ran on; several values where cases have several interpreters."""
    found: dict[str, set[str]] = {}
    for run in runs:
        facts = _flat(run.server.model_dump(include=set(SERVER_KEYS)))
        for key, value in facts.items():
            found.setdefault(f"server.{key}", set()).add(str(value))
    return {key: " and ".join(sorted(values)) for key, values in found.items()}


def refuse_different(found: Sequence[Difference], allowed: Sequence[str], names: tuple[str, str]) -> None:
    """Refuse to compare results of different machines, interpreters or versions, unless told to.

    Args:
        found: from `differences`.
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
    forbidden = [
        each for each in found if each.forbids and not any(_covers(key, each.key) for key in allowed)
    ]
    if forbidden:
        said = "; ".join(
            f"{key} is {before or 'none'} and {after or 'none'}" for key, before, after in forbidden
        )
        remedy = " ".join(f"--allow-different {each.key}" for each in forbidden)
        raise UsageError(
            f"{names[0]} and {names[1]} can't be compared, for they differ in more than what is measured: {said}; "
            f"measure both on equal terms, or accept it by {remedy}"
        )


def _covers(allowed: str, key: str) -> bool:
    return any(
        name == allowed or name.startswith(f"{allowed}.") for name in (key, key.removeprefix("server."))
    )
