"""The import hook of patches (target_app/patches), in interpreters of its own."""

import difflib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.fakes import case_of

from loopwise.errors import EndpointError
from loopwise.model import App, Case
from loopwise.servers import patches, variants
from loopwise.servers.diffs import patch_of
from loopwise.servers.lifecycle import RunningServer

MAIN = "from . import part\nfrom .part import VALUE\n\n\ndef answer():\n    return VALUE\n"
FILES = {
    "shop/__init__.py": "",
    "shop/main.py": MAIN,
    "shop/part.py": "VALUE = 1\n",
    "plain.py": "from shop import main\n",
}
PATCHED = {"shop/main.py": MAIN.replace("return VALUE", "value = VALUE * 10\n    return value")}


class Ground:
    """An app with a patch, and its server's folder."""

    def __init__(self, folder: Path, edits: dict[str, str]) -> None:
        self.app_dir, self.scratch = folder / "app", folder / "scratch"
        for name, text in FILES.items():
            self.write(name, text)
        self.scratch.mkdir()
        text = "".join(self._diff(name, after) for name, after in edits.items())
        app = App(target="shop.main:app", app_dir=str(self.app_dir), python=sys.executable)
        self.case: Case = case_of("x", "own", app=app, patch=patch_of("fix.diff", text, str(self.app_dir)), params={})
        variants.install(self.case, self.scratch)

    def write(self, name: str, text: str) -> None:
        path = self.app_dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def run(self, code: str, *, env: dict[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
        """Run code in an interpreter that is started as the server is."""
        own = {"PYTHONPATH": os.pathsep.join([str(self.scratch), str(self.app_dir)])}
        named = {key: str(value) for key, value in variants.variables(self.case, None, self.scratch).items() if value}
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COVERAGE"))}
        return subprocess.run(
            [sys.executable, "-c", code],
            env={**kept, **own, **named, **(env or {})},
            cwd=self.app_dir,
            capture_output=True,
            text=True,
            check=False,
        )

    def told(self, code: str) -> Any:
        """What the code prints as JSON."""
        done = self.run(f"import json\n{code}")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def _diff(self, name: str, after: str) -> str:
        before, old = FILES.get(name, ""), f"a/{name}" if name in FILES else "/dev/null"
        return "".join(difflib.unified_diff(before.splitlines(True), after.splitlines(True), old, f"b/{name}"))


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path, PATCHED)


def test_the_edited_text_runs_under_the_name_of_its_file_and_the_disk_stays_as_it_is(ground: Ground) -> None:
    before = {path: path.read_text() for path in ground.app_dir.rglob("*.py")}
    told = ground.told(
        "import importlib, inspect, linecache, shop.main as main\n"
        "first = main.answer()\n"
        "same = importlib.reload(main) is main\n"
        "linecache.clearcache(); linecache.checkcache()\n"
        "print(json.dumps([first, same, main.answer(), main.__file__, main.__package__, main.__spec__.origin,\n"
        "  type(main.__loader__).__name__, main.__cached__.endswith('.pyc'), inspect.getsource(main.answer),\n"
        "  main.__loader__.get_source('shop.main'), main.answer.__code__.co_filename]))"
    )
    path, text = str(ground.app_dir / "shop/main.py"), PATCHED["shop/main.py"]
    function = "def answer():\n    value = VALUE * 10\n    return value\n"
    assert told == [10, True, 10, path, "shop", path, "SourceFileLoader", True, function, text, path]
    assert {path: path.read_text() for path in ground.app_dir.rglob("*.py")} == before


def test_bytecode_of_the_file_is_neither_read_nor_written(ground: Ground) -> None:
    with_bytecode = {"PYTHONDONTWRITEBYTECODE": ""}
    ground.run("import shop.main", env={**with_bytecode, "PYTHONPATH": str(ground.app_dir)})  # as written
    cached = {path.name: path.stat().st_mtime_ns for path in ground.app_dir.rglob("*.pyc")}
    assert any(name.startswith("main.") for name in cached)
    assert ground.told("import shop.main\nprint(shop.main.answer())") == 10
    (main,) = (path for path in ground.app_dir.rglob("main.*.pyc"))
    assert main.stat().st_mtime_ns == cached[main.name]
    main.unlink()
    assert ground.told("import shop.main\nprint(shop.main.answer())") == 10
    assert not main.exists()


def test_children_import_it_too_however_they_are_started(ground: Ground) -> None:
    ground.write("child.py", "def ask():\n    from shop import main\n    return main.answer()\n")
    told = ground.told(
        "import multiprocessing, subprocess, sys\n"
        "from concurrent.futures import ProcessPoolExecutor\n"
        "from child import ask\n"
        "found = []\n"
        "for method in ('fork', 'spawn', 'forkserver'):\n"
        "    with ProcessPoolExecutor(1, multiprocessing.get_context(method)) as pool:\n"
        "        found.append(pool.submit(ask).result())\n"
        "code = 'from child import ask; print(ask())'\n"
        "found.append(int(subprocess.run([sys.executable, '-c', code], capture_output=True, text=True).stdout))\n"
        "print(json.dumps([found, 'shop.main' in sys.modules]))"
    )
    assert told == [[10, 10, 10, 10], False]
    patches.refuse_unused(ground.case, ground.scratch)


def test_loaders_and_finders_of_other_tools_get_the_edited_text(ground: Ground) -> None:
    told = ground.told(
        "import importlib.machinery as machinery, importlib.util, sys, types\n"
        "class Loader(machinery.SourceFileLoader):\n"
        "    def source_to_code(self, data, path, **options):\n"
        "        return super().source_to_code(data.replace(b'10', b'1000'), path, **options)\n"
        "class Finder:\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        spec = machinery.PathFinder.find_spec(name, path, target)\n"
        "        if name == 'shop.main':\n"
        "            spec.loader = Loader(name, spec.origin)\n"
        "        return spec\n"
        "sys.meta_path.insert(0, Finder())\n"
        "import shop.main\n"
        "print(json.dumps([shop.main.answer(), type(shop.main.__loader__).__name__]))"
    )
    assert told == [1000, "Loader"]


def test_the_folder_may_be_reached_by_a_link(ground: Ground, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(ground.app_dir)
    imports = f"import sys\nsys.path.insert(0, {str(link)!r})\nimport shop.main as main\n"
    assert ground.told(f"{imports}print(json.dumps([main.answer(), main.__file__]))") == [
        10,
        str(link / "shop/main.py"),
    ]


def test_new_modules_and_packages_are_imported_from_memory(tmp_path: Path) -> None:
    edits = {
        "shop/main.py": "from .fresh import deep\nimport extra\nVALUE = deep.VALUE + extra.VALUE\n",
        "shop/fresh/__init__.py": "from . import deep\n",
        "shop/fresh/deep.py": "VALUE = 5\n",
        "extra.py": "VALUE = 2\n",
    }
    ground = Ground(tmp_path, edits)
    told = ground.told(
        "import inspect, shop.main, shop.fresh.deep as deep\n"
        "print(json.dumps([shop.main.VALUE, deep.__package__, deep.__file__, inspect.getsource(deep)]))"
    )
    assert told == [7, "shop.fresh", str(ground.app_dir / "shop/fresh/deep.py"), "VALUE = 5\n"]
    assert not (ground.app_dir / "shop/fresh").exists()
    patches.refuse_unused(ground.case, ground.scratch)


def test_a_new_module_takes_its_place_on_the_path(tmp_path: Path) -> None:
    ground = Ground(tmp_path, {"extra.py": "VALUE = 2\n"})
    other = tmp_path / "other"
    other.mkdir()
    (other / "extra.py").write_text("VALUE = 3\n")
    assert ground.told("import extra\nprint(extra.VALUE)") == 2
    code = f"import sys\nsys.path.insert(0, {str(other)!r})\nimport extra\nprint(extra.VALUE)"
    assert ground.told(code) == 3


def test_a_sitecustomize_of_the_app_is_run_as_well(ground: Ground) -> None:
    ground.write("sitecustomize.py", "import builtins\nbuiltins.CUSTOMIZED = __file__\n")
    told = ground.told("import sys, shop.main\nprint(json.dumps([CUSTOMIZED, shop.main.answer()]))")
    assert told == [str(ground.app_dir / "sitecustomize.py"), 10]


def refusal(ground: Ground, code: str = "import shop.main") -> tuple[str, str]:
    """The sentence for the harness, and all that was written to the log."""
    done = ground.run(code)
    log = ground.scratch / "server.log"
    log.write_text(done.stderr)
    with pytest.raises(EndpointError) as refused:
        RunningServer("http://127.0.0.1:9", variant_log=log).refuse_void()
    return str(refused.value), done.stderr


# edited text of shop/main.py -> sentence
BROKEN = {
    "def answer():\n    return )\n": "shop/main.py:2: with fix.diff it can't be compiled: SyntaxError: unmatched ')'",
    "VALUE = 1\nX = None + 1\n": "shop/main.py:2: with fix.diff it can't be imported: TypeError: unsupported operand",
    "import sys\n\nsys.exit('no')\n": "shop/main.py:3: with fix.diff it can't be imported: SystemExit: no",
    "def f():\n    import nowhere\n\n\nf()\n": "shop/main.py:2: with fix.diff it can't be imported: ModuleNotFound",
    "X = int(\n    'x'\n)\n": "shop/main.py:1: with fix.diff it can't be imported: ValueError: invalid literal",
}


@pytest.mark.parametrize("text", BROKEN)
def test_an_edit_that_does_not_compile_or_raises_is_told_with_its_line(text: str, tmp_path: Path) -> None:
    sentence, log = refusal(Ground(tmp_path, {"shop/main.py": text}))
    assert sentence.startswith(BROKEN[text])
    assert sentence.endswith("; correct it")
    assert "return VALUE" not in log, "the traceback shows the file instead of the edited text"


def test_a_file_that_raises_is_told_once_even_if_the_app_goes_on_without_it(tmp_path: Path) -> None:
    ground = Ground(tmp_path, {"shop/part.py": "VALUE = 1 / 0\n"})
    sentence, log = refusal(ground, "try:\n    import plain\nexcept ZeroDivisionError:\n    pass")
    assert sentence.startswith(
        "shop/part.py:1: with fix.diff it can't be imported: ZeroDivisionError: division by zero"
    )
    assert log.count(patches.REFUSED) == 1


def test_a_file_that_changes_before_it_is_imported_is_refused(ground: Ground) -> None:
    ground.write("shop/main.py", MAIN + "# changed\n")
    sentence, log = refusal(ground)
    assert sentence == "shop/main.py: it is not the file that fix.diff was made from; make the patch anew"
    assert "PatchedImportError" in log


def test_a_new_file_that_is_there_by_now_is_refused(tmp_path: Path) -> None:
    ground = Ground(tmp_path, {"extra.py": "VALUE = 2\n"})
    ground.write("extra.py", "VALUE = 3\n")
    assert refusal(ground, "import extra")[0] == "extra.py: there is such a file by now; make the patch anew"


def test_a_patch_of_which_a_part_was_never_imported_is_refused(tmp_path: Path) -> None:
    ground = Ground(tmp_path, {**PATCHED, "plain.py": "from shop import main as other\n"})
    ground.run("import shop.main")
    with pytest.raises(EndpointError, match=r"^fix.diff changes plain.py, which was never imported, so nothing of it"):
        patches.refuse_unused(ground.case, ground.scratch)
    ground.run("import plain")
    patches.refuse_unused(ground.case, ground.scratch)
