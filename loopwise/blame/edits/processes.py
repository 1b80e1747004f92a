"""A call that computes into another process: a pool that the module makes once."""

import ast
import builtins
import importlib
import sys
from pathlib import Path
from types import BuiltinFunctionType, FunctionType
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
    new_name,
    over_lines,
    shown,
)
from loopwise.blame.edits.edit import Change, NotPossibleError, Rewrite
from loopwise.blame.edits.source import Source, parsed
from loopwise.blame.edits.threads import moved_arguments, refuse_await, refuse_call

WAITS = (
    *("time.", "requests.", "httpx.", "urllib.", "http.", "socket.", "subprocess.", "os.", "shutil.", "sqlite3."),
    *("asyncio.", "threading.", "pathlib.", "psycopg2.", "psycopg.", "pymysql.", "redis.", "boto3."),
)
"""Beginnings of calls that wait and don't compute: another process gains nothing over a thread."""
NO_PICKLE = frozenset(
    {
        *("re.match", "re.search", "re.fullmatch", "re.finditer", "csv.reader", "csv.writer", "gzip.open", "io.open"),
        *("builtins.open", "builtins.iter", "builtins.map", "builtins.filter", "builtins.zip", "builtins.print"),
        *("builtins.setattr", "builtins.delattr", "builtins.input", "builtins.next", "zlib.compressobj"),
    }
)
"""Functions whose result is tied to its process, or that act on it."""
OF_REQUEST = frozenset({"Request", "WebSocket", "UploadFile", "Response", "BackgroundTasks", "Session", "AsyncSession"})
"""Types of parameters that belong to this process."""


def process(subject: Subject) -> Change | None:
    """Let another process make the call."""
    source, call = subject.source, subject.call
    if call is None:
        return None
    name = _function_name(subject, call.func)
    if name is not None and name.startswith(WAITS):
        return None
    refuse_await(subject)
    _refuse_values(subject, call, name)
    refuse_call(subject, call)
    loop, first = name_of(source, subject.function, "asyncio", "get_running_loop")
    partial, second = name_of(source, subject.function, "functools", "partial") if call.keywords else ("", ())
    pool, third = _pool(source)
    variable = new_name(source, "_PROCESSES")
    in_parentheses = needs_parentheses(source, call)

    def build(node: Any) -> libcst.Await:
        if partial:
            inner = node.with_changes(func=expression(partial), args=moved_arguments(node), lpar=[], rpar=[])
            arguments = [libcst.Arg(expression(variable)), libcst.Arg(inner)]
            outer = libcst.Call(func=expression(f"{loop}().run_in_executor"), args=arguments)
        else:
            moved = node.with_changes(args=moved_arguments(node), func=expression(variable))
            outer = moved.with_changes(func=expression(f"{loop}().run_in_executor"), args=moved_arguments(moved))
        return awaited(outer, in_parentheses=in_parentheses, like=node)

    function = shown(source, call.func)
    run = f"await {loop}().run_in_executor"
    if partial:
        words = f"{run}({variable}, {call_words(source, call, partial, [function])})"
    else:
        words = call_words(source, call, run, [variable, function])
    return Change(
        call.lineno,
        f"{words}  # {variable} = ProcessPoolExecutor(…)",
        (Rewrite(source.span(call), build, holds_parts=True),),
        (*first, *second, *third),
        ((f"{variable} = {pool}", None),),
        awaits=source.span(subject.function),
    )


def _pool(source: Source) -> tuple[str, tuple[str, ...]]:
    """The call that makes a pool, and its imports.

    Its processes start with the first call, so a server may fork before. They are spawned, for a fork of a process
    with threads may hang, and Ctrl-C is left to the server.
    """
    pool, first = name_of(source, None, "concurrent.futures", "ProcessPoolExecutor")
    context, second = name_of(source, None, "multiprocessing", "get_context")
    handler, third = name_of(source, None, "signal", "signal")
    module = handler.rpartition(".")[0]
    if not module:
        handler, third, module = "_signal.signal", ("import signal as _signal",), "_signal"
    arguments = (
        f'mp_context={context}("spawn")',
        f"initializer={handler}",
        f"initargs=({module}.SIGINT, {module}.SIG_IGN)",
    )
    return over_lines(pool, arguments), (*first, *second, *third)


def _function_name(subject: Subject, function: ast.expr) -> str | None:
    """The name by which another process can import a function; None: there is none."""
    source = subject.source
    name = source.resolved(function, subject.function)
    if name is not None or not isinstance(function, ast.Name):
        return name
    if source.is_local(function.id, subject.function):
        return None
    if any(isinstance(each, ast.FunctionDef) and each.name == function.id for each in source.tree.body):
        return f".{function.id}"
    if function.id not in source.rebound and hasattr(builtins, function.id):
        return f"builtins.{function.id}"
    return None


def _refuse_values(subject: Subject, call: ast.Call, name: str | None) -> None:
    """Refuse a function, arguments or an answer that can't go from process to process.

    Raises:
        NotPossibleError: one of them can't.
    """
    words = shown(subject.source, call.func)
    if name is None or not _is_function(subject.source, name):
        raise NotPossibleError(f"{words} isn't known to be a function of a module, which another process could import")
    if name in NO_PICKLE:
        raise NotPossibleError(f"what {words} answers can't go to another process")
    arguments = subject.function.args
    kept = {
        each.arg
        for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
        if each.annotation is not None
        and any(
            part in OF_REQUEST
            for node in ast.walk(each.annotation)
            for part in (getattr(node, "id", None), getattr(node, "attr", None))
        )
    }
    for value in (*call.args, *(each.value for each in call.keywords)):
        if isinstance(value, ast.GeneratorExp | ast.Lambda):
            raise NotPossibleError(f"its argument {shown(subject.source, value)} can't go to another process")
        if isinstance(value, ast.Name) and value.id in kept | {"self", "app"}:
            raise NotPossibleError(f"its argument {value.id} belongs to this process")


def _is_function(source: Source, name: str) -> bool:
    """Whether a name is known to be that of a function that a module defines."""
    module, _, function = name.rpartition(".")
    if not module:
        return _defines(source.tree, function)
    root = module.partition(".")[0]
    if root == "builtins" or root in sys.stdlib_module_names:
        try:
            found = getattr(importlib.import_module(module), function, None)
        except ImportError:
            return False
        return isinstance(found, FunctionType | BuiltinFunctionType) and not isinstance(
            getattr(found, "__self__", None), type
        )
    base = source.app_dir.joinpath(*module.split("."))
    file = next((each for each in (base.with_suffix(".py"), base / "__init__.py") if each.is_file()), None)
    if file is not None:
        return _defines(_tree(file), function)
    is_installed = not (source.app_dir / root).exists()
    return is_installed and _is_imported(source, module) and not function[0].isupper()


def _tree(file: Path) -> ast.Module:
    try:
        return parsed(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return ast.Module(body=[], type_ignores=[])


def _defines(tree: ast.Module, function: str) -> bool:
    """Whether a module has a plain function of this name, which answers by a value and changes nothing global."""
    return any(
        isinstance(node, ast.FunctionDef)
        and node.name == function
        and not node.decorator_list
        and not any(isinstance(each, ast.Yield | ast.YieldFrom | ast.Global) for each in ast.walk(node))
        for node in tree.body
    )


def _is_imported(source: Source, module: str) -> bool:
    """Whether a statement imports this very module: what it holds is no object of a class then."""
    imports = [node for node in source.tree.body if isinstance(node, ast.Import)]
    return module in {each.name for node in imports for each in node.names}


PROCESS = Candidate("process", "another process makes the call, of a pool that is made once", "expression", process)
