"""The source of a lesson's route, as it stands in target_app/lessons: read as text, never imported."""

import ast
from functools import cache
from pathlib import Path

from loopwise.paths import target_app_dir


def source_of(name: str) -> str:
    """The route with its decorators.

    Args:
        name: of its function: `c01_wrong`.

    Raises:
        KeyError: no module of the lessons has it.
    """
    return _routes()[name]


@cache
def _routes() -> dict[str, str]:
    folder = target_app_dir() / "target_app" / "lessons"
    return {name: text for path in sorted(folder.glob("*.py")) for name, text in _functions(path)}


def _functions(path: Path) -> list[tuple[str, str]]:
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    found = []
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.decorator_list:
            start = min(each.lineno for each in node.decorator_list)
            found.append((node.name, "\n".join(lines[start - 1 : node.end_lineno])))
    return found
