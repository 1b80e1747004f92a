"""Read in the source of an app what a line calls."""

import ast
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import dedent

MAX_LINES = 8
"""Lines that a statement's head may have."""
MAX_LENGTH = 60


def called(path: str, columns: Sequence[int] | None) -> str | None:
    """The function that the expression in these columns calls: `json.loads`; None if it is no call."""
    if columns is None:
        return None
    first, last, start, end = columns
    try:
        lines = Path(path).read_bytes().splitlines()[first - 1 : last]
        lines[-1] = lines[-1][:end]
        lines[0] = lines[0][start:]
        node = _parsed(b"(" + b"\n".join(lines) + b")")
    except (OSError, IndexError, SyntaxError, ValueError):
        return None
    return _function(node.value) if isinstance(node, ast.Expr) else None


def source_line(path: str, line: int) -> str:
    """The line's text without indent; empty where it can't be read."""
    return next((text.strip() for text in _lines(path)[line - 1 : line]), "")


def waits_in(path: str, line: int, columns: Sequence[int] | None, callee: str | None) -> str:
    """What a line waits in: `db.execute`, `with lock`; else its text; empty where it can't be read.

    Args:
        path: of the source.
        line: number, from 1.
        columns: of the expression (first line, last line, first column, column after the last); None: not known.
        callee: the Python function that it was in; None: in C code, or in none.
    """
    words = called(path, columns) or _in_statement(path, line, callee) or callee or source_line(path, line)
    return words if len(words) <= MAX_LENGTH else words[: MAX_LENGTH - 1] + "…"


def _in_statement(path: str, line: int, callee: str | None) -> str | None:
    statement = _statement(_lines(path)[line - 1 : line - 1 + MAX_LINES])
    if isinstance(statement, ast.With | ast.AsyncWith):
        managers = [item.context_expr for item in statement.items]
        chosen = next((each for each in managers if _is_of(each, callee)), managers[0])
        word = "with" if isinstance(statement, ast.With) else "async with"
        return _function(chosen) or f"{word} {ast.unparse(chosen)}"
    if isinstance(statement, ast.For | ast.AsyncFor):
        return _function(statement.iter) or ast.unparse(statement.iter)
    calls = [] if statement is None else [node for node in ast.walk(statement) if isinstance(node, ast.Call)]
    of_callee = [node for node in calls if _is_of(node, callee)]
    chosen_calls = of_callee or (calls if len(calls) == 1 else [])
    return _function(chosen_calls[0]) if chosen_calls else None


def _statement(lines: Sequence[str]) -> ast.stmt | None:
    """The statement that begins in the first line; of a compound one its head."""
    for number in range(1, len(lines) + 1):
        text = dedent("\n".join(lines[:number])).strip()
        for body in ("", " pass"):
            try:
                return _parsed(text + body)
            except (SyntaxError, ValueError):
                continue
    return None


def _parsed(text: str | bytes) -> ast.stmt | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the app's own source
        return next(iter(ast.parse(text).body), None)


def _function(node: ast.expr) -> str | None:
    """The function that an expression calls; None if it is no call."""
    if isinstance(node, ast.Await):
        node = node.value
    return ast.unparse(node.func) if isinstance(node, ast.Call) else None


def _is_of(node: ast.expr, callee: str | None) -> bool:
    """Whether it calls a function of this name."""
    return callee is not None and callee.rpartition(".")[2] in set(_names(node))


def _names(node: ast.expr) -> Iterator[str]:
    function = node.func if isinstance(node, ast.Call) else None
    if isinstance(function, ast.Attribute):
        yield function.attr
    elif isinstance(function, ast.Name):
        yield function.id


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
