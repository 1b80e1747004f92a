"""StampedUser: a scripted Locust user with kernel stamps, used like FastHttpUser.

    from locust import task
    from loopwise.generator.stamped_user import StampedUser

    class Visitor(StampedUser):
        @task
        def look(self):
            self.client.get("/items/1")
            with self.client.post("/orders", json={"item": 1}, catch_response=True) as answer:
                if answer.json()["state"] != "new":
                    answer.failure("not new")

One greenlet a user; the reactor carries the requests, and the rows go to the run's samples. Redirects are reported
as they come and not followed.
"""

import json as jsonlib
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any, ClassVar
from urllib.parse import urlencode, urlsplit

from gevent.hub import Waiter
from locust import User
from locust.exception import CatchResponseError, LocustError

from loopwise.generator.connection import Address, Connection
from loopwise.generator.reactor import Reactor
from loopwise.generator.recorder import Row
from loopwise.generator.request import Request
from loopwise.generator.response import StampedResponse

Headers = Mapping[str, str]
REACTOR = "loopwise_reactor"
"""Attribute of Locust's environment that holds the run's reactor."""
OWN_LISTENERS = frozenset({"locust.runners", "loopwise.generator.locustfile"})


class Exchange:
    """One request and its answer, awaited by a greenlet: the owner of a connection for that time."""

    keeps_answers = True
    address: Address | None = None

    def __init__(self, reactor: Reactor) -> None:
        self.connection: Connection | None = None
        self.row: Row | None = None
        self._reactor = reactor
        self._waiter: Waiter[None] | None = Waiter()
        self.record: Callable[[Row], None] = self._keep

    def _keep(self, row: Row) -> None:
        self.row = row

    def wait(self) -> Row:
        """Let other greenlets run until the outcome is there; returns its row, not recorded yet."""
        assert self._waiter is not None
        try:
            self._waiter.get()
        except BaseException:
            # The user was stopped in the middle: what comes, or came by now, of the request is still a row.
            self.record = self._reactor.recorder.append
            if self.row is not None:
                self.record(self.row)
            raise
        finally:
            self._waiter = None
        assert self.row is not None
        return self.row

    def _wake(self, connection: Connection | None) -> None:
        self.connection = connection
        if self._waiter is not None:
            self._reactor.wake(self._waiter)

    def connected(self, connection: Connection) -> None:
        """Owner: never asked for, since each exchange opens its connection with a request."""

    def answered(self, connection: Connection) -> None:
        """Owner: the answer is whole."""
        self._wake(connection)

    def failed(self, connection: Connection, *, lost: bool) -> None:
        """Owner: the connection is gone."""
        del connection
        if lost:
            self._wake(None)


class StampedClient:
    """What a StampedUser sends requests with: `get`, `post`, … as in Locust's clients."""

    def __init__(self, user: "StampedUser", reactor: Reactor) -> None:
        self._user = user
        self._reactor = reactor
        self._idle: list[Connection] = []
        self._known_handlers = -1
        self._others: list[Callable[..., None]] = []
        self.cookies: dict[str, str] = {}
        """Kept from answers and sent with requests; by name alone, since a user talks to one host."""
        self._plain: dict[tuple[str, str, str | None], tuple[Request, str, str]] = {}
        """Requests without anything of their own, made once."""

    def request(
        self,
        method: str,
        path: str,
        *,
        name: str | None = None,
        params: Mapping[str, Any] | None = None,
        headers: Headers | None = None,
        json: Any = None,
        data: bytes | str | Mapping[str, Any] | None = None,
        auth: tuple[str, str] | None = None,
        catch_response: bool = False,
        context: Mapping[str, Any] | None = None,
    ) -> StampedResponse:
        """Send a request and wait for its answer.

        Args:
            method: GET, POST, …
            path: of the user's host; a URL must begin with it.
            name: groups requests in tables; default: the path.
            params: appended to the path as query.
            headers: besides `default_headers` of the user.
            json: body as JSON.
            data: body as it is, or a form.
            auth: user and password (Basic).
            catch_response: the answer is used in a `with` block that decides by `success()` and `failure()`.
            context: given to listeners of Locust's request event.

        Raises:
            LocustError: the URL leads to another host.
        """
        has_extras = params or headers or data is not None or json is not None or auth or self.cookies
        prepared = None if has_extras else self._plain.get((method, path, name))
        if prepared is None:
            relative = self._relative(path)
            if params:
                relative += ("&" if "?" in relative else "?") + urlencode(params, doseq=True)
            body, content_type = _body(json, data)
            lines = {**self._user.default_headers, **(headers or {})}
            if content_type:
                lines.setdefault("Content-Type", content_type)
            if auth is not None:
                lines["Authorization"] = "Basic " + b64encode(":".join(auth).encode()).decode()
            prepared = self._prepare(method, relative, name, lines, body)
            if not has_extras:
                self._plain[method, path, name] = prepared
        answer = self._send(*prepared)
        answer.prepare(self._finish, {**self._user.context(), **(context or {})})
        if not catch_response:
            answer.finish()
        return answer

    def _prepare(
        self, method: str, path: str, name: str | None, headers: Headers, body: bytes
    ) -> tuple[Request, str, str]:
        """The request as bytes, the name of its rows, and its path."""
        lines = {"Host": self._reactor.host_header, **headers}
        if body or method in {"POST", "PUT", "PATCH"}:
            lines["Content-Length"] = str(len(body))
        if self.cookies:
            lines["Cookie"] = "; ".join(f"{key}={value}" for key, value in self.cookies.items())
        head = [f"{method} {path} HTTP/1.1", *(f"{key}: {value}" for key, value in lines.items()), "", ""]
        label = f"{method} {name or path}"
        number = self._reactor.recorder.endpoints.number(label)
        data = "\r\n".join(head).encode("latin-1") + body
        return Request(data, number, method == "HEAD", None), label, path

    def _relative(self, path: str) -> str:
        if path.startswith("/"):
            return path
        url, host = urlsplit(path), urlsplit(self._user.host or "")
        if url.netloc and url.netloc != host.netloc:
            raise LocustError(f"{path}: a StampedUser sends to its host only, which is {self._user.host}")
        return "/" + path.partition("://")[2].partition("/")[2] if url.netloc else "/" + path

    def _send(self, request: Request, label: str, path: str) -> StampedResponse:
        exchange = Exchange(self._reactor)
        connection = self._idle_connection()
        if connection is None:
            self._reactor.open(exchange, request)
        else:
            connection.owner = exchange
            connection.send(request, None)
        row = exchange.wait()
        headers: list[tuple[bytes, bytes]] = []
        body = b""
        connection = exchange.connection
        if connection is not None and connection.answer is not None:
            headers, body = connection.answer.headers, b"".join(connection.answer.body)
            if self._user.new_connection_per_request:
                connection.close()
            elif connection.is_open:
                self._idle.append(connection)
        error = self._reactor.recorder.errors.texts[row[6]] if row[5] == 0 and row[6] is not None else ""
        answer = StampedResponse(label, path, row, headers=headers, body=body, error=error)
        for key, value in answer.set_cookies():
            if value is None:
                self.cookies.pop(key, None)
            else:
                self.cookies[key] = value
        return answer

    def _idle_connection(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                return connection
        return None

    def _finish(self, answer: StampedResponse, failure: str | None, context: Mapping[str, Any]) -> None:
        """Record the row with the script's own judgement; tell Locust's listeners, if there are any.

        Locust's own statistics are fed from the rows (livestats.py), so that a request costs no event for them.
        """
        recorder = self._reactor.recorder
        error = None if failure is None else recorder.errors.number(failure)
        row = answer.row
        recorder.append((*row[:6], error, *row[7:]))
        listeners = self._listeners()
        if not listeners:
            return
        method, _, name = answer.label.partition(" ")
        for listener in listeners:
            listener(
                request_type=method,
                name=name,
                start_time=row[1] / 1e9,
                response_time=(row[2] - row[1]) / 1e6,
                response_length=len(answer.content),
                response=answer,
                context=context,
                exception=None if failure is None else CatchResponseError(failure),
                url=answer.url,
            )

    def _listeners(self) -> list[Callable[..., None]]:
        """Who listens to Locust's request event besides Locust's runner and ourselves."""
        handlers = self._user.environment.events.request._handlers
        if len(handlers) != self._known_handlers:
            self._known_handlers = len(handlers)
            self._others = [handler for handler in handlers if handler.__module__ not in OWN_LISTENERS]
        return self._others

    def get(self, path: str, **options: Any) -> StampedResponse:
        """GET; options as in `request`."""
        return self.request("GET", path, **options)

    def head(self, path: str, **options: Any) -> StampedResponse:
        """HEAD; options as in `request`."""
        return self.request("HEAD", path, **options)

    def options(self, path: str, **options: Any) -> StampedResponse:
        """OPTIONS; options as in `request`."""
        return self.request("OPTIONS", path, **options)

    def post(self, path: str, data: Any = None, json: Any = None, **options: Any) -> StampedResponse:
        """POST; options as in `request`."""
        return self.request("POST", path, data=data, json=json, **options)

    def put(self, path: str, data: Any = None, **options: Any) -> StampedResponse:
        """PUT; options as in `request`."""
        return self.request("PUT", path, data=data, **options)

    def patch(self, path: str, data: Any = None, **options: Any) -> StampedResponse:
        """PATCH; options as in `request`."""
        return self.request("PATCH", path, data=data, **options)

    def delete(self, path: str, **options: Any) -> StampedResponse:
        """DELETE; options as in `request`."""
        return self.request("DELETE", path, **options)


def _body(json: Any, data: bytes | str | Mapping[str, Any] | None) -> tuple[bytes, str]:
    if json is not None:
        return jsonlib.dumps(json, separators=(",", ":")).encode(), "application/json"
    if isinstance(data, Mapping):
        return urlencode(data, doseq=True).encode(), "application/x-www-form-urlencoded"
    return (data.encode() if isinstance(data, str) else data or b""), ""


class StampedUser(User):
    """A Locust user whose `client` stamps by the kernel; subclass it and write tasks."""

    abstract = True
    default_headers: ClassVar[Headers] = {"User-Agent": "loopwise", "Accept": "*/*"}
    new_connection_per_request = False

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        reactor = getattr(environment, REACTOR, None)
        if reactor is None:
            raise LocustError("StampedUser runs under Loopwise: name this file as `scenario` of a suite")
        self.client = StampedClient(self, reactor)
