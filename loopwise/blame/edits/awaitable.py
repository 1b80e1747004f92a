"""A call that waits becomes one that is awaited: asyncio.sleep, httpx, aiosqlite."""

import ast
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
from loopwise.blame.edits.edit import REMOVED, Change, NotPossibleError, Rewrite
from loopwise.blame.edits.threads import refuse_await

METHODS = frozenset({"get", "post", "put", "patch", "delete", "head", "options"})
SAME_ARGUMENTS = frozenset({"params", "headers", "json", "timeout", "data"})
"""Arguments that requests and httpx take alike."""
SAME_ATTRIBUTES = frozenset({"text", "json", "status_code", "content", "headers", "raise_for_status"})
"""Of an answer, alike in requests and httpx."""
CLIENT = ("cookies={jar}({policy}(allowed_domains=()))", "follow_redirects=True", "timeout=None")
"""Arguments of a client as requests.get is: it keeps no cookies, follows redirects and waits as long as it takes."""


def asyncio_sleep(subject: Subject) -> Change | None:
    """Await a pause instead of sleeping."""
    source, call = subject.source, subject.call
    if subject.callee != "time.sleep" or call is None or len(call.args) != 1 or call.keywords:
        return None
    refuse_await(subject)
    name, imports = name_of(source, subject.function, "asyncio", "sleep")

    def build(node: Any) -> libcst.Await:
        return awaited(node.with_changes(func=expression(name)), in_parentheses=False, like=node)

    rewrite = Rewrite(source.span(call), build, holds_parts=True)
    words = f"await {call_words(source, call, name)}"
    return Change(call.lineno, words, (rewrite,), imports, awaits=source.span(subject.function))


def httpx(subject: Subject) -> Change | None:
    """Send the request by a client of httpx that the module makes once."""
    source, call = subject.source, subject.call
    package, _, method = (subject.callee or "").partition(".")
    if package != "requests" or method not in METHODS or call is None:
        return None
    if "httpx" not in subject.installed:
        raise NotPossibleError("the app's environment has no httpx")
    refuse_await(subject)
    _refuse_arguments(call)
    _refuse_answer(subject, call)
    client, imports = _client(subject)
    name = new_name(source, "_HTTPX")
    in_parentheses = needs_parentheses(source, call)

    def build(node: Any) -> libcst.Await:
        changed = node.with_changes(func=expression(f"{name}.{method}"))
        return awaited(changed, in_parentheses=in_parentheses, like=node)

    rewrite = Rewrite(source.span(call), build, holds_parts=True)
    words = f"await {call_words(source, call, f'{name}.{method}')}  # {name} = httpx.AsyncClient(…)"
    statement = (f"{name} = {client}", None)
    return Change(call.lineno, words, (rewrite,), imports, (statement,), awaits=source.span(subject.function))


def _client(subject: Subject) -> tuple[str, tuple[str, ...]]:
    """The call that makes a client, and its imports."""
    names = [
        name_of(subject.source, None, module, attribute)
        for module, attribute in (
            ("httpx", "AsyncClient"),
            ("http.cookiejar", "CookieJar"),
            ("http.cookiejar", "DefaultCookiePolicy"),
        )
    ]
    (client, first), (jar, second), (policy, third) = names
    arguments = [each.format(jar=jar, policy=policy) for each in CLIENT]
    return over_lines(client, arguments), (*first, *second, *third)


def _refuse_arguments(call: ast.Call) -> None:
    if len(call.args) != 1 or isinstance(call.args[0], ast.Starred):
        raise NotPossibleError("requests and httpx take other arguments than the URL in different order")
    for keyword in call.keywords:
        if keyword.arg not in SAME_ARGUMENTS:
            raise NotPossibleError(f"requests and httpx differ in the argument {keyword.arg or '**'}")
        is_number = isinstance(keyword.value, ast.Constant) and isinstance(keyword.value.value, int | float | None)
        if keyword.arg == "timeout" and not is_number:
            raise NotPossibleError("requests and httpx differ in a timeout that is no number")
        if keyword.arg == "data" and not isinstance(keyword.value, ast.Dict):
            raise NotPossibleError("requests and httpx differ in data that is no dict")


def _refuse_answer(subject: Subject, call: ast.Call) -> None:
    """Refuse an answer of which more is used than what requests and httpx have alike.

    Raises:
        NotPossibleError: more is used, or may be.
    """
    source = subject.source
    for node in source.ancestors(call):
        if node is subject.function:
            break
        if isinstance(node, ast.Try) and any(
            each.type is not None and "requests" in ast.unparse(each.type) for each in node.handlers
        ):
            raise NotPossibleError("exceptions of requests are caught there, and httpx has its own")
    parent = source.parent(call)
    if isinstance(parent, ast.Expr):
        return
    if isinstance(parent, ast.Assign) and len(parent.targets) == 1 and isinstance(parent.targets[0], ast.Name):
        name = parent.targets[0].id
        used = [
            source.parent(node)
            for node in ast.walk(subject.function)
            if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load)
        ]
    else:
        used = [parent]
    for node in used:
        if not isinstance(node, ast.Attribute):
            raise NotPossibleError("the answer is passed on, and an answer of httpx is another type")
        if node.attr not in SAME_ATTRIBUTES:
            raise NotPossibleError(f"answers of requests and httpx differ in {node.attr}")


def aiosqlite(subject: Subject) -> Change | None:
    """Let aiosqlite read what one query answers."""
    source, function, target = subject.source, subject.function, subject.target
    block = next((each for each in source.ancestors(target) if isinstance(each, ast.With)), None) if target else None
    if block is None or len(block.items) != 1 or not isinstance(block.items[0].optional_vars, ast.Name):
        return None
    made, name = block.items[0].context_expr, block.items[0].optional_vars.id
    if not isinstance(made, ast.Call) or source.resolved(made.func, function) != "sqlite3.connect":
        return None
    if "aiosqlite" not in subject.installed:
        raise NotPossibleError("the app's environment has no aiosqlite")
    fetch, execute = _query(subject, block, name)
    closing = _closings(subject, name, used=execute)
    connect, imports = name_of(source, function, "aiosqlite", "connect")
    in_parentheses = needs_parentheses(source, fetch)

    def build(node: Any) -> libcst.Await:
        cursor = awaited(node.func.value, in_parentheses=True, like=node.func.value)
        fetched = node.with_changes(func=node.func.with_changes(value=cursor))
        return awaited(fetched, in_parentheses=in_parentheses, like=node)

    rewrites = (
        Rewrite(source.span(block), lambda node: node.with_changes(asynchronous=libcst.Asynchronous()), node="block"),
        Rewrite(source.span(made), lambda node: node.with_changes(func=expression(connect))),
        Rewrite(source.span(fetch), build),
        *(Rewrite(source.span(each), lambda _: REMOVED, node="statement") for each in closing),
    )
    words = f"async with {call_words(source, made, connect)} as {name}: await (await {shown(source, execute)})"
    assert isinstance(fetch.func, ast.Attribute)
    return Change(fetch.lineno, f"{words}.{fetch.func.attr}()", rewrites, imports, awaits=source.span(subject.function))


def _query(subject: Subject, block: ast.With, name: str) -> tuple[ast.Call, ast.Call]:
    """The calls of `fetchone` or `fetchall` and of `execute` that the block consists of."""
    source = subject.source
    uses = [
        node
        for node in ast.walk(ast.Module(body=block.body, type_ignores=[]))
        if isinstance(node, ast.Name) and node.id == name
    ]
    chain = list(source.ancestors(uses[0]))[:4] if len(uses) == 1 else []
    if (
        len(chain) == 4
        and isinstance(chain[0], ast.Attribute)
        and isinstance(chain[1], ast.Call)
        and isinstance(chain[2], ast.Attribute)
        and isinstance(chain[3], ast.Call)
        and chain[0].attr == "execute"
        and chain[2].attr in {"fetchone", "fetchall"}
        and not chain[3].args
    ):
        if not _reads(subject, chain[1]):
            raise NotPossibleError("the query isn't known to read only, and aiosqlite commits nothing by itself")
        return chain[3], chain[1]
    raise NotPossibleError(f"{name} does more than one execute(…).fetchone() or fetchall(), so it isn't one call")


def _reads(subject: Subject, execute: ast.Call) -> bool:
    query: ast.expr | None = execute.args[0] if execute.args else None
    if isinstance(query, ast.Name) and not subject.source.is_local(query.id, subject.function):
        query = subject.source.constants.get(query.id)
    words = query.value.split() if isinstance(query, ast.Constant) and isinstance(query.value, str) else [""]
    writes = {"INSERT", "UPDATE", "DELETE", "REPLACE"}
    return words[0].upper() in {"SELECT", "WITH"} and not writes & {word.upper() for word in words}


def _closings(subject: Subject, name: str, used: ast.Call) -> list[ast.Expr]:
    """Statements `name.close()`, which aiosqlite's block makes superfluous."""
    found = []
    for node in ast.walk(subject.function):
        if not isinstance(node, ast.Name) or node.id != name or isinstance(node.ctx, ast.Store):
            continue
        if node in set(ast.walk(used)):
            continue
        statement = subject.source.parent(subject.source.parent(subject.source.parent(node)))
        if not isinstance(statement, ast.Expr) or ast.unparse(statement) != f"{name}.close()":
            raise NotPossibleError(f"{name} is used after its block (line {node.lineno}), which closes it in aiosqlite")
        if len(getattr(subject.source.parent(statement), "body", [])) == 1:
            raise NotPossibleError(f"{name}.close() is all that line {node.lineno} is there for")
        found.append(statement)
    return found


ASYNCIO_SLEEP = Candidate("asyncio_sleep", "a pause is awaited: await asyncio.sleep(x)", "expression", asyncio_sleep)
HTTPX = Candidate("httpx", "httpx makes the request of requests, awaited", "expression", httpx, needs="httpx")
AIOSQLITE = Candidate("aiosqlite", "aiosqlite makes a query of sqlite3", "expression", aiosqlite, needs="aiosqlite")
