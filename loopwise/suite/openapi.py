"""Operations of an OpenAPI document (version 2 or 3), each with a request filled in from it.

Nothing may harm an app that is measured, so commands that choose by themselves what to ask (`init`, `blame APP`) take
only operations without a reason against it (`Operation.inactive`): GET and HEAD that need nothing and whose names
promise no change.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from loopwise.suite.schema import METHODS
from loopwise.suite.schema_values import Values, list_of, table_of

SAFE_METHODS = ("GET", "HEAD")
CHANGING_METHODS = ("POST", "PUT", "PATCH", "DELETE")
DANGER = re.compile(
    r"abort|cancel|cleanup|clear|deactivate|delete|destroy|disable|drop|erase|evict|flush(all|db)?|kill|log(off|out)|prune"
    r"|purge|reboot|remove|reset|restart|restore|revoke|rollback|shutdown|sign(off|out)|stop|terminate|truncate|uninstall"
    r"|unregister|unsubscribe|vacuum|wipe"
)
"""Words of a path or an operation's id after which a GET is not trusted to change nothing."""
DANGER_FIRST = re.compile(
    r"create|deploy|execute|exit|import|insert|install|migrate|publish|quit|reindex|reload|run|save|send|set|start|trigger"
    r"|update|upgrade|write"
)
"""The same where they are the first word of a path's segment or of an id, hence a verb: not /long-run, but /run."""
PATH_CHARACTERS = "/%?&=:@!$'()*+,;~[]"
"""Characters of a path, its query and what is quoted already."""
JSON_MEDIA = re.compile(r"application/(?:[\w.+-]+\+)?json\b")
FORM_MEDIA, MULTIPART_MEDIA = "application/x-www-form-urlencoded", "multipart/form-data"
STREAM_MEDIA = frozenset({"text/event-stream", "application/x-ndjson", "application/jsonl"})
LOGINS = {
    "bearer": "Bearer TOKEN",
    "basic": "Basic CREDENTIALS",
    "oauth2": "Bearer TOKEN",
    "openIdConnect": "Bearer TOKEN",
}
"""Type or scheme of a login -> header Authorization, to be filled in by a person."""


class Reason(NamedTuple):
    """Reason why an operation is asked only when somebody names it."""

    sentence: str
    """Its predicate: `changes data`, `needs a login (bearer)`."""
    is_liftable: bool = False
    """Whether --include-unsafe overrules it: the request is complete, but may harm."""
    is_login: bool = False
    """Whether it is no reason any more where somebody gives the header of a login."""


@dataclass(frozen=True)
class Operation:
    """One method of one path."""

    method: str
    path: str
    """As the document writes it: `/items/{number}`."""
    request: Mapping[str, Any]
    """The request as `endpoint` of a suite: method, path with values in it, headers, and json, form, files or body."""
    reasons: tuple[Reason, ...] = ()

    @property
    def name(self) -> str:
        """`GET /items/{number}`."""
        return f"{self.method} {self.path}"

    def inactive(self, *, include_unsafe: bool = False, logs_in: bool = False) -> str:
        """Why it must not be asked unless somebody names it: `changes data; needs a login`; empty: it may be."""
        return "; ".join(
            each.sentence
            for each in self.reasons
            if not (include_unsafe and each.is_liftable) and not (logs_in and each.is_login)
        )

    @property
    def endpoint(self) -> str | dict[str, Any]:
        """The request as a suite writes it: a string where method and path say it all."""
        if set(self.request) == {"method", "path"}:
            return f"{self.method} {self.request['path']}"
        return dict(self.request)


class Listing(NamedTuple):
    """Operations of an app."""

    operations: list[Operation]
    left_out: list[str]
    """Routes that can't be asked or aren't known: `/ws (WebSocket)`, `/static (mounted StaticFiles)`."""
    interface: str = "asgi"
    """Of the app: `asgi` or `wsgi`."""
    distributions: frozenset[str] = frozenset()
    """All that are installed in its interpreter, by normalized name."""

    def active(self, *, include_unsafe: bool = False, logs_in: bool = False) -> list[Operation]:
        """Operations that may be asked although nobody named them."""
        return [each for each in self.operations if not each.inactive(include_unsafe=include_unsafe, logs_in=logs_in)]


@dataclass
class _Request:
    """A request in the making, and what it needs."""

    path: str
    query: list[tuple[str, Any]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    content: dict[str, Any] = field(default_factory=dict)
    """`json`, `form`, `files` or `body`."""
    parameters: list[str] = field(default_factory=list)
    """Required ones: `query q`."""
    are_given: bool = True
    """Whether the document has values for all of them."""
    reasons: list[Reason] = field(default_factory=list)


def operations(document: Mapping[str, Any], prefix: str = "") -> list[Operation]:
    """List the operations of a document, in its order.

    Args:
        document: OpenAPI 2 or 3, as JSON has it. What is damaged in it is passed over.
        prefix: path that its paths are below: of a mounted app, or of a gateway.
    """
    return list(_Reader(document).operations(prefix))


def hidden(method: str, path: str) -> Operation:
    """An operation of a route that no document describes."""
    reasons = [*_danger(method, path, {}), Reason("is in no OpenAPI document, which would say what it needs", True)]
    if "{" in path:
        reasons.append(Reason(f"has required parameters: {', '.join(re.findall(r'{([^}]*)}', path))}"))
    filled = re.sub(r"{[^}]*}", "1", path)
    return Operation(method, path, {"method": method, "path": filled}, tuple(reasons))


def base_path(document: Mapping[str, Any]) -> str:
    """The path below which a served document says its operations are; empty for none."""
    servers = document.get("servers")
    first = servers[0] if isinstance(servers, list) and servers and isinstance(servers[0], dict) else {}
    url = str(document.get("basePath") or first.get("url") or "")
    return url.rstrip("/") if url.startswith("/") and "{" not in url else ""


class _Reader:
    """Reads one document."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        self.values = Values(document)

    def operations(self, prefix: str) -> Iterator[Operation]:
        for path, written in table_of(self.document.get("paths")).items():
            item = self.values.resolved(written)
            for method, operation in item.items():
                if method.upper() in METHODS and isinstance(operation, dict):
                    parameters = self._parameters(item, operation)
                    yield self._operation(method.upper(), prefix + path, operation, parameters)

    def _parameters(self, item: Mapping[str, Any], operation: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """Parameters of the operation, which replace those of its path with the same name and place."""
        both = [*list_of(item.get("parameters")), *list_of(operation.get("parameters"))]
        resolved = [self.values.resolved(each) for each in both]
        named = (each for each in resolved if isinstance(each.get("name"), str) and isinstance(each.get("in"), str))
        return list({(each["in"], each["name"]): each for each in named}.values())

    def _operation(
        self, method: str, path: str, operation: Mapping[str, Any], parameters: Sequence[Mapping[str, Any]]
    ) -> Operation:
        request = _Request(path, reasons=_danger(method, path, operation))
        self._add_login(request, operation)
        self._add_parameters(request, parameters)
        self._add_body(request, operation, parameters)
        if self._answer_media(operation) & STREAM_MEDIA:
            request.reasons.append(Reason("streams its answer, perhaps without end"))
        unfilled = re.findall(r"{([^}]*)}", request.path)  # a parameter that the document forgot to describe
        if unfilled:
            request.parameters += [f"path {name}" for name in unfilled]
            request.are_given = False
            request.path = re.sub(r"{[^}]*}", "1", request.path)
        if request.parameters:
            sentence = f"has required parameters: {', '.join(request.parameters)}"
            request.reasons.append(Reason(sentence, request.are_given))
        if not re.match("/(?!/)", path):
            request.reasons.append(Reason("has a path that leaves the server"))
        return Operation(method, path, _endpoint(method, request), tuple(request.reasons))

    def _answer_media(self, operation: Mapping[str, Any]) -> set[str]:
        answers = map(self.values.resolved, table_of(operation.get("responses")).values())
        return {
            *map(str, list_of(operation.get("produces"))),
            *(m for each in answers for m in table_of(each.get("content"))),
        }

    def _add_login(self, request: _Request, operation: Mapping[str, Any]) -> None:
        """An empty alternative in `security` makes the login optional."""
        wanted = operation.get("security", self.document.get("security"))
        if not isinstance(wanted, list) or not wanted or not all(wanted):
            return
        schemes = table_of(table_of(self.document.get("components")).get("securitySchemes"))
        schemes = schemes or table_of(self.document.get("securityDefinitions"))
        names = list(table_of(wanted[0]))
        for name in names:
            scheme = self.values.resolved(schemes.get(name))
            kind = str(scheme.get("type"))
            if kind == "apiKey" and scheme.get("in") == "query":
                request.query.append((str(scheme.get("name")), "KEY"))
            elif kind == "apiKey" and scheme.get("in") == "cookie":
                request.headers["Cookie"] = f"{scheme.get('name')}=KEY"
            elif kind == "apiKey":
                request.headers[str(scheme.get("name"))] = "KEY"
            else:
                kind = str(scheme.get("scheme", kind))
                request.headers["Authorization"] = LOGINS.get(kind, LOGINS.get(kind.lower(), "Bearer TOKEN"))
        request.reasons.append(Reason(f"needs a login ({', '.join(names)})", is_login=True))

    def _add_parameters(self, request: _Request, parameters: Sequence[Mapping[str, Any]]) -> None:
        for parameter in parameters:
            name, place = str(parameter["name"]), parameter.get("in")
            if place not in {"path", "query", "header", "cookie"} or not (parameter.get("required") or place == "path"):
                continue
            value, is_given = self.values.of_parameter(parameter)
            request.parameters.append(f"{place} {name}")
            request.are_given = request.are_given and is_given
            if place == "path":
                request.path = request.path.replace(f"{{{name}}}", quote(_text(value), safe="") or "1")
            elif place == "query":
                request.query += _pairs(parameter, name, value)
            elif place == "header":
                request.headers[name] = _text(value)
            else:
                cookies = [request.headers["Cookie"]] if "Cookie" in request.headers else []
                request.headers["Cookie"] = "; ".join([*cookies, f"{name}={quote(_text(value))}"])

    def _add_body(
        self, request: _Request, operation: Mapping[str, Any], parameters: Sequence[Mapping[str, Any]]
    ) -> None:
        body = self.values.resolved(operation.get("requestBody"))
        is_needed = bool(body.get("required", False))
        content = table_of(body.get("content")) or self._old_body(operation, parameters)
        if not body and content:
            is_needed = any(each.get("required") for each in parameters if each.get("in") in {"body", "formData"})
        media = min(content, key=_preference, default=None)
        if media is None:
            return
        described = table_of(content[media])
        value, is_given = self.values.of_media(described)
        if JSON_MEDIA.match(media):
            request.content = {"json": value}
            reason = Reason("needs a JSON body", is_liftable=True)
        elif media in {FORM_MEDIA, MULTIPART_MEDIA}:
            request.content, reason = self._form(media, self.values.resolved(described.get("schema")), value)
        else:
            text = value if isinstance(value, str) else ""
            request.content, reason = {"body": text}, Reason(f"needs a body ({media})", is_liftable=is_given)
            request.headers.setdefault("Content-Type", media)
        if is_needed:
            request.reasons.append(reason)
        elif not is_given:
            request.content = {}

    def _form(self, media: str, schema: Mapping[str, Any], value: Any) -> tuple[dict[str, Any], Reason]:
        fields = {name: _text(each) for name, each in table_of(value).items()}
        files = [name for name, each in self.values.properties(schema).items() if self.values.is_file(each)]
        wanted = [name for name in files if name in fields] or (files if not fields else [])
        content: dict[str, Any] = {}
        if plain := {name: each for name, each in fields.items() if name not in wanted}:
            content["form"] = plain
        if wanted:
            content["files"] = dict.fromkeys(wanted, "FILE")
            return content, Reason(f"needs a file ({', '.join(wanted)})")
        names = ", ".join(plain) or media
        return content, Reason(f"needs a form ({names})", is_liftable=True)

    def _old_body(
        self, operation: Mapping[str, Any], parameters: Sequence[Mapping[str, Any]]
    ) -> dict[str, Mapping[str, Any]]:
        """The body of an OpenAPI 2 operation in version 3's words."""
        body = next((each for each in parameters if each.get("in") == "body"), None)
        consumed = list_of(operation.get("consumes", self.document.get("consumes")))
        if body is not None:
            return {str(media): body for media in consumed or ["application/json"]}
        fields = {str(each["name"]): each for each in parameters if each.get("in") == "formData"}
        if not fields:
            return {}
        has_file = any(each.get("type") == "file" for each in fields.values())
        media = MULTIPART_MEDIA if has_file or consumed == [MULTIPART_MEDIA] else FORM_MEDIA
        required = [name for name, each in fields.items() if each.get("required")]
        return {media: {"schema": {"type": "object", "properties": fields, "required": required}}}


def _danger(method: str, path: str, operation: Mapping[str, Any]) -> list[Reason]:
    """Reasons not to ask an operation even where its request is complete."""
    if method in CHANGING_METHODS:
        return [Reason("changes data", True)]
    if method not in SAFE_METHODS:
        return [Reason("is neither GET nor HEAD", True)]
    summary = _words(str(operation.get("summary") or ""))[:1]
    for words in [*map(_words, [*path.split("/"), str(operation.get("operationId") or "")]), summary]:
        word = next((each for each in words if DANGER.fullmatch(each)), None)
        word = word or next((each for each in words[:1] if DANGER_FIRST.fullmatch(each)), None)
        if word is not None:
            return [Reason(f'may change something ("{word}")', True)]
    return []


def _words(text: str) -> list[str]:
    """`/deleteAll-items` -> delete, all, items; parameters of a path are no words of it."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", re.sub(r"{[^}]*}", " ", text))
    return re.findall(r"[a-z]+", apart.lower())


def _endpoint(method: str, request: _Request) -> dict[str, Any]:
    query = urlencode(request.query)
    path = quote(request.path, safe=PATH_CHARACTERS)
    path += f"{'&' if '?' in path else '?'}{query}" if query else ""
    headers = {"headers": request.headers} if request.headers else {}
    return {"method": method, "path": path, **headers, **request.content}


def _preference(media: str) -> int:
    """JSON before forms before anything else."""
    if JSON_MEDIA.match(media):
        return 0
    return {FORM_MEDIA: 1, MULTIPART_MEDIA: 2}.get(media, 3)


def _pairs(parameter: Mapping[str, Any], name: str, value: Any) -> list[tuple[str, Any]]:
    """A query parameter as pairs: lists repeat it, but where the document joins them by commas."""
    if isinstance(value, dict) and parameter.get("style") == "deepObject":
        return [(f"{name}[{key}]", _text(each)) for key, each in value.items()]
    is_joined = parameter.get("explode") is False or (
        "type" in parameter and parameter.get("collectionFormat") != "multi"
    )
    if isinstance(value, list) and not is_joined:
        return [(name, _text(each)) for each in value]
    return [(name, _text(value))]


def _text(value: Any) -> str:
    """A value in a path, query, header or form."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ",".join(map(_text, value))
    return str(value)
