"""Duels of real servers: apps, revisions and cases; however one ends, no server, port or worktree is left."""

import json
import signal
import subprocess
from pathlib import Path

import pytest
from support.e2e import Bench, app_file, is_free, until

from loopwise.model import SIDES, TOTAL, Round
from loopwise.results.folder import ResultFolder

pytestmark = pytest.mark.e2e

APP = """
import time

print("this is {word}, {{}} characters".format(len(__file__)), flush=True)


async def app(scope, receive, send):
    assert scope["type"] == "http"
    end_s = time.process_time() + {burns_ms} / 1e3
    while time.process_time() < end_s:
        pass
    await send({{"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}})
    await send({{"type": "http.response.body", "body": b"ok"}})
"""
"""An ASGI app without a framework, which says what it is when it is imported."""
SHORT = ("--seconds", "0.3", "--users", "4", "--quiet", "--endpoint", "GET /")
SUITE = """
[load]
users = 4
warmup_s = 0.1
[[matrix]]
app = "old:app"
endpoint = ["GET /a", "GET /b"]
"""


def write(folder: Path, name: str, burns_ms: float = 0.0) -> None:
    app_file(folder, APP.format(word=name, burns_ms=burns_ms), f"{name}.py")


def git(folder: Path, *arguments: str) -> str:
    author = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    command = ["git", "-C", str(folder), *author, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def checkout(root: Path, *texts: str) -> Path:
    """A repository with a commit of `shop.py` for each of the texts."""
    git(root.parent, "init", "-q", str(root))
    (root / ".gitignore").write_text("__pycache__\n", encoding="utf-8")  # Python's own, as in any repository
    for text in texts:
        app_file(root / "svc", text, "shop.py")
        git(root, "add", "-A")
        git(root, "commit", "-qm", "a step")
    return root


def has_one_worktree(root: Path) -> bool:
    return git(root, "worktree", "list").count("\n") == 1 and not git(root, "status", "--short")


def rounds_of(result: Path) -> list[Round]:
    rounds, damaged = ResultFolder(result).rounds()
    assert not damaged
    return rounds


def words_of(result: Path, found: Round) -> list[str]:
    """What the two apps said of themselves."""
    folder = ResultFolder(result).round_folder(found.baseline_case, found.candidate_case, found.number)
    logs = [(folder / f"{side}.log").read_text() for side in SIDES]
    return [next(line for line in log.splitlines() if line.startswith("this is ")) for log in logs]


@pytest.mark.alone
def test_two_apps_are_told_apart_on_the_same_cores_and_nothing_is_left(tmp_path: Path) -> None:
    bench, result = Bench(tmp_path / "bench"), tmp_path / "result"
    write(tmp_path / "old-folder", "old")
    write(tmp_path / "new", "new", burns_ms=4.0)
    status, output = bench(
        *("duel", "old:app", "new:app", *SHORT, "--rounds", "4", "--out", result),
        *("--base-app-dir", tmp_path / "old-folder", "--candidate-app-dir", tmp_path / "new"),
        *("--fail-on", "cpu_ms_per_request:+50%", "--markdown", tmp_path / "duel.md"),
    )
    assert status == 1, output
    rounds = rounds_of(result)
    assert [(each.status, each.first) for each in rounds] == [("ok", side) for side in (*SIDES, *SIDES)]
    for found in rounds:
        words = words_of(result, found)
        assert [word.split()[2] for word in words] == ["old,", "new,"]
        assert len({word.split()[3] for word in words}) == 1  # imported from paths of equal length
        assert found.baseline.counts["served"] > found.candidate.counts["served"] > 0
        assert {side.counts["errors"] for side in (found.baseline, found.candidate)} == {0}
        assert ResultFolder(result).round_samples(found).num_rows
    verdicts = {(row["endpoint"], row["metric"]): row for row in json.loads(_text(result / "verdicts.json"))}
    cost = verdicts[TOTAL, "cpu_ms_per_request"]
    assert (cost["verdict"], cost["pairing"], cost["replicates"]) == ("worse", "duel", 4)
    assert "gate cpu_ms_per_request:+50% failed" in " ".join(output.split())
    assert "❌ 1 gate failed" in _text(tmp_path / "duel.md")
    servers = [side.server for each in rounds for side in (each.baseline, each.candidate)]
    assert all(server.port and is_free(server.port) for server in servers)
    assert bench.left_behind() == []


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def test_a_revision_is_set_against_the_working_copy_and_its_worktree_is_gone(tmp_path: Path) -> None:
    bench, result = Bench(tmp_path / "bench"), tmp_path / "result"
    root = checkout(tmp_path / "repo", *(APP.format(word=word, burns_ms=0) for word in ("first", "second", "third")))
    status, output = bench(
        *("duel", "git:HEAD~1", "shop:app", "--app", "shop:app", "--base-app-dir", root / "svc", *SHORT),
        *("--rounds", "2", "--out", result),
    )
    assert status == 0, output
    rounds = rounds_of(result)
    assert [each.status for each in rounds] == ["ok", "ok"]
    for found in rounds:
        words = [word.split() for word in words_of(result, found)]
        assert [word[2] for word in words] == ["second,", "third,"]
        assert words[0][3] == words[1][3]
    assert (rounds[0].baseline_case, rounds[0].candidate_case) == ("git-HEAD-1", "shop-app")
    assert has_one_worktree(root)
    assert bench.left_behind() == []


def test_a_revision_that_cannot_be_served_is_a_sentence_and_its_worktree_is_gone(tmp_path: Path) -> None:
    bench, result = Bench(tmp_path / "bench"), tmp_path / "result"
    root = checkout(tmp_path / "repo", "import a_package_that_nobody_has\n", APP.format(word="x", burns_ms=0))
    status, output = bench(
        *("duel", "git:HEAD~1", "git:HEAD", "--app", "shop:app", "--base-app-dir", root / "svc", *SHORT),
        *("--out", result),
    )
    assert status == 3, output
    assert "no round gave a valid measurement" in output
    assert "a_package_that_nobody_has" in output
    assert [each.status for each in rounds_of(result)] == ["failed", "failed"]
    assert has_one_worktree(root)
    assert bench.left_behind() == []


def test_an_interrupted_duel_of_revisions_leaves_no_server_and_no_worktree(tmp_path: Path) -> None:
    bench, result = Bench(tmp_path / "bench"), tmp_path / "result"
    root = checkout(tmp_path / "repo", *(APP.format(word=word, burns_ms=0) for word in ("first", "second")))
    process = bench.start(
        *("duel", "git:HEAD~1", "git:HEAD", "--app", "shop:app", "--base-app-dir", root / "svc"),
        *("--endpoint", "GET /", "--users", "4", "--seconds", "30", "--out", result),
    )
    until(lambda: any(path.stat().st_size for path in result.glob("pairs/*/*/1/samples.arrow")))
    assert not has_one_worktree(root)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 130, output
    assert "interrupted by SIGINT" in output
    assert has_one_worktree(root)
    assert bench.left_behind() == []


def test_two_cases_of_a_suite_are_put_head_to_head(tmp_path: Path) -> None:
    bench, result = Bench(tmp_path / "bench"), tmp_path / "result"
    write(tmp_path, "old")
    app_file(tmp_path, SUITE, "suite.toml")
    cases = [f"get-{name}-own-w1-uvicorn-u4" for name in "ab"]
    status, output = bench(
        *("duel", cases[0], cases[1], "--suite", tmp_path / "suite.toml", "--seconds", "0.3"),
        *("--rounds", "2", "--json", "--out", result),
    )
    assert status == 0, output
    assert json.loads(output) == json.loads(_text(result / "verdicts.json"))
    rounds = rounds_of(result)
    assert [(each.status, each.baseline_case, each.candidate_case) for each in rounds] == [
        ("ok", *cases),
        ("ok", *cases),
    ]
    names = ResultFolder(result).round_samples(rounds[0])["endpoint"].to_pylist()
    assert set(names) == {"baseline GET /a", "candidate GET /b"}
    assert bench.left_behind() == []
