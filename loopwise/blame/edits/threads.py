"""A blocking call into a thread: `await asyncio.to_thread(f, …)`."""

import ast
from collections.abc import Iterator
from typing import Any

import libcst

from loopwise.blame.edits.candidate import (
    Candidate,
    Subject,
    awaited,
    call_words,
    expression,
    name_of,
    needs_parentheses,
    shown,
)
from loopwise.blame.edits.edit import Change, NotPossibleError, Rewrite
from loopwise.blame.edits.source import SCOPES, Source

OF_FRAME = frozenset({"locals", "vars", "dir", "eval", "exec", "super", "breakpoint"})
"""Functions that look at the frame which calls them."""
LOCKS = ("lock", "mutex", "semaphore", "condition")
"""A `with` of something so named is not kept over an `await`: another request would wait for it on the loop."""
MAIN_THREAD = frozenset({"signal.signal", "signal.set_wakeup_fd", "signal.siginterrupt"})
THREADS_OWN = frozenset({"threading.get_ident", "threading.current_thread", "threading.local", "sys.exc_info"})


def to_thread(subject: Subject) -> Change:
    """Let a thread execute the expression that holds the loop."""
    source, target = subject.source, subject.target
    assert target is not None
    refuse_await(subject)
    if isinstance(target, ast.Call):
        refuse_call(subject, target)
    else:
        refuse_in_lambda(target)
    name, imports = name_of(source, subject.function, "asyncio", "to_thread")
    in_parentheses = needs_parentheses(source, target)
    if isinstance(target, ast.Call):
        words = call_words(source, target, name, [shown(source, target.func)])
    else:
        words = f"{name}(lambda: {shown(source, target)})"

    def build(node: Any) -> libcst.Await:
        if isinstance(node, libcst.Call):
            call = node.with_changes(func=expression(name), args=moved_arguments(node))
        else:
            moved = libcst.Lambda(params=libcst.Parameters(), body=node.with_changes(lpar=[], rpar=[]))
            call = libcst.Call(func=expression(name), args=[libcst.Arg(moved)])
        return awaited(call, in_parentheses=in_parentheses, like=node)

    rewrites = (Rewrite(source.span(target), build, holds_parts=isinstance(target, ast.Call)), *_unbound(subject))
    return Change(target.lineno, f"await {words}", rewrites, imports, awaits=source.span(subject.function))


def _unbound(subject: Subject) -> Iterator[Rewrite]:
    """Let any thread use the connection of sqlite3 whose method is called, one at a time as before.

    Raises:
        NotPossibleError: it is made elsewhere, so several requests would use it at once.
    """
    made = None if subject.call is None else sqlite_connection(subject, subject.call.func)
    if made is None:
        return
    is_own = subject.source.function_of(made) is subject.function
    if not is_own or any(each.arg in {None, "check_same_thread"} for each in made.keywords):
        raise NotPossibleError(
            f"a connection of sqlite3 (line {made.lineno}) works in the thread alone that made it, unless it is made "
            "with check_same_thread=False"
        )
    extra = libcst.Arg(
        keyword=libcst.Name("check_same_thread"),
        value=libcst.Name("False"),
        equal=libcst.AssignEqual(libcst.SimpleWhitespace(""), libcst.SimpleWhitespace("")),
    )

    def build(node: Any) -> Any:
        *before, last = node.args
        comma = last.comma if isinstance(last.comma, libcst.Comma) else libcst.MaybeSentinel.DEFAULT
        space = libcst.Comma(whitespace_after=libcst.SimpleWhitespace(" "))
        return node.with_changes(args=[*before, last.with_changes(comma=space), extra.with_changes(comma=comma)])

    yield Rewrite(subject.source.span(made), build)


def moved_arguments(call: libcst.Call) -> list[libcst.Arg]:
    """The arguments with the function before them; each on a line of its own where they stand so."""
    first = libcst.Arg(call.func)
    if not call.args:
        return [first]
    arguments = list(call.args)
    (value,) = [arguments[0].value]
    if isinstance(value, libcst.GeneratorExp) and not value.lpar:
        arguments[0] = arguments[0].with_changes(
            value=value.with_changes(lpar=[libcst.LeftParen()], rpar=[libcst.RightParen()])
        )
    before = call.whitespace_before_args
    space = before if isinstance(before, libcst.ParenthesizedWhitespace) else libcst.SimpleWhitespace(" ")
    return [first.with_changes(comma=libcst.Comma(whitespace_after=space)), *arguments]


def refuse_await(subject: Subject) -> None:
    """Refuse where an `await` in place of the expression would mean something else.

    Raises:
        NotPossibleError: it would.
    """
    source, target, function = subject.source, subject.target, subject.function
    assert target is not None
    if isinstance(target, ast.Await) or isinstance(source.parent(target), ast.Await):
        raise NotPossibleError("what is awaited there holds the loop by itself, inside of its own code")
    for node in source.ancestors(target):
        if isinstance(node, SCOPES):
            break
        if isinstance(node, ast.GeneratorExp):
            raise NotPossibleError("it is evaluated inside of a generator, which would become an asynchronous one")
        if isinstance(node, ast.AugAssign) and not _is_local_name(source, node.target, subject):
            raise NotPossibleError(
                f"{ast.unparse(node.target)} is read before the wait and written after it, so a change by another "
                "request would be lost"
            )
        if isinstance(node, ast.With) and target not in {item.context_expr for item in node.items}:
            for item in node.items:
                words = ast.unparse(item.context_expr)
                if any(lock in words.lower() for lock in LOCKS):
                    raise NotPossibleError(f"{words} would be held during the wait, and the loop would wait for it")
    if source.function_of(target) is not function:
        raise NotPossibleError("it stands in a function inside, which is no `async def`")


def _is_local_name(source: Source, node: ast.expr, subject: Subject) -> bool:
    return isinstance(node, ast.Name) and source.is_local(node.id, subject.function)


def refuse_call(subject: Subject, call: ast.Call) -> None:
    """Refuse a call that means something else in another thread.

    Raises:
        NotPossibleError: it does.
    """
    name = subject.source.resolved(call.func, subject.function) or ""
    builtin = call.func.id if isinstance(call.func, ast.Name) else ""
    if builtin in OF_FRAME:
        raise NotPossibleError(f"{builtin} looks at the function that calls it")
    if builtin == "next" and len(call.args) == 1:
        raise NotPossibleError("StopIteration, by which next tells the end, can't leave a thread")
    if name.startswith("asyncio."):
        raise NotPossibleError(f"{name} needs the event loop's thread")
    if name in MAIN_THREAD:
        raise NotPossibleError(f"{name} works in the main thread alone")
    if name in THREADS_OWN:
        raise NotPossibleError(f"{name} tells of the thread that calls it")
    if _binds_thread(subject, call):
        raise NotPossibleError("its connection would work in the thread alone that made it (check_same_thread)")


def sqlite_connection(subject: Subject, function: ast.expr) -> ast.Call | None:
    """The call of sqlite3.connect that made the object whose method is called; None: not known, or for any thread."""
    bindings = dict(_bindings(subject))
    root = function
    while True:
        if isinstance(root, ast.Call) and _binds_thread(subject, root):
            return root
        if isinstance(root, ast.Attribute | ast.Subscript):
            root = root.value
        elif isinstance(root, ast.Call):
            root = root.func
        elif isinstance(root, ast.Name) and root.id in bindings:
            root = bindings.pop(root.id)  # once: a name may be bound to what is made of itself
        else:
            return None


def _binds_thread(subject: Subject, call: ast.Call) -> bool:
    return subject.source.resolved(call.func, subject.function) == "sqlite3.connect" and not any(
        each.arg == "check_same_thread" and isinstance(each.value, ast.Constant) and each.value.value is False
        for each in call.keywords
    )


def _bindings(subject: Subject) -> Iterator[tuple[str, ast.expr]]:
    """Names that the module and then the function bind, with the values."""
    for node in (*subject.source.tree.body, *subject.source.own(subject.function)):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id, node.value
        elif isinstance(node, ast.With | ast.AsyncWith):
            for item in node.items:
                if isinstance(item.optional_vars, ast.Name):
                    yield item.optional_vars.id, item.context_expr


def refuse_in_lambda(node: ast.expr) -> None:
    """Refuse an expression that means something else inside of a lambda.

    Raises:
        NotPossibleError: it does.
    """
    for each in ast.walk(node):
        if isinstance(each, ast.Await) or (isinstance(each, ast.comprehension) and each.is_async):
            raise NotPossibleError("it awaits, which a thread can't")
        if isinstance(each, ast.Yield | ast.YieldFrom):
            raise NotPossibleError("it yields")
        if isinstance(each, ast.NamedExpr):
            raise NotPossibleError(f"{ast.unparse(each.target)} is assigned inside, and would be lost in a thread")
        if isinstance(each, ast.Call) and isinstance(each.func, ast.Name) and each.func.id in OF_FRAME:
            raise NotPossibleError(f"{each.func.id} looks at the function that calls it")


TO_THREAD = Candidate("to_thread", "a thread makes the call: await asyncio.to_thread(f, …)", "expression", to_thread)
