"""`async def` becomes `def`, and `def` becomes `async def`."""

import ast
from typing import Any

import libcst

from loopwise.blame.edits.candidate import Candidate, Subject
from loopwise.blame.edits.edit import Change, NotPossibleError, Rewrite
from loopwise.blame.edits.source import Function, dotted

ROUTE_DECORATORS = frozenset(
    {"get", "post", "put", "patch", "delete", "head", "options", "trace", "api_route", "route"}
)
"""Methods of FastAPI's apps and routers that take a function, `def` or `async def`, as it is."""
NEEDS_LOOP = frozenset({
    *("asyncio.get_running_loop", "asyncio.create_task", "asyncio.ensure_future", "asyncio.current_task"),
    *("asyncio.get_event_loop", "asyncio.all_tasks", "asyncio.timeout", "asyncio.Task", "asyncio.TaskGroup"),
})  # fmt: skip
FORBIDS_LOOP = frozenset({"asyncio.run", "anyio.run", "anyio.from_thread.run", "asgiref.sync.async_to_sync"})
"""Calls that raise where an event loop runs."""
BLOCKS = (
    *("time.sleep", "requests.", "urllib.", "subprocess.", "sqlite3.", "socket.", "psycopg2.", "pymysql.", "shutil."),
    *("httpx.get", "httpx.post", "httpx.Client", "os.system", "boto3.", "ftplib.", "smtplib.", "open"),
)
"""Beginnings of calls that wait in the thread that makes them."""


def plain(subject: Subject) -> Change:
    """Let FastAPI run the endpoint in its threads: `def`."""
    function = subject.function
    if not isinstance(function, ast.AsyncFunctionDef):
        raise NotPossibleError(f"{function.name} is no `async def`")
    _refuse_other_callers(subject)
    for node in subject.source.own(function):
        _refuse_asynchronous(subject, node)
    return _change(subject, to_async=False)


def asynchronous(subject: Subject) -> Change | None:
    """Let the endpoint run on the loop, without the way into a thread and back: `async def`."""
    function = subject.function
    if not isinstance(function, ast.FunctionDef):
        return None
    _refuse_other_callers(subject)
    for node in subject.source.own(function):
        if isinstance(node, ast.Yield | ast.YieldFrom):
            raise NotPossibleError("it is a generator")
        if isinstance(node, ast.Call):
            name = subject.source.resolved(node.func, function) or dotted(node.func)
            if name in FORBIDS_LOOP or name.endswith(".run_until_complete"):
                raise NotPossibleError(f"{name} (line {node.lineno}) raises where an event loop runs")
            if name.startswith(BLOCKS):
                raise NotPossibleError(f"{name} (line {node.lineno}) would hold the event loop")
    return _change(subject, to_async=True)


def _refuse_asynchronous(subject: Subject, node: ast.AST) -> None:
    """Refuse what works in an `async def` alone.

    Raises:
        NotPossibleError: the node does.
    """
    if isinstance(node, ast.Await | ast.AsyncFor | ast.AsyncWith):
        raise NotPossibleError(f"{subject.function.name} awaits (line {node.lineno})")
    if isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) and any(
        each.is_async for each in node.generators
    ):
        raise NotPossibleError(f"{subject.function.name} awaits (line {node.lineno})")
    if isinstance(node, ast.Yield | ast.YieldFrom):
        raise NotPossibleError(f"{subject.function.name} is a generator")
    if isinstance(node, ast.Call):
        name = subject.source.resolved(node.func, subject.function) or ""
        if name in NEEDS_LOOP:
            raise NotPossibleError(f"{name} (line {node.lineno}) needs the event loop's thread")


def _refuse_other_callers(subject: Subject) -> None:
    """Refuse a function that others than the framework call, or may call.

    Raises:
        NotPossibleError: it is one.
    """
    function, source = subject.function, subject.source
    decorators = [_is_route(each) for each in function.decorator_list]
    if not subject.is_endpoint and not any(decorators):
        raise NotPossibleError(f"{function.name} is no endpoint as far as its decorators tell, so others may await it")
    for decorator, is_route in zip(function.decorator_list, decorators, strict=True):
        if not is_route:
            raise NotPossibleError(
                f"its decorator {ast.unparse(decorator)} (line {decorator.lineno}) may need it as it is"
            )
    uses = [place for place in source.uses(function) if not _is_registration(subject, place)]
    if uses:
        raise NotPossibleError(f"{function.name} is used at {uses[0]}, where it is needed as it is")


def _is_route(node: ast.expr) -> bool:
    """Whether a decorator registers the function under a path: `@router.get("/x")`."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ROUTE_DECORATORS):
        return False
    paths = [*node.args[:1], *(each.value for each in node.keywords if each.arg == "path")]
    return any(
        not isinstance(each, ast.Constant) or str(each.value).startswith("/") or not each.value for each in paths
    )


def _is_registration(subject: Subject, place: str) -> bool:
    """Whether a use only hands the function to the framework: `app.add_api_route("/x", f)`, `Route("/x", f)`."""
    path, _, line = place.rpartition(":")
    if path != subject.source.name:
        return False
    for node in ast.walk(subject.source.tree):
        if isinstance(node, ast.Call) and any(
            isinstance(each, ast.Name) and each.id == subject.function.name and each.lineno == int(line)
            for each in (*node.args, *(keyword.value for keyword in node.keywords))
        ):
            return dotted(node.func).rpartition(".")[2] in {"add_api_route", "add_route", "Route", "APIRoute"}
    return False


def _change(subject: Subject, *, to_async: bool) -> Change:
    function, source = subject.function, subject.source

    def build(node: libcst.FunctionDef) -> Any:
        return node.with_changes(asynchronous=libcst.Asynchronous() if to_async else None)

    span = source.span(function)
    words = f"{'async def' if to_async else 'def'} {function.name}{_signature(function)}"
    return Change(function.lineno, words, (Rewrite(span, build, node="block"),), flips=span)


def _signature(function: Function) -> str:
    text = f"({ast.unparse(function.args)})"
    return text if len(text) <= 60 else "(…)"


DEF = Candidate("def", "the framework runs the endpoint in its threads: def", "function", plain)
ASYNC_DEF = Candidate("async_def", "a short endpoint runs on the loop: async def", "function", asynchronous)
