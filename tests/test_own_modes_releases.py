"""Modes of endpoints on releases of FastAPI that are built differently, each in an environment of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.moded_app import PLACES

pytestmark = pytest.mark.e2e

RELEASES = {
    "oldest": ["fastapi==0.100.0", "starlette==0.27.0"],
    "included routers copied": ["fastapi==0.115.0", "starlette==0.38.6"],
    "included routers kept apart": ["fastapi==0.140.0", "starlette==1.10.0"],
}
"""Without their dependencies, which are those of this environment: what the newest release needs is installed here."""
TESTS = Path(__file__).parent


@pytest.fixture(params=RELEASES)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    packages = RELEASES[request.param]
    done = subprocess.run([*install, "--target", tmp_path, *packages], capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["pip printed nothing"])[-1]
        if os.environ.get("CI"):
            pytest.fail(f"{', '.join(packages)} can't be installed: {last}")
        pytest.skip(f"{', '.join(packages)} can't be installed here: {last}")
    return tmp_path


def test_every_mode_runs_where_it_should_and_answers_the_same(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "support.moded_app"],
        cwd=TESTS,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (folder / f"fastapi-{found['fastapi']}.dist-info").is_dir()
    for row in found["rows"]:
        expected = {
            "status": row["status"],
            "same": True,
            "twice": True,
            "where": [PLACES[row["written"], row["mode"]]],
        }
        assert row == {**row, **expected}
    assert len(found["rows"]) == 28
