"""The examples in docs/ work: suites load, Locust files are taken, extensions do what is said of them."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from support.docs import ROOT, blocks, text_of
from support.fakes import HOST, case_of, run_of
from support.report import fixture_summary
from support.target import described

from loopwise.analysis.checks.facts import CheckSpec, Facts
from loopwise.analysis.verdicts import RULES
from loopwise.model import Server
from loopwise.suite import load_suite
from target_app.features import Routing
from target_app.modes import MODES
from target_app.workloads import WORKLOADS

SUITES_PAGE, EXTENDING_PAGE = text_of("suites.md"), text_of("extending.md")


FIX = """
diff --git a/part.py b/part.py
new file mode 100644
--- /dev/null
+++ b/part.py
@@ -0,0 +1 @@
+PART = 1
"""
DATA = {
    "customers.csv": "name\nann\n",
    "orders.csv": "id,item,name\n1,2,ann\n",
    "items.jsonl": '{"id": 1}\n',
    "rows.bin": "",
    "sea.jpg": "",
    "shapes.py": "",
    "fix.diff": FIX,
}
"""Files that the examples name."""


@pytest.mark.parametrize("page", ["suites.md", "scenarios.md"])
def test_every_example_of_a_suite_loads(page: str, tmp_path: Path) -> None:
    here = tmp_path / "suites"
    for file in (here / "customer.py", here / "shopper.py", tmp_path / "shop" / ".venv" / "bin" / "python"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("", encoding="utf-8")
        file.chmod(0o755)
    for name, text in DATA.items():
        (here / name).write_text(text, encoding="utf-8")
    for number, text in enumerate(blocks(text_of(page), "toml")):
        missing = "" if "matrix" in tomllib.loads(text) else '\n[[matrix]]\nworkload = "noop"\nmode = "async"\n'
        path = here / f"example{number}.toml"
        path.write_text(text + missing, encoding="utf-8")
        assert load_suite(str(path), describe=described).cases


def test_the_example_of_lists_makes_as_many_cases_as_it_says(tmp_path: Path) -> None:
    (text,) = (each for each in blocks(SUITES_PAGE, "toml") if "16 cases" in each)
    path = tmp_path / "lists.toml"
    path.write_text(text, encoding="utf-8")
    assert len(load_suite(str(path), describe=described).cases) == 16


LOAD = """
import sys
from gevent import monkey
monkey.patch_all()
from pathlib import Path
from loopwise.generator.locustfile import load_script
for path in sys.argv[1:]:
    script = load_script(Path(path))
    print(*sorted(user.__name__ for user in script.user_classes), type(script.shape).__name__)
"""


def test_every_locust_file_in_the_page_of_scenarios_is_one_that_the_generator_takes(tmp_path: Path) -> None:
    paths = []
    for number, text in enumerate(blocks(text_of("scenarios.md"), "python")):
        paths.append(tmp_path / f"script{number}.py")
        paths[-1].write_text(text, encoding="utf-8")
    argv = [sys.executable, "-c", LOAD, *map(str, paths)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    without_shape = ["Customer NoneType", "Reader Writer NoneType", "Shopper NoneType"]
    assert done.stdout.splitlines() == [*without_shape, "Visitor Steps"]


def example(file: str) -> dict[str, Any]:
    """What a Python example of docs/extending.md defines, by the path in its first line."""
    (code,) = (each for each in blocks(EXTENDING_PAGE, "python") if each.startswith(f"# {file}\n"))
    names: dict[str, Any] = {"__name__": Path(file).stem}
    exec(compile(code, file, "exec"), names)
    return names


def test_every_constant_that_extending_names_stands_in_the_code() -> None:
    prose = re.sub(r"```.*?```", "", EXTENDING_PAGE, flags=re.DOTALL)
    folders = (ROOT / name for name in ("loopwise", "target_app", "tests"))
    code = "\n".join(path.read_text(encoding="utf-8") for folder in folders for path in folder.rglob("*.py"))
    constants = set(re.findall(r"`([A-Z][A-Z_]{2,})`", prose))
    assert {"CHARTS", "OPTIONS"} <= constants
    assert {each for each in constants if not re.search(rf"\b{each}\b", code)} == set()


def test_every_python_example_of_extending_names_its_file_and_compiles() -> None:
    for code in blocks(EXTENDING_PAGE, "python"):
        file = code.partition("\n")[0].removeprefix("# ")
        assert (ROOT / file).parent.is_dir()
        compile(code, file, "exec")


def test_the_example_of_a_workload_works_in_both_forms_of_call() -> None:
    workload = example("target_app/workloads/digest.py")["WORKLOAD"]
    params = workload.params(rounds=2)
    assert workload.name not in WORKLOADS
    assert len(workload.run(params)["key"]) == 64


def test_the_example_of_a_mode_builds_a_coroutine_with_a_sentence() -> None:
    names = example("target_app/modes.py")
    assert "anyio_thread" not in MODES
    assert names["as_anyio_thread"].__doc__.startswith("`async def`")
    assert names["as_anyio_thread"](WORKLOADS["noop"], None).__code__.co_flags & 0x80  # CO_COROUTINE


def test_example_of_a_server_serves_the_probe_on_loopback() -> None:
    spec = example("loopwise/servers/daphne.py")["DAPHNE"]
    argv = spec.argv(Server(), "python", 8123, Path("/scratch"))
    assert argv == ["python", "-m", "daphne", "--bind", "127.0.0.1", "--port", "8123", "loopwise_probe:app"]
    assert spec.refusal(Server(workers=2)) is not None


def test_the_example_of_a_feature_adds_a_dependency() -> None:
    routing = Routing()
    example("target_app/features.py")["with_header"](routing)
    assert len(routing.dependencies) == 1


def test_the_example_of_a_chart_draws_every_case() -> None:
    chart = example("loopwise/report/charts/memory.py")["MEMORY"]
    summary = fixture_summary(7)
    panels = chart.panels(summary)
    assert sum(len(panel.cells) for panel in panels) == 7
    figure = chart.figure(summary)
    assert figure is not None
    assert sum(len(axes.patches) for axes in figure.axes) == 7
    assert "in MB. async 48.0; sync 48.0" in panels[0].describe()


@pytest.mark.parametrize(("host", "ok"), [(HOST, True), (HOST | {"cpu_ratio": 0.99}, False), ({}, None)])
def test_the_example_of_a_check_passes_flags_or_does_not_apply(host: dict[str, float], ok: bool | None) -> None:
    run = run_of(case_of("c"), host=host)
    read = example("loopwise/analysis/checks/machine.py")["machine_cpu"]
    found = CheckSpec("machine_cpu", "flag", read).check(Facts(run, 1.0, None, None, None))
    assert (found and found.ok) is ok


@pytest.mark.parametrize(("low", "high", "word"), [(1.0, 1.2, "is_no_worse"), (0.8, 1.0, "is_no_better")])
def test_the_example_of_a_rule_holds_where_no_other_does(low: float, high: float, word: str) -> None:
    names = example("loopwise/analysis/verdicts.py")
    assert [name for name in ("is_no_worse", "is_no_better") if names[name](low, high, 0.05)] == [word]
    assert not any(holds(low, high, 0.05) for holds in RULES.values())
