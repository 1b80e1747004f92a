"""A client or engine that each request makes is made once, by the module."""

import ast

from loopwise.blame.edits.candidate import Candidate, Subject
from loopwise.blame.edits.edit import REMOVED, Change, NotPossibleError, Rewrite
from loopwise.blame.edits.source import first_line

CLIENTS = frozenset(
    {
        *("httpx.Client", "httpx.AsyncClient", "requests.Session", "requests.session", "redis.Redis", "redis.from_url"),
        *("redis.asyncio.Redis", "redis.asyncio.from_url", "sqlalchemy.create_engine", "pymongo.MongoClient"),
        *("sqlalchemy.ext.asyncio.create_async_engine", "motor.motor_asyncio.AsyncIOMotorClient", "boto3.client"),
        *("boto3.resource", "openai.OpenAI", "openai.AsyncOpenAI", "elasticsearch.Elasticsearch"),
        *("elasticsearch.AsyncElasticsearch", "jinja2.Environment", "ssl.create_default_context"),
    }
)
"""Calls whose result is meant to be kept and shared."""
ENDS = frozenset({"close", "aclose", "dispose", "shutdown", "quit"})


def once(subject: Subject) -> Change | None:
    """Make it as the module is imported."""
    source, function = subject.source, subject.function
    found = [
        node
        for node in source.own(function)
        if isinstance(node, ast.Assign | ast.AnnAssign)
        and isinstance(node.value, ast.Call)
        and source.resolved(node.value.func, function) in CLIENTS
    ]
    if subject.call is not None:
        found = [node for node in found if node.value is subject.call]
    if not found:
        return None
    statement = found[0]
    assert isinstance(statement.value, ast.Call)
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    if len(targets) != 1 or not isinstance(targets[0], ast.Name):
        raise NotPossibleError("it is assigned to something else than one name")
    name = targets[0].id
    _refuse_own(subject, statement.value)
    _refuse_end(subject, name)
    if source.function_of(function) is not None:
        raise NotPossibleError(f"{function.name} is defined inside of another function or class")
    if name in source.imported or name in source.module_names:
        raise NotPossibleError(f"the module has a name {name} already")
    if source.parent(statement) is not function or len(function.body) == 1:
        raise NotPossibleError(f"{name} is made in a block of its own, not whenever {function.name} is called")
    text = source.segment(statement)
    words = " ".join(text.split())
    return Change(
        statement.lineno,
        f"{words}  # once, before {function.name}",
        (Rewrite(source.span(statement), lambda _: REMOVED, node="statement"),),
        statements=((text, first_line(function)),),
    )


def _refuse_own(subject: Subject, call: ast.Call) -> None:
    """Refuse a call that uses what only a request has.

    Raises:
        NotPossibleError: it does.
    """
    for node in ast.walk(call):
        if isinstance(node, ast.Name) and subject.source.is_local(node.id, subject.function):
            raise NotPossibleError(f"it is made of {node.id}, which each request has for itself")
        if isinstance(node, ast.Await | ast.NamedExpr):
            raise NotPossibleError("it is made by an await or an assignment inside, which a module can't have")


def _refuse_end(subject: Subject, name: str) -> None:
    """Refuse a name that the function ends, binds again or passes to a block.

    Raises:
        NotPossibleError: it does.
    """
    source = subject.source
    uses = [node for node in ast.walk(subject.function) if isinstance(node, ast.Name) and node.id == name]
    if sum(isinstance(node.ctx, ast.Store | ast.Del) for node in uses) > 1:
        raise NotPossibleError(f"{name} is assigned more than once")
    for node in uses:
        parent = source.parent(node)
        if isinstance(parent, ast.withitem) or (isinstance(parent, ast.Attribute) and parent.attr in ENDS):
            raise NotPossibleError(f"{name} is closed at line {node.lineno}, so it can't be kept")
        if isinstance(parent, ast.Attribute) and isinstance(parent.ctx, ast.Store):
            raise NotPossibleError(f"{name}.{parent.attr} is set for each request (line {node.lineno})")


ONCE = Candidate("once", "a client or engine is made once, as the module is imported", "function", once)
