"""Ten planted lines are named on both loops, and what holds nothing is not blamed; in the app's own environment."""

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from support.e2e import ROOT, Bench

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
        if (each["path"] != str(MAIN) or each["line"] not in planted) and each["total_ms"] > LEAST_SHARE * total_ms
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


APP = """
import time

from fastapi import FastAPI

app = FastAPI()


@app.get("/held")
async def held():
    time.sleep(0.02)
    return 1
"""


def needed(*names: str) -> set[str]:
    """Packages with all that they need, extras left out: neither uvloop nor aiocop nor anything of ours."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        wanted = [Requirement(each) for each in importlib.metadata.requires(name) or ()]
        waiting += [each.name for each in wanted if each.marker is None or each.marker.evaluate({"extra": ""})]
    return found


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """Somebody's own environment, made without a network: links to the packages that an app needs."""
    folder = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True, timeout=60)
    (packages,) = folder.glob("lib/python*/site-packages")
    for name in needed("fastapi", "uvicorn"):
        distribution = importlib.metadata.distribution(name)
        tops = {file.parts[0] for file in distribution.files or () if ".." not in file.parts}
        for top in tops - {"__pycache__"}:
            if not (packages / top).exists():  # a namespace is shared
                (packages / top).symlink_to(Path(str(distribution.locate_file(top))))
    return folder / "bin" / "python"


def test_an_app_in_its_own_environment_is_blamed_and_nothing_is_installed_there(theirs: Path, tmp_path: Path) -> None:
    bench = Bench(tmp_path / "bench")
    (tmp_path / "own.py").write_text(APP, encoding="utf-8")
    (packages,) = theirs.parents[1].glob("lib/python*/site-packages")
    before = sorted(packages.iterdir())
    own = ("blame", "own:app", "--app-dir", tmp_path, "--python", theirs, "--endpoint", "GET /held")
    status, output = bench(*own, "--requests", "6", "--json")
    assert status == 0, output
    found = json.loads(output)
    worst = found["lines"][0]
    assert (worst["path"], worst["line"]) == (str(tmp_path / "own.py"), 11)
    assert worst["times"] >= 6
    assert found["loops"] == ["asyncio"]
    assert "has no uvloop; that is no fault" in found["notes"][0]
    assert sorted(packages.iterdir()) == before

    status, output = bench(*own, "--loop", "uvloop")
    assert status in {2, 3}, output
    assert "uvloop" in output
    assert bench.left_behind() == []
