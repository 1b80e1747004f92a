"""A file of the app: its text, its syntax tree, and what names mean in it."""

import ast
import io
import re
import symtable
import tokenize
import warnings
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from loopwise.blame.edits.edit import NotPossibleError, Span

Function = ast.FunctionDef | ast.AsyncFunctionDef
SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
HIDDEN = re.compile(r"(^|/)(\.|node_modules/|site-packages/|__pycache__/)")
MAX_FILES = 2_000
"""Files of an app that are searched for uses of a function."""


class Source:
    """A source file below the app's folder.

    Args:
        path: of the file.
        app_dir: the app's folder.

    Raises:
        NotPossibleError: the file isn't there, lies elsewhere, or can't be read as Python.
    """

    def __init__(self, path: Path, app_dir: Path) -> None:
        self.path, self.app_dir = path.resolve(), app_dir.resolve()
        if not self.path.is_relative_to(self.app_dir):
            raise NotPossibleError(f"{path} lies outside of the app's folder {app_dir}")
        self.name = self.path.relative_to(self.app_dir).as_posix()
        try:
            content = self.path.read_bytes()
        except OSError as error:
            raise NotPossibleError(f"there is no source to edit ({error.strerror})") from None
        self.text = _decoded(content)
        self.tree = parsed(self.text)
        self.lines = re.split(r"\r\n|\r|\n", self.text)
        self._parents = {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}

    def span(self, node: ast.expr | ast.stmt) -> Span:
        """What a node covers, in characters; ast has bytes."""
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return Span(
            node.lineno,
            self._column(node.lineno, node.col_offset),
            node.end_lineno,
            self._column(node.end_lineno, node.end_col_offset),
        )

    def segment(self, node: ast.expr | ast.stmt) -> str:
        """The text of a node."""
        line, column, end_line, end_column = self.span(node)
        rows = self.lines[line - 1 : end_line]
        rows[-1] = rows[-1][:end_column]
        rows[0] = rows[0][column:]
        return "\n".join(rows)

    def _column(self, line: int, in_bytes: int) -> int:
        return len(self.lines[line - 1].encode()[:in_bytes].decode(errors="replace"))

    def parent(self, node: ast.AST) -> ast.AST:
        """The node that holds it; of the module itself the module."""
        return self._parents.get(node, self.tree)

    def ancestors(self, node: ast.AST) -> Iterator[ast.AST]:
        """The nodes around it, innermost first."""
        while node in self._parents:
            node = self._parents[node]
            yield node

    def function_at(self, line: int, *, name: str = "", is_async: bool | None = None) -> Function:
        """The innermost function whose lines, decorators included, hold this one.

        Raises:
            NotPossibleError: there is none, or none of this name.
        """
        found = [
            node
            for node in ast.walk(self.tree)
            if isinstance(node, Function)
            and name in {"", node.name}
            and (is_async is None or is_async == isinstance(node, ast.AsyncFunctionDef))
            and first_line(node) <= line <= (node.end_lineno or node.lineno)
        ]
        if not found:
            raise NotPossibleError("no such function holds this line; the file may have changed since")
        return max(found, key=lambda node: node.lineno)

    def function_of(self, node: ast.AST) -> ast.AST | None:
        """The function, lambda or class in whose scope a node is executed; None: the module's."""
        return next((each for each in self.ancestors(node) if isinstance(each, SCOPES)), None)

    def own(self, function: Function) -> Iterator[ast.AST]:
        """The nodes that a function executes itself: those of functions inside are left out."""
        waiting: list[ast.AST] = list(function.body)
        while waiting:
            node = waiting.pop()
            yield node
            if not isinstance(node, SCOPES):
                waiting.extend(ast.iter_child_nodes(node))

    @cached_property
    def imported(self) -> dict[str, str]:
        """Names that imports at the top bind, with their meaning: `r` -> `requests`, `sleep` -> `time.sleep`."""
        found: dict[str, str] = {}
        for node in self.tree.body:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    root = alias.name.partition(".")[0]
                    found[alias.asname or root] = alias.name if alias.asname else root
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                found.update({alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names})
        return found

    @cached_property
    def rebound(self) -> set[str]:
        """Names of the module that something else than an import at its top binds, or that several bind."""
        everywhere = {name for node in ast.walk(self.tree) if isinstance(node, ast.Global) for name in node.names}
        imports = {node for node in self.tree.body if isinstance(node, ast.Import | ast.ImportFrom)}
        counted: dict[str, int] = {}
        for node in ast.walk(self.tree):
            for name in _bound(node):
                if name in everywhere or self.function_of(node) is None:
                    counted[name] = counted.get(name, 0) + (1 if node in imports else 2)
        return {name for name, count in counted.items() if count > 1}

    def resolved(self, node: ast.expr, function: Function) -> str | None:
        """What a dotted name stands for by the module's imports: `r.get` -> `requests.get`; None: not known."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or self.is_local(node.id, function) or node.id in self.rebound:
            return None
        root = self.imported.get(node.id)
        return root and ".".join((root, *reversed(parts)))

    def is_local(self, name: str, function: Function) -> bool:
        """Whether a name means something else in a function than in its module."""
        try:
            return not self._table(function).lookup(name).is_global()
        except KeyError:
            around = self.function_of(function)
            while around is not None and not isinstance(around, Function):
                around = self.function_of(around)
            return around is not None and self.is_local(name, around)

    def _table(self, function: Function) -> symtable.SymbolTable:
        waiting = [self._symbols]
        while waiting:
            table = waiting.pop()
            is_named = table.get_type() == "function" and table.get_name() == function.name
            # It begins at its first decorator or at its `def`, as versions of Python have it.
            if is_named and first_line(function) <= table.get_lineno() <= function.lineno:
                return table
            waiting.extend(table.get_children())
        raise KeyError(function.name)

    @cached_property
    def _symbols(self) -> symtable.SymbolTable:
        return symtable.symtable(self.text, self.name, "exec")

    @cached_property
    def constants(self) -> dict[str, ast.expr]:
        """Names that the module binds once, to an expression."""
        counted: dict[str, int] = {}
        for each in ast.walk(self.tree):
            for name in _bound(each):
                counted[name] = counted.get(name, 0) + 1
        return {
            node.targets[0].id: node.value
            for node in self.tree.body
            if isinstance(node, ast.Assign)
            and len(node.targets) == 1
            and isinstance(node.targets[0], ast.Name)
            and counted[node.targets[0].id] == 1
        }

    @cached_property
    def module_names(self) -> set[str]:
        """Names that the module itself binds, in whatever block."""
        return {name for node in ast.walk(self.tree) if self.function_of(node) is None for name in _bound(node)}

    def uses(self, function: Function) -> list[str]:
        """Places, `shop/main.py:12`, where the app uses a function by its name, as far as imports tell."""
        found = [
            f"{self.name}:{node.lineno}"
            for node in ast.walk(self.tree)
            if (isinstance(node, ast.Name) and node.id == function.name and isinstance(node.ctx, ast.Load))
            or (isinstance(node, ast.Attribute) and node.attr == function.name and _is_self(node.value))
        ]
        for other in self._others(function.name):
            found += _imported_uses(other, self.app_dir, self.path.stem, function.name)
        return found

    def _others(self, word: str) -> Iterator[Path]:
        pattern = re.compile(rf"\b{re.escape(word)}\b")
        for number, path in enumerate(self.app_dir.rglob("*.py")):
            if number >= MAX_FILES:
                return
            if path == self.path or HIDDEN.search(path.relative_to(self.app_dir).as_posix()):
                continue
            try:
                if pattern.search(path.read_text(encoding="utf-8")):
                    yield path
            except (OSError, UnicodeDecodeError):
                continue


def first_line(function: Function) -> int:
    """The line of a function's first decorator, or of its `def`."""
    return min([function.lineno, *(each.lineno for each in function.decorator_list)])


def parsed(text: str) -> ast.Module:
    """The tree of a source text.

    Raises:
        NotPossibleError: it can't be read as Python.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the app's own source
        try:
            tree = ast.parse(text)
            compile(tree, "edited", "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError) as error:
            raise NotPossibleError(f"it can't be read as Python ({error})") from None
    return tree


def dotted(node: ast.expr) -> str:
    """A dotted name as written; empty where it is none."""
    if isinstance(node, ast.Attribute):
        inner = dotted(node.value)
        return f"{inner}.{node.attr}" if inner else ""
    return node.id if isinstance(node, ast.Name) else ""


def _decoded(content: bytes) -> str:
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        text = content.decode("utf-8")
    except (SyntaxError, UnicodeDecodeError) as error:
        raise NotPossibleError(f"its encoding can't be read ({error})") from None
    if encoding != "utf-8":
        raise NotPossibleError(f"its encoding is {encoding}, and edits are written as UTF-8 without a byte order mark")
    return text


def _bound(node: ast.AST) -> set[str]:
    """Names that a node itself binds."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {alias.asname or alias.name.partition(".")[0] for alias in node.names}
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store | ast.Del):
        return {node.id}
    return set()


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in {"self", "cls"}


def _imported_uses(path: Path, app_dir: Path, module: str, name: str) -> list[str]:
    """Lines of another file that import `name` from a module of this name, or take it from there."""
    try:
        tree = parsed(path.read_text(encoding="utf-8"))
    except NotPossibleError:
        return []
    shown = path.relative_to(app_dir).as_posix()
    return [
        f"{shown}:{node.lineno}"
        for node in ast.walk(tree)
        if (
            isinstance(node, ast.ImportFrom)
            and (node.module or "").rpartition(".")[2] == module
            and any(alias.name == name for alias in node.names)
        )
        or (isinstance(node, ast.Attribute) and node.attr == name and dotted(node.value).rpartition(".")[2] == module)
    ]
