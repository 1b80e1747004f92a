"""A candidate: an edit that may be made of a blamed line, or of an endpoint."""

import ast
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import libcst

from loopwise.blame.edits.edit import Change, NotPossibleError
from loopwise.blame.edits.source import Function, Source


@dataclass(frozen=True)
class Subject:
    """What a candidate is made of."""

    source: Source
    function: Function
    """The innermost `async def` of the app; of an endpoint its function."""
    line: int
    target: ast.expr | None = None
    """The expression that holds the loop; None: without a blamed line."""
    installed: Collection[str] = ()
    """Distributions in the app's interpreter: `httpx`, `aiosqlite`."""
    is_endpoint: bool = False
    """Whether the function is known to be an endpoint; else its decorator has to say so."""

    @property
    def call(self) -> ast.Call | None:
        """The expression, where it is a call."""
        return self.target if isinstance(self.target, ast.Call) else None

    @property
    def callee(self) -> str | None:
        """What is called, by the module's imports: `requests.get`; None: not known."""
        return None if self.call is None else self.source.resolved(self.call.func, self.function)


@dataclass(frozen=True)
class Candidate:
    """A kind of edit."""

    name: str
    words: str
    """What becomes of the code, for a list of candidates."""
    of: Literal["expression", "function"]
    """Whether it needs the expression that holds the loop."""
    change: Callable[[Subject], Change | None]
    """Makes it; None: it isn't meant for such code. Raises NotPossibleError where it is, and can't be made."""
    needs: str = ""
    """Distribution that the app's interpreter must have."""


def name_of(source: Source, function: Function | None, module: str, attribute: str) -> tuple[str, tuple[str, ...]]:
    """How a function writes `module.attribute`, by the imports that are there, and the imports that are missing.

    Args:
        source: of the file.
        function: None: it is written in the module itself.
        module: such as `concurrent.futures`.
        attribute: of the module.

    Raises:
        NotPossibleError: no name is free.
    """
    for meaning, tail in ((f"{module}.{attribute}", ""), (module, f".{attribute}")):
        for name, known in source.imported.items():
            if known == meaning and (tail == "" or "." not in module) and _is_free(source, name, function):
                return f"{name}{tail}", ()
    root = module.partition(".")[0]
    if source.imported.get(root, root) == root and _is_free(source, root, function):
        return f"{module}.{attribute}", (f"import {module}",)
    alias = f"_{module.rpartition('.')[2]}"
    if alias in source.imported or not _is_free(source, alias, function):
        raise NotPossibleError(f"the names {root} and {alias} stand for something else there; rename one of them")
    return f"{alias}.{attribute}", (f"import {module} as {alias}",)


def new_name(source: Source, wanted: str) -> str:
    """A name that nothing in the file has."""
    taken = {node.id for node in ast.walk(source.tree) if isinstance(node, ast.Name)}
    taken |= {node.arg for node in ast.walk(source.tree) if isinstance(node, ast.arg)}
    taken |= {getattr(node, "name", None) or "" for node in ast.walk(source.tree)} | set(source.imported)
    return next(name for name in (wanted, *(f"{wanted}_{number}" for number in range(2, 99))) if name not in taken)


def _is_free(source: Source, name: str, function: Function | None) -> bool:
    return name not in source.rebound and (function is None or not source.is_local(name, function))


def shown(source: Source, node: ast.expr) -> str:
    """An expression on one line, as it is written if it stands on one."""
    text = source.segment(node)
    return text if "\n" not in text else ast.unparse(node)


def call_words(source: Source, call: ast.Call, function: str, first: Sequence[str] = ()) -> str:
    """A call of another function with the same arguments, on one line."""
    arguments = [_argument(source, each) for each in call.args]
    arguments += [
        f"**{shown(source, each.value)}" if each.arg is None else f"{each.arg}={shown(source, each.value)}"
        for each in call.keywords
    ]
    return f"{function}({', '.join((*first, *arguments))})"


def over_lines(function: str, arguments: Sequence[str]) -> str:
    """A call with each argument on a line of its own."""
    return "\n    ".join((f"{function}(", *(f"{each}," for each in arguments))) + "\n)"


def _argument(source: Source, node: ast.expr) -> str:
    text = shown(source, node)
    return f"({text})" if isinstance(node, ast.GeneratorExp) and not text.startswith("(") else text


def needs_parentheses(source: Source, node: ast.expr) -> bool:
    """Whether `await …` in its place would bind otherwise: in `f().text`, `f()[0]`, `f()()`, `f() ** 2`."""
    parent = source.parent(node)
    return (
        (isinstance(parent, ast.Attribute | ast.Subscript) and parent.value is node)
        or (isinstance(parent, ast.Call) and parent.func is node)
        or (isinstance(parent, ast.Await))
    )


def awaited(call: Any, *, in_parentheses: bool, like: Any) -> libcst.Await:
    """`await call`, with the parentheses that stood around the node that it replaces, or new ones where needed."""
    left, right = like.lpar, like.rpar
    if in_parentheses and not left:
        left, right = [libcst.LeftParen()], [libcst.RightParen()]
    return libcst.Await(expression=call.with_changes(lpar=[], rpar=[]), lpar=left, rpar=right)


def expression(text: str) -> Any:
    """The tree of an expression that is written in a line."""
    return libcst.parse_expression(text)
