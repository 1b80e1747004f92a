"""Changes that may lift what holds an endpoint back, each as a case to measure against the app as written."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from loopwise.advise.diagnosis import Diagnosis
from loopwise.advise.rows import Kind
from loopwise.blame.edits import Edit
from loopwise.model import Case, Endpoint
from loopwise.model.modes import ANYIO_TOKENS, MODES, OWN, mode_named

PREFERENCE: tuple[Kind, ...] = ("edit", "mode", "setting")
"""Among changes that gain alike: one that --patch can write, then one of the endpoint, then one of the server."""
THREADS_PER_USER = 1.0
"""A thread for each user leaves nobody waiting for one."""


@dataclass(frozen=True)
class Candidate:
    """One change of one endpoint."""

    endpoint: Endpoint
    kind: Kind
    change: str
    where: str = ""
    mode: str = OWN.name
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Fields of Server."""
    diff: str = ""
    edit: Edit | None = None

    @property
    def shares(self) -> tuple[str, str, tuple[tuple[str, Any], ...]]:
        """Candidates for which this is equal can be served by one server, if their edits go together."""
        return self.kind, self.mode, tuple(sorted(self.settings.items()))

    def applied(self, case: Case) -> Case:
        """The case with the mode and the settings of the change; edits are made by `patched`."""
        assert case.server is not None
        server = case.server.model_copy(update=dict(self.settings))
        return case.model_copy(update={"mode": self.mode, "server": server})


def mode_candidates(endpoint: Endpoint, diagnosis: Diagnosis, where: str = "") -> list[Candidate]:
    """The modes worth a try: a held loop is freed by threads, and computing goes on other cores in processes."""
    if diagnosis.cause is None or diagnosis.cause.cause != "loop_blocked":
        return []
    names = ["sync", "process"] if diagnosis.computes else ["sync"]
    return [Candidate(endpoint, "mode", MODES[name].words, where, mode=mode_named(name).name) for name in names]


def setting_candidates(endpoint: Endpoint, diagnosis: Diagnosis, case: Case, workers: Iterable[int]) -> list[Candidate]:
    """The settings of the server worth a try: more workers, and for full threads a thread for each user.

    Args:
        endpoint: which.
        diagnosis: of it.
        case: as written.
        workers: counts to try beside the case's.
    """
    assert case.server is not None
    if diagnosis.cause is None:
        return []
    found = [
        Candidate(endpoint, "setting", f"{count} workers", settings={"workers": count})
        for count in workers
        if count != case.server.workers
    ]
    if diagnosis.cause.cause == "thread_pool_full":
        tokens = case.server.threads or ANYIO_TOKENS
        wanted = max(round(THREADS_PER_USER * case.load.users), 2 * tokens)
        found.insert(0, Candidate(endpoint, "setting", f"{wanted} threads", settings={"threads": wanted}))
    return found


def grouped(
    candidates: Sequence[Candidate], go_together: Callable[[Sequence[Candidate]], bool] = lambda _: True
) -> list[list[Candidate]]:
    """Candidates that one server can serve together: of one kind and setting, and of each endpoint one at most.

    Args:
        candidates: any.
        go_together: whether the edits of all can be made at once.
    """
    groups: list[list[Candidate]] = []
    for each in candidates:
        fitting = (
            group
            for group in groups
            if group[0].shares == each.shares
            and all(other.endpoint != each.endpoint for other in group)
            and (each.kind != "edit" or go_together([*group, each]))
        )
        group = next(fitting, None)
        if group is None:
            groups.append([each])
        else:
            group.append(each)
    return groups
