"""From a blamed line, or an endpoint, to the edits that can be made of the app's source."""

import ast
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from loopwise.blame.edits.candidate import Candidate, Subject
from loopwise.blame.edits.edit import Change, CollisionError, Edit, NoEdit, NotPossibleError, Offer
from loopwise.blame.edits.rewriting import diff, edited
from loopwise.blame.edits.source import COMPREHENSIONS, Function, Source
from loopwise.blame.edits.table import CANDIDATES
from loopwise.blame.findings import BlamedLine, ManyShort
from loopwise.blame.watched import Site

EXPRESSION = "expression"
"""Kind of a refusal that holds for all candidates which need the blamed expression."""


def offer_for(line: BlamedLine | ManyShort, app_dir: Path, installed: Collection[str] = ()) -> Offer:
    """The edits of a blamed line, the candidates that can't be made of it, and why.

    Args:
        line: as blame reports it.
        app_dir: the app's folder; files elsewhere are not edited.
        installed: distributions in the app's interpreter: `httpx`, `aiosqlite`.
    """
    if line.site is None:
        what = "no `async def` of the app led here" if line.is_app else "no line of the app was being executed"
        return Offer(refused=(NoEdit(EXPRESSION, _where(line.path, line.line, app_dir), what),))
    try:
        source = Source(Path(line.site.path), app_dir)
        name = line.site.function.rpartition(".")[2]
        function = source.function_at(line.site.line, name=name, is_async=True)
    except NotPossibleError as error:
        return Offer(refused=(NoEdit(EXPRESSION, _where(line.site.path, line.site.line, app_dir), str(error)),))
    subject = Subject(source, function, line.site.line, installed=installed)
    refused: list[NoEdit] = []
    try:
        target = blamed_expression(source, function, line.site)
        subject = replace(subject, target=target)
    except NotPossibleError as error:
        refused.append(NoEdit(EXPRESSION, f"{source.name}:{line.site.line}", str(error)))
    chosen = [
        each
        for each in CANDIDATES.values()
        if each.name != "async_def" and (each.of == "function" or subject.target is not None)
    ]
    found = _offer(subject, chosen)
    return Offer(found.edits, (*refused, *found.refused))


def edits_for(line: BlamedLine | ManyShort, app_dir: Path, installed: Collection[str] = ()) -> tuple[Edit, ...]:
    """The edits of a blamed line; as offer_for, without what can't be made."""
    return offer_for(line, app_dir, installed).edits


def offer_of_endpoint(path: Path, line: int, app_dir: Path, installed: Collection[str] = ()) -> Offer:
    """The edits of an endpoint without a blamed line, and the candidates that can't be made.

    Args:
        path: the file of the endpoint's function.
        line: any of the function, its decorators included, such as `co_firstlineno`.
        app_dir: as in offer_for.
        installed: as in offer_for.
    """
    try:
        source = Source(path, app_dir)
        function = source.function_at(line)
    except NotPossibleError as error:
        return Offer(refused=(NoEdit("function", _where(str(path), line, app_dir), str(error)),))
    subject = Subject(source, function, function.lineno, installed=installed, is_endpoint=True)
    return _offer(subject, [each for each in CANDIDATES.values() if each.of == "function"])


def edits_of_endpoint(path: Path, line: int, app_dir: Path, installed: Collection[str] = ()) -> tuple[Edit, ...]:
    """The edits of an endpoint; as offer_of_endpoint, without what can't be made."""
    return offer_of_endpoint(path, line, app_dir, installed).edits


@dataclass(frozen=True)
class Merged:
    """Several edits as one."""

    sources: dict[str, str]
    """Path of each edited file, relative to the app's folder -> the whole file."""
    diff: str
    """One unified diff, as that of an Edit."""


def merged(edits: Iterable[Edit]) -> Merged:
    """Several edits, also of one file, as one; an edit that is given twice counts once.

    Raises:
        CollisionError: two of them change the same code, or one does not compile with the others.
    """
    by_path: dict[str, list[Edit]] = {}
    for edit in dict.fromkeys(edits):
        by_path.setdefault(edit.path, []).append(edit)
    sources, diffs = {}, []
    for path, group in sorted(by_path.items()):
        original = group[0].original
        if any(edit.original != original for edit in group):
            raise CollisionError(f"{path} changed while edits were made of it; make them again")
        try:
            sources[path] = edited(original, [change for edit in group for change in edit.changes])
        except (CollisionError, NotPossibleError) as error:
            raise CollisionError(f"{path}: {error}") from None
        diffs.append(diff(path, original, sources[path]))
    return Merged(sources, "".join(diffs))


def blamed_expression(source: Source, function: Function, site: Site) -> ast.expr:
    """The expression that the `async def` was executing, as large as has to be moved as a whole.

    Raises:
        NotPossibleError: it isn't known, or is nothing that can be moved.
    """
    if site.columns is None:
        return _only_call(source, function, site.line)
    first, last, start, end = site.columns
    around = [
        node
        for node in source.own(function)
        if isinstance(node, ast.expr)
        and (node.lineno, node.col_offset) <= (first, start)
        and (last, end) <= (node.end_lineno or 0, node.end_col_offset or 0)
    ]
    if not around:
        raise NotPossibleError("it is a statement, not a call or an expression that could be moved")
    target = min(around, key=lambda node: len(source.segment(node)))
    for node in source.ancestors(target):
        if node is function:
            break
        if isinstance(node, COMPREHENSIONS) and not isinstance(node, ast.GeneratorExp):
            target = node
    words = source.segment(target)
    if isinstance(target, ast.Name | ast.Constant) or not isinstance(getattr(target, "ctx", ast.Load()), ast.Load):
        raise NotPossibleError(f"what holds the loop happens at {words} without a call")
    parent = source.parent(target)
    if not isinstance(target, ast.Call) and isinstance(parent, ast.withitem | ast.For):
        raise NotPossibleError(f"the loop is held where the block of {words} is entered, not by an expression")
    return target


def _only_call(source: Source, function: Function, line: int) -> ast.expr:
    """The call of the statement at a line, if there is one only: before Python 3.11 columns aren't known."""
    calls = [
        node
        for node in source.own(function)
        if isinstance(node, ast.Call) and node.lineno <= line <= (node.end_lineno or node.lineno)
    ]
    if len(calls) != 1:
        many = "several calls" if calls else "no call"
        raise NotPossibleError(f"the line has {many}, and only Python 3.11 or newer tells which expression it was")
    return calls[0]


def _offer(subject: Subject, candidates: Sequence[Candidate]) -> Offer:
    edits, refused = [], []
    for candidate in candidates:
        try:
            change = candidate.change(subject)
            if change is not None:
                edits.append(_edit(subject.source, candidate.name, change))
        except NotPossibleError as error:
            refused.append(NoEdit(candidate.name, f"{subject.source.name}:{subject.line}", str(error)))
    return Offer(tuple(edits), tuple(refused))


def _edit(source: Source, kind: str, change: Change) -> Edit:
    new = edited(source.text, [change])
    return Edit(
        kind=kind,
        where=f"{source.name}:{change.line}",
        words=change.words,
        path=source.name,
        source=new,
        diff=diff(source.name, source.text, new),
        original=source.text,
        changes=(change,),
    )


def _where(path: str, line: int, app_dir: Path) -> str:
    resolved, folder = Path(path).resolve(), app_dir.resolve()
    name = resolved.relative_to(folder).as_posix() if resolved.is_relative_to(folder) else path
    return f"{name}:{line}"
