"""What fits into the time that is left: pure arithmetic."""

from collections.abc import Sequence
from typing import NamedTuple

from loopwise.advise.lineup import START_S, contest_s
from loopwise.analysis.paired import MIN_ROUNDS
from loopwise.errors import UsageError

CONFIRM_ROUNDS = MIN_ROUNDS
SHORTEST_S = 20.0


class Share(NamedTuple):
    """An endpoint's share of the time."""

    users: int
    throughput_rps: float
    candidates: int

    @property
    def round_s(self) -> float:
        """One comparison in one round."""
        return contest_s(self.users, self.throughput_rps)


def affordable(shares: Sequence[Share], left_s: float) -> list[int]:
    """How many candidates of each endpoint can be tried, and the best of them confirmed.

    First one candidate of each endpoint, in their order; then the second of each, and so on.

    Args:
        shares: of the endpoints, the worst first.
        left_s: time.
    """
    counts = [0] * len(shares)
    spent_s = 0.0
    for depth in range(max((each.candidates for each in shares), default=0)):
        # The app as written and changed is started for each round; another change then for the first round only.
        starts_s = 2 * START_S * (1 + CONFIRM_ROUNDS) if depth == 0 else START_S
        rounds = 1 + CONFIRM_ROUNDS if depth == 0 else 1
        for index, each in enumerate(shares):
            if each.candidates <= depth or counts[index] < depth:
                continue
            cost_s = starts_s + each.round_s * rounds
            if spent_s + cost_s <= left_s:
                spent_s += cost_s
                starts_s = 0.0
                counts[index] += 1
    return counts


def refuse_short(budget_s: float) -> None:
    """Refuse a budget that no comparison fits into.

    Raises:
        UsageError: it is one.
    """
    if budget_s < SHORTEST_S:
        raise UsageError(
            f"--budget-s: got {budget_s:g}, allowed is {SHORTEST_S:g} or more, for less holds no comparison; raise it"
        )
