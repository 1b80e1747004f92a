"""The wheel, installed where no checkout is, does what the checkout does."""

import json
import signal
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from support.e2e import ROOT, Bench, runs_of

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True, timeout=300)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of an environment that has the wheel, and our environment's packages for its dependencies."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True, timeout=60)
    python = folder / "bin" / "python"
    install = f"-m pip --python {python} install --quiet --disable-pip-version-check --no-deps {wheel}"
    subprocess.run([sys.executable, *install.split()], check=True, timeout=60)
    (site_packages,) = folder.glob("lib/python*/site-packages")
    # A path in a .pth file comes last on sys.path, and .pth files in it (our editable install) are not read.
    (site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return folder


def test_nothing_but_loopwise_is_top_level(wheel: Path, installed: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"loopwise"}
    assert {"loopwise/bundle/target_app/probe.py", "loopwise/bundle/scenarios/quick.toml"} <= set(names)
    assert not [name for name in names if "__pycache__" in name]
    (site_packages,) = installed.glob("lib/python*/site-packages")
    assert not (site_packages / "target_app").exists()
    assert not (site_packages / "scenarios").exists()


def test_an_interruption_of_the_commands_imports_is_one_line(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("import time\nprint('importing', flush=True)\ntime.sleep(60)\n")
    pipe, env = subprocess.PIPE, {"PYTHONPATH": str(tmp_path)}
    with subprocess.Popen([installed / "bin" / "loopwise"], env=env, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "importing\n"
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60) == ("", "interrupted by SIGINT\n")
    assert process.returncode == 130


def test_the_command_checks_lists_and_runs_from_any_folder(installed: Path, tmp_path: Path) -> None:
    bench = Bench(tmp_path / "bench", command=(str(installed / "bin" / "loopwise"),))
    status, output = bench("list", "suites", "--json")
    assert status == 0, output
    assert {"quick", "smoke"} <= {row["name"] for row in json.loads(output)}
    status, output = bench("check", "smoke")
    assert status == 0, output
    short = ["load.measure_s=0.3", "load.users=4"]
    short += ["replicates.min=1", "replicates.max=1", "replicates.repeats=0", "compare.slices_max=0"]
    options = [part for each in [*short, "matrix.mode=async"] for part in ("--set", each)]
    status, output = bench("run", "smoke", *options, "--set", "compare.baseline={}", "--label", "wheel")
    assert status == 0, output
    (result,) = (bench.folder / "results").iterdir()
    assert [run.status for run in runs_of(result)] == ["ok", "ok"]
    assert (result / "report.html").is_file()
    assert bench.left_behind() == []


TEST = """
import time

async def app(scope, receive, send):
    if scope["type"] == "http":
        time.sleep(0.03)  # blocks
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

def test_it(loopwise):
    loopwise.assert_loop_free(app, "GET /", times=1)
"""


def test_pytest_finds_the_fixture_and_the_fixture_the_line(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "test_app.py").write_text(TEST, encoding="utf-8")
    argv = [str(installed / "bin" / "python"), "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=60)
    shown = [line.removeprefix("E").strip() for line in done.stdout.splitlines() if line.startswith("E ")]
    assert "LoopHeldError: GET / held the event loop for" in shown[0], done.stdout + done.stderr
    assert shown[2:4] == ["test_app.py:6", "time.sleep(0.03)  # blocks"]
