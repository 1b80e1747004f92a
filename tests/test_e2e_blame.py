"""Ten planted lines are named on both loops, and what holds nothing is not blamed."""

import json
from pathlib import Path

import pytest
from e2e_fixtures import ROOT, Bench

pytestmark = pytest.mark.e2e
EXAMPLE = ROOT / "examples" / "blocking"
MAIN = EXAMPLE / "blocking" / "main.py"
LEAST_SHARE = 0.05


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_the_ten_planted_lines_are_named_and_no_other_has_a_share(loop: str, tmp_path: Path) -> None:
    bench = Bench(tmp_path / "bench")
    text = MAIN.read_text(encoding="utf-8").splitlines()
    planted = {number for number, line in enumerate(text, start=1) if "  # blocks: " in line}
    assert len(planted) == 10
    status, output = bench("blame", "blocking.main:app", "--app-dir", EXAMPLE, "--loop", loop, "--json")
    assert status == 0, output
    found = json.loads(output)
    assert {each["line"] for each in found["lines"] if each["path"] == str(MAIN)} >= planted
    total_ms = sum(each["total_ms"] for each in found["lines"])
    false = [
        each
        for each in found["lines"]
        if (each["path"] != str(MAIN) or each["line"] not in planted)
        and each["total_ms"] > LEAST_SHARE * total_ms
    ]
    assert false == []
    healthy = {name for name in found["answers"] if name.startswith("GET /healthy/")}
    assert len(healthy) == 4
    assert not {each["endpoint"] for each in found["lines"] if each["times"] > 1} & healthy
    assert all(set(statuses) == {"200"} for statuses in found["answers"].values())
    assert bench.left_behind() == []


def test_an_app_that_cannot_be_imported_is_a_sentence_and_exit_3(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "bench")
    status, output = bench(
        *("blame", "nothing.here:app", "--endpoint", "GET /", "--app-dir", tmp_path),
    )
    assert status == 3, output
    assert "importing nothing.here raised ModuleNotFoundError" in output
    assert bench.left_behind() == []
