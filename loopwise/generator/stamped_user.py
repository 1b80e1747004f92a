"""StampedUser: a scripted Locust user with kernel stamps, used like FastHttpUser.

    from locust import task
    from loopwise import StampedUser

    class Visitor(StampedUser):
        @task
        def look(self):
            self.client.get("/items/1")
            with self.client.post("/orders", json={"item": 1}, catch_response=True) as answer:
                if answer.json()["state"] != "new":
                    answer.failure("not new")

One greenlet a user; the reactor carries the requests, and the rows go to the run's samples. Redirects are reported
and not followed.
"""

from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple, TypedDict, Unpack
from urllib.parse import urlencode, urlsplit

from gevent.hub import Waiter
from locust import User
from locust.exception import CatchResponseError, LocustError

from loopwise.generator.connection import Connection
from loopwise.generator.reactor import Reactor
from loopwise.generator.recorder import Row
from loopwise.generator.request import Request
from loopwise.generator.response import StampedResponse
from loopwise.servers.origin import Origin
from loopwise.servers.wire import DEFAULT_HEADERS, encode, form_body, json_body

CARRIER = "loopwise_carrier"
"""Attribute of Locust's environment that holds the run's Carrier."""
OWN_LISTENERS = frozenset({"locust.runners", "loopwise.generator.request_events"})
"""Modules whose listeners need no event for a request of a StampedUser: it is recorded and counted without."""


class Carrier(NamedTuple):
    """What a run gives its StampedUsers to send requests with."""

    reactor: Reactor
    origin: Origin


class Exchange:
    """One request and its answer, awaited by a greenlet: the owner of a connection for that time."""

    keeps_answers = True

    def __init__(self, carrier: Carrier) -> None:
        self.origin = carrier.origin
        self.connection: Connection | None = None
        self.row: Row | None = None
        self._reactor = carrier.reactor
        self._waiter: Waiter[None] | None = Waiter()
        self.record: Callable[[Row], None] = self._keep

    def _keep(self, row: Row) -> None:
        self.row = row

    def wait(self) -> Row:
        """Let other greenlets run until the outcome is known; returns its row, not recorded yet."""
        assert self._waiter is not None
        try:
            self._waiter.get()
        except BaseException:
            # The user was stopped while it waited: the request's row is recorded all the same, now or when it comes.
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
        """Owner: not called, since each exchange opens its connection with a request."""

    def answered(self, connection: Connection) -> None:
        """Owner: the answer is complete."""
        self._wake(connection)

    def failed(self, connection: Connection, *, lost: bool) -> None:
        """Owner: the connection is gone."""
        del connection
        if lost:
            self._wake(None)


class Content(TypedDict, total=False):
    """Content of a request besides its path."""

    params: Mapping[str, Any] | None
    """Appended to the path as query."""
    headers: Mapping[str, str] | None
    """Besides `default_headers` of the user."""
    json: Any
    data: bytes | str | Mapping[str, Any] | None
    """Body as it is, or a form."""
    auth: tuple[str, str] | None
    """User and password (Basic)."""


class Prepared(NamedTuple):
    """A request as bytes, the name of its rows, and its path."""

    request: Request
    label: str
    path: str


def _without_body(method: str) -> Callable[..., StampedResponse]:
    """A method of StampedClient that sends requests with this HTTP method."""

    def send(self: "StampedClient", path: str, **options: Any) -> StampedResponse:
        return self.request(method, path, **options)

    return send


class StampedClient:
    """The client of a StampedUser: `get`, `post`, … as in Locust's clients."""

    def __init__(self, user: "StampedUser", carrier: Carrier) -> None:
        self._user = user
        self._carrier = carrier
        self._recorder = carrier.reactor.recorder
        self._idle: list[Connection] = []
        self._known_handlers = -1
        self._listeners: list[Callable[..., None]] = []
        self.cookies: dict[str, str] = {}
        """Kept from answers and sent with requests; by name alone, since a user talks to one host."""
        self._plain: dict[tuple[str, str, str | None], Prepared] = {}
        """Requests that have nothing but a path, prepared once."""

    def request(
        self,
        method: str,
        path: str,
        *,
        name: str | None = None,
        catch_response: bool = False,
        context: Mapping[str, Any] | None = None,
        **content: Unpack[Content],
    ) -> StampedResponse:
        """Send a request and wait for its answer.

        Args:
            method: GET, POST, …
            path: of the user's host; a URL must begin with it.
            name: groups requests in tables; default: the path.
            catch_response: the answer is used in a `with` block that decides by `success()` and `failure()`.
            context: passed to listeners of Locust's request event.
            content: params, headers, json, data, auth; see Content.

        Raises:
            LocustError: the URL leads to another host.
        """
        is_plain = not content and not self.cookies
        prepared = self._plain.get((method, path, name)) if is_plain else None
        if prepared is None:
            prepared = self._prepare(method, path, name, **content)
            if is_plain:
                self._plain[method, path, name] = prepared
        answer = self._send(prepared, {**self._user.context(), **(context or {})})
        if not catch_response:
            answer.finish()
        return answer

    get, head, options, delete = map(_without_body, ("GET", "HEAD", "OPTIONS", "DELETE"))

    def post(self, path: str, data: Any = None, json: Any = None, **options: Any) -> StampedResponse:
        """POST; options as in `request`."""
        return self.request("POST", path, data=data, json=json, **options)

    def put(self, path: str, data: Any = None, **options: Any) -> StampedResponse:
        """PUT; options as in `request`."""
        return self.request("PUT", path, data=data, **options)

    def patch(self, path: str, data: Any = None, **options: Any) -> StampedResponse:
        """PATCH; options as in `request`."""
        return self.request("PATCH", path, data=data, **options)

    def _prepare(
        self,
        method: str,
        path: str,
        name: str | None,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        data: bytes | str | Mapping[str, Any] | None = None,
        auth: tuple[str, str] | None = None,
    ) -> Prepared:
        relative = self._relative(path)
        if params:
            relative += ("&" if "?" in relative else "?") + urlencode(params, doseq=True)
        body, described = json_body(json) if json is not None else form_body(data)
        own: dict[str, str] = {}
        if auth is not None:
            own["Authorization"] = "Basic " + b64encode(":".join(auth).encode()).decode()
        if self.cookies:
            own["Cookie"] = "; ".join(f"{key}={value}" for key, value in self.cookies.items())
        layers = (
            {"Host": self._carrier.origin.host_header},
            described,
            self._user.default_headers,
            headers or {},
            own,
        )
        label = f"{method} {name or relative}"
        encoded = encode(method, relative, *layers, body=body)
        number = self._recorder.endpoints.number(label)
        return Prepared(Request(encoded, number, method == "HEAD", None), label, relative)

    def _relative(self, path: str) -> str:
        if path.startswith("/"):
            return path
        url, host = urlsplit(path), urlsplit(self._user.host or "")
        if url.netloc and url.netloc != host.netloc:
            raise LocustError(f"{path}: a StampedUser sends to its host only, which is {self._user.host}")
        return "/" + path.partition("://")[2].partition("/")[2] if url.netloc else "/" + path

    def _send(self, prepared: Prepared, context: Mapping[str, Any]) -> StampedResponse:
        """One exchange over an idle connection or a new one; the answer is not recorded yet."""
        exchange = Exchange(self._carrier)
        connection = self._idle_connection()
        if connection is None:
            self._carrier.reactor.open(exchange, prepared.request)
        else:
            connection.owner = exchange
            connection.send(prepared.request, None)
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
        answer = StampedResponse(
            prepared.label,
            prepared.path,
            row,
            headers=headers,
            body=body,
            error=self._recorder.errors.texts[row[6]] if row[5] == 0 and row[6] is not None else "",
            context=context,
            on_finish=self._finish,
        )
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

    def _finish(self, answer: StampedResponse, failure: str | None) -> None:
        """Record the row with the script's own judgement, and call Locust's listeners if there are any.

        Locust's own statistics are fed from the rows (livestats.py), so that a request costs no event for them.
        """
        error = None if failure is None else self._recorder.errors.number(failure)
        row = answer.row
        self._recorder.append((*row[:6], error, *row[7:]))
        for listener in self._other_listeners():
            method, _, name = answer.label.partition(" ")
            listener(
                request_type=method,
                name=name,
                start_time=row[1] / 1e9,
                response_time=(row[2] - row[1]) / 1e6,
                response_length=len(answer.content),
                response=answer,
                context=answer.context,
                exception=None if failure is None else CatchResponseError(failure),
                url=answer.url,
            )

    def _other_listeners(self) -> list[Callable[..., None]]:
        """Listeners of Locust's request event, without those of Locust's runner and our own."""
        handlers = self._user.environment.events.request._handlers
        if len(handlers) != self._known_handlers:
            self._known_handlers = len(handlers)
            self._listeners = [handler for handler in handlers if handler.__module__ not in OWN_LISTENERS]
        return self._listeners


class StampedUser(User):
    """A Locust user with a `client` whose answers are stamped by the kernel; subclass it and write tasks."""

    abstract = True
    default_headers: ClassVar[Mapping[str, str]] = DEFAULT_HEADERS
    new_connection_per_request = False

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        carrier = getattr(environment, CARRIER, None)
        if carrier is None:
            raise LocustError("StampedUser runs under Loopwise only: set `scenario` of a suite to this file")
        self.client = StampedClient(self, carrier)
