"""Changes done to the tree of a file: nodes, imports, the edited text, its diff."""

import ast
import difflib
import sys
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import libcst
from libcst.metadata import MetadataWrapper, PositionProvider

from loopwise.blame.edits.edit import Change, CollisionError, NotPossibleError, Rewrite, Span
from loopwise.blame.edits.source import parsed

Statement = libcst.SimpleStatementLine | libcst.BaseCompoundStatement


def edited(text: str, changes: Sequence[Change]) -> str:
    """The text of a file after all changes, which are applied to one tree.

    Raises:
        CollisionError: two of them want the same code to become different things.
        NotPossibleError: a node isn't found again, or the outcome doesn't compile.
    """
    _refuse_collisions(changes)
    wrapper = _parsed(text)
    rewriter = _Rewriter(wrapper, [rewrite for change in changes for rewrite in change.rewrites])
    module = rewriter.rewritten()
    if rewriter.missing:
        raise NotPossibleError("the syntax tree doesn't hold the expression where the interpreter says it stands")
    wanted = dict.fromkeys(each for change in changes for each in change.statements)
    module = _with_statements(wrapper, module, wanted)
    for statement in dict.fromkeys(each for change in changes for each in change.imports):
        module = _with_import(module, statement)
    new: str = module.code
    parsed(new)
    return new


@lru_cache(maxsize=4)
def _parsed(text: str) -> MetadataWrapper:
    """The tree of a file, for all edits of it."""
    return MetadataWrapper(libcst.parse_module(text), unsafe_skip_copy=True)


def diff(name: str, before: str, after: str) -> str:
    """A unified diff that `git apply` and `patch -p1` take."""
    tail = "\t" if " " in name else ""  # ends a name with spaces
    lines = difflib.unified_diff(_kept(before), _kept(after), f"a/{name}{tail}", f"b/{name}{tail}", n=3)
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def _kept(text: str) -> list[str]:
    """Lines with their ends, where only a newline ends one: as git and patch see them."""
    lines = text.split("\n")
    return [f"{line}\n" for line in lines[:-1]] + [line for line in lines[-1:] if line]


def _refuse_collisions(changes: Sequence[Change]) -> None:
    for number, change in enumerate(changes):
        for other in changes[:number]:
            if _collide(change, other):
                raise CollisionError(
                    f"line {other.line} ({other.words}) and line {change.line} ({change.words}) change the same code; "
                    "choose one of the two"
                )


def _collide(one: Change, other: Change) -> bool:
    pairs = [(one, other), (other, one)]
    return any(a.collides(b) for a in one.rewrites for b in other.rewrites) or any(
        a.flips is not None and a.flips in {b.flips, b.awaits} for a, b in pairs
    )


class _Rewriter(libcst.CSTTransformer):
    def __init__(self, wrapper: MetadataWrapper, rewrites: Iterable[Rewrite]) -> None:
        super().__init__()
        self._wrapper = wrapper
        wanted: dict[tuple[str, tuple[int, ...]], Rewrite] = {(each.node, _key(each)): each for each in rewrites}
        lines = {each.span.line for each in wanted.values()}
        self._found: dict[libcst.CSTNode, Rewrite] = {}
        for node, where in wrapper.resolve(PositionProvider).items():
            if where.start.line not in lines:
                continue
            span = Span(where.start.line, where.start.column, where.end.line, where.end.column)
            kind = _kind(node)
            rewrite = wanted.pop((kind, span[:2] if kind == "block" else span), None)
            if rewrite is not None:
                self._found[node] = rewrite
        self.missing = list(wanted)

    def rewritten(self) -> libcst.Module:
        """The module; of its statements only those are visited that hold something to rewrite."""
        positions = self._wrapper.resolve(PositionProvider)
        lines = [positions[node].start.line for node in self._found]
        body = []
        for statement in self._wrapper.module.body:
            where = positions[statement]
            is_meant = any(where.start.line <= line <= where.end.line for line in lines)
            body.append(statement.visit(self) if is_meant else statement)
        return self._wrapper.module.with_changes(body=body)

    def on_leave(self, original_node: Any, updated_node: Any) -> Any:
        """Build the new node, after the nodes inside of it."""
        updated = super().on_leave(original_node, updated_node)
        rewrite = self._found.get(original_node)
        return updated if rewrite is None else rewrite.build(updated)


def _key(rewrite: Rewrite) -> tuple[int, ...]:
    return rewrite.span[:2] if rewrite.node == "block" else rewrite.span


def _kind(node: libcst.CSTNode) -> str:
    """Rewrite.node of a node; empty: of none that is rewritten."""
    kinds = {
        "expression": libcst.BaseExpression,
        "statement": libcst.BaseSmallStatement,
        "block": libcst.FunctionDef | libcst.With,
    }
    return next((kind for kind, types in kinds.items() if isinstance(node, types)), "")


def _with_statements(
    wrapper: MetadataWrapper, module: libcst.Module, wanted: Iterable[tuple[str, int | None]]
) -> libcst.Module:
    """Add statements of the module, each before the one that it must precede."""
    original = wrapper.module.body
    positions = wrapper.resolve(PositionProvider)
    body = list(module.body)
    inserted: list[tuple[int, list[Any]]] = []
    for text, line in wanted:
        if line is None:
            at = _after_imports(body)
        else:
            at = next((number for number, node in enumerate(original) if positions[node].end.line >= line), len(body))
        inserted.append((at, list(libcst.parse_module(text).body)))
    for at, statements in sorted(inserted, key=lambda each: -each[0]):
        lines = tuple(getattr(body[at], "leading_lines", ())) if at < len(body) else ()
        first = statements[0].with_changes(leading_lines=_blank(lines))
        body[at:at] = [first, *statements[1:]]
    return module.with_changes(body=body)


def _blank(lines: Sequence[libcst.EmptyLine]) -> list[libcst.EmptyLine]:
    """As many empty lines as stand before the next statement; its comments stay with it."""
    count = 0
    for line in lines:
        if line.comment is not None:
            break
        count += 1
    return [libcst.EmptyLine(indent=False)] * max(1, count)


def _after_imports(body: Sequence[Any]) -> int:
    return max(
        (number + 1 for number, node in enumerate(body) if _root(node) is not None or _is_head(node, number)), default=0
    )


def _with_import(module: libcst.Module, statement: str) -> libcst.Module:
    """Add an import where imports stand, in the order of the alphabet among its kind; not twice."""
    if any(_text(node) == statement for node in module.body):
        return module
    body = list(module.body)
    kind, root = statement.split(maxsplit=1)[0], statement.split()[1].partition(".")[0]
    (new,) = libcst.parse_module(statement + "\n").body
    first = next((number for number, node in enumerate(body) if not _is_head(node, number)), len(body))
    last = next((number for number in range(first, len(body)) if _root(body[number]) is None), len(body))
    same = [number for number in range(first, last) if _is_standard(_root(body[number])) == _is_standard(root)]
    alike = [number for number in same if _text(body[number]).startswith(f"{kind} ")]
    later = [number for number in alike if _text(body[number]) > statement]
    if later or (same and not alike and kind == "import"):
        at = later[0] if later else same[0]
        # Blank lines and comments before the first import stay first.
        new = new.with_changes(leading_lines=body[at].leading_lines)
        body[at] = body[at].with_changes(leading_lines=[] if later else [libcst.EmptyLine(indent=False)])
    elif same:
        at = (alike or same)[-1] + 1
    else:
        at = first if _is_standard(root) else last
        if at:
            new = new.with_changes(leading_lines=[libcst.EmptyLine(indent=False)])
        if at < len(body):
            body[at] = _apart(body[at])
    body.insert(at, new)
    return module.with_changes(body=body)


def _apart(node: Any) -> Any:
    """A statement with empty lines before it: two before a definition, else one."""
    least = 2 if isinstance(node, libcst.FunctionDef | libcst.ClassDef) else 1
    lines = list(node.leading_lines)
    missing = least - sum(each.comment is None for each in lines)
    return node.with_changes(leading_lines=[*[libcst.EmptyLine(indent=False)] * missing, *lines])


def _is_head(node: Any, number: int) -> bool:
    """Whether imports come after it: the docstring, `from __future__`."""
    text = _text(node)
    if text.startswith("from __future__ "):
        return True
    return number == 0 and _is_docstring(node)


def _is_docstring(node: Any) -> bool:
    return (
        isinstance(node, libcst.SimpleStatementLine)
        and isinstance(node.body[0], libcst.Expr)
        and isinstance(node.body[0].value, libcst.SimpleString | libcst.ConcatenatedString)
    )


def _root(node: Any) -> str | None:
    """The top-level package that a statement imports; empty: a relative one; None: it is no import."""
    if isinstance(node, libcst.SimpleStatementLine) and isinstance(node.body[0], libcst.Import | libcst.ImportFrom):
        return _text(node).split()[1].partition(".")[0].rstrip(",")
    return None


def _is_standard(root: str | None) -> bool:
    return root in sys.stdlib_module_names


def _text(node: Any) -> str:
    if not isinstance(node, libcst.SimpleStatementLine):
        return ""
    return "; ".join(libcst.Module(body=()).code_for_node(each) for each in node.body)


def one_line(text: str) -> str:
    """An expression as one line: line breaks between its tokens become spaces, comments are left out."""
    try:
        return ast.unparse(ast.parse(text, mode="eval"))
    except SyntaxError:
        return " ".join(text.split())
