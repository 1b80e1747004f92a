"""`duel` by its command line, on a fake bench."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loopwise import cli
from loopwise.model import Round
from loopwise.results.folder import ResultFolder
from support.fake_pairs import PairBench, on_fakes
from support.fakes import Conduct

BASE, OTHER = "old-app", "new-app"
"""What `old:app` and `new:app` are called."""
SUITE = """
[load]
users = 8
measure_s = 5.0
victim = "/health"
[[matrix]]
app = "old:app"
endpoint = ["GET /x", "GET /y"]
[[matrix]]
app = "old:app"
endpoint = "GET /z"
load.users = 9
[[matrix]]
app = "old:app"
endpoint = "GET /open"
load = { model = "open", rate_rps = 5.0 }
[[matrix]]
url = "http://127.0.0.1:9"
endpoint = "GET /far"
"""
X, Y = "get-x-own-w1-uvicorn-u8", "get-y-own-w1-uvicorn-u8"


def furnished(tmp_path: Path) -> Path:
    """A folder with two apps, a suite of theirs, and a result."""
    for name in ("old", "new"):
        (tmp_path / f"{name}.py").write_text("app = None\n")
    (tmp_path / "suite.toml").write_text(SUITE)
    (tmp_path / "result").mkdir()
    (tmp_path / "result" / "experiment.json").write_text("{}")
    return tmp_path


def calm(rate_rps: float = 400.0, **options: Any) -> Conduct:
    return Conduct(rate_rps, **{"noise_ratio": 0.002} | options)


class Ended:
    """How the command ended: status, and what it printed."""

    def __init__(self, status: Any, out: str, err: str, bench: PairBench) -> None:
        self.status, self.out, self.err, self.bench = status, out, err, bench


Fight = Callable[..., Ended]


def fighting(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Fight:
    """Runs `duel` with arguments; conducts of the two sides follow."""

    def run(line: str, baseline: Conduct | None = None, candidate: Conduct | None = None) -> Ended:
        bench = PairBench({BASE: baseline or calm(), OTHER: candidate or calm()})
        monkeypatch.setattr(sys, "argv", ["loopwise", "duel", *line.split()])
        with on_fakes(bench), pytest.raises(SystemExit) as ended:
            cli.main()
        return Ended(ended.value.code, *capsys.readouterr(), bench)

    return run


SHORT = "old:app new:app --endpoint /x --seconds 0.5 --users 4 --out duel"


def rounds_of(path: str = "duel") -> list[Round]:
    rounds, damaged = ResultFolder(Path(path)).rounds()
    assert not damaged
    return rounds


def verdicts_of(path: str = "duel") -> dict[tuple[str, str], dict[str, Any]]:
    rows = json.loads((Path(path) / "verdicts.json").read_text())
    return {(row["endpoint"], row["metric"]): row for row in rows}
