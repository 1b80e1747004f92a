"""Rows of advice.json: what was tried for each endpoint of an app, and what came of it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from loopwise.errors import ResultError
from loopwise.model import Noun, VerdictWord
from loopwise.results.files import read_regular, write_atomically
from loopwise.results.folder import ADVICE

Kind = Literal["mode", "edit", "setting", ""]
Outcome = Literal["advised", "tried", "failed", "left", "untried"]


class AdviceRow(Noun):
    """A change that was measured; or an endpoint for which there was none."""

    endpoint: str
    change: str = ""
    """`await asyncio.to_thread(requests.get, url)`, `def`, `2 workers`; empty: nothing was tried."""
    kind: Kind = ""
    where: str = ""
    """`shop/report.py:41`; empty where no line is known."""
    metric: str = "throughput_rps"
    """What the ratio is of."""
    ratio: float | None = None
    """Changed ÷ as written."""
    ci_low: float | None = None
    ci_high: float | None = None
    verdict: VerdictWord = "undecided"
    canary_p99_ms: tuple[float, float] | None = None
    """The canary's 99th percentile beside the endpoint's load, as written and changed."""
    diff: str = ""
    """Unified diff of an edit."""
    tried_and_failed: str | None = None
    """Why it could not be measured: it doesn't compile, raises, or changes the answer."""
    outcome: Outcome
    """advised; tried: measured and not advised; failed; left: the endpoint is good as it is; untried."""
    cause: str = ""
    """What holds the endpoint back, in words."""
    reason: str = ""
    """Why the endpoint is left, or can't be tried; why a gain is not advised."""
    rounds: int = 0
    """On fresh servers each."""


def untried(endpoint: str, reason: str, cause: str = "") -> AdviceRow:
    """Make the row of an endpoint for which nothing was tried."""
    return AdviceRow(endpoint=endpoint, outcome="untried", reason=reason, cause=cause)


_ROWS = TypeAdapter(list[AdviceRow])


def write_rows(folder: Path, rows: Sequence[AdviceRow]) -> None:
    """Write advice.json."""
    write_atomically(folder / ADVICE, json.dumps(plain(rows), indent=2) + "\n")


def plain(rows: Sequence[AdviceRow]) -> list[dict[str, object]]:
    """The rows as JSON has them."""
    return [row.model_dump(mode="json") for row in rows]


def read_rows(folder: Path) -> list[AdviceRow] | None:
    """Read advice.json; None where there is none.

    Raises:
        ResultError: it is damaged.
    """
    path = folder / ADVICE
    if not path.is_file():
        return None
    try:
        return _ROWS.validate_json(read_regular(path))
    except (OSError, ValidationError) as error:
        what = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error.strerror
        raise ResultError(f"{path}: cannot be read ({what}); restore it, or measure again") from None
