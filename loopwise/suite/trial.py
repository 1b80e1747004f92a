"""`try` as a suite: the document that its TOML would be."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loopwise.errors import UsageError


def trial_document(
    target: str, endpoints: Sequence[str], *, workers: str, users: int, app_dir: Path, python: Path | None
) -> dict[str, Any]:
    """A suite that measures endpoints of an app, or of a server that already runs.

    Args:
        target: `module:app`, or a URL.
        endpoints: `GET /items/1`.
        workers: `1,2`.
        users: of closed load.
        app_dir: folder the app is imported from, relative to the working directory.
        python: interpreter of the app; None: ours.

    Raises:
        UsageError: `workers` is no list of numbers.
    """
    entry: dict[str, Any] = {"endpoint": list(endpoints)}
    document: dict[str, Any] = {
        "name": "try",
        "load": {"users": users, "warmup_s": 1.0, "measure_s": 3.0},
        "replicates": {"min": 3, "max": 6},
        "matrix": [entry],
    }
    if "://" in target:
        entry["url"] = target
        return document
    entry |= {"app": target, "app_dir": str(app_dir), "workers": _numbers(workers)}
    if python is not None:
        entry["python"] = str(python)
    if len(entry["workers"]) > 1:
        document["compare"] = {"baseline": {"workers": entry["workers"][0]}}
    return document


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"--workers: got {text!r}, allowed are numbers and commas; write 1,2,4") from None
