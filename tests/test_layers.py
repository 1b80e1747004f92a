"""Imports of `loopwise/` point one way: packages in a fixed order, and no cycle between modules."""

import ast
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "loopwise"
ORDER = (
    ("errors", "paths", "machine", "visible"),
    ("interrupts",),
    ("model",),
    ("results",),
    ("servers",),
    ("suite",),
    ("generator",),
    ("analysis",),
    ("measure",),
    ("report",),
    ("claims", "calibrate", "selftest", "blame"),
    ("advise",),
    ("cli", "pytest_plugin"),
    ("__main__",),
)
"""From the ground up; names of one group do not import each other. The last are where people come in: a command line,
and a plugin that pytest loads.
"""
RANK = {name: rank for rank, group in enumerate(ORDER) for name in group}


def _modules() -> dict[str, Path]:
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = _modules()


@cache  # and only where it is asked for: every process of pytest imports this file
def _imports(module: str) -> set[str]:
    """Other modules of ours that one names in any import, those inside functions and under TYPE_CHECKING among them."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name in MODULES}
        elif isinstance(node, ast.ImportFrom) and node.module in MODULES:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                found.add(full if full in MODULES else node.module)
    return found - {module}


def _package(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def test_loopwise_holds_the_packages_of_the_map_and_nothing_else() -> None:
    entries = {path.stem for path in PACKAGE.iterdir()} - {"__init__", "__pycache__"}
    assert entries <= set(RANK)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_point_to_packages_below(module: str) -> None:
    own = _package(module)
    for imported in _imports(module):
        other = _package(imported)
        assert not own or not other or own == other or RANK[other] < RANK[own], f"{module} -> {imported}"


def test_no_modules_import_each_other_in_a_circle() -> None:
    done: set[str] = set()

    def walk(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join((*path[path.index(module) :], module))
        if module not in done:
            for imported in _imports(module):
                walk(imported, (*path, module))
            done.add(module)

    for module in MODULES:
        walk(module, ())
