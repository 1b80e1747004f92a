"""StampedClient: what a StampedUser sends requests with, used as FastHttpUser's client is.

A request that has nothing but a path is kept as bytes, and what follows its first line serves the paths that are new,
until a header or a cookie of the user changes. All others are encoded anew.
"""

import re
from collections.abc import Callable, Mapping
from functools import partial
from http.cookiejar import CookieJar
from time import time
from typing import Any
from urllib.parse import unquote, urlsplit
from weakref import finalize

from geventhttpclient.url import URL
from locust.contrib.fasthttp import FastHttpSession
from locust.event import EventHook
from locust.exception import LocustError
from requests.structures import CaseInsensitiveDict

from loopwise.generator.carrier import Carrier, base_of, tls_context
from loopwise.generator.content import Content, Credentials, Params, basic, content_of, merged
from loopwise.generator.cookies import Cookies, cookie_header
from loopwise.generator.error_kinds import ErrorKind, status_kind
from loopwise.generator.exchange import Exchange, Place, Timeouts
from loopwise.generator.failures import SUCCESSES
from loopwise.generator.redirects import REDIRECTED, REDIRECTS, REFUSALS, Redirects
from loopwise.generator.request import Request
from loopwise.generator.response import JudgedResponse, Sent, StampedResponse
from loopwise.generator.streams import Stream
from loopwise.servers.multipart import Pairs
from loopwise.servers.origin import UNIX
from loopwise.servers.wire import DEFAULT_HEADERS, encode, target_of

OWN_LISTENERS = frozenset({"locust.runners", "loopwise.generator.request_events"})
"""Modules whose listeners need no event for a request of a StampedUser: it is recorded and counted without."""
BASE_HEADERS = {**DEFAULT_HEADERS, "Accept-Encoding": "gzip, deflate, br"}
"""Sent unless the script has others: what geventhttpclient's responses can decompress."""
SOCKET_BASE = "http://localhost"
"""Begins the URLs of requests that go to a Unix socket."""
ATTRIBUTES = ("base_url", "headers", "cookies", "cookiejar", "auth", "verify", "max_redirects", "request_name", "user")
_OF_REQUESTS = frozenset({"auth", "auth_header", "verify"})
NEVER = float("inf")
KEPT = 100
"""Requests that a user keeps as bytes; a script with more paths than that has most of them encoded anew."""
SET_COOKIE = b"set-cookie"
SEEN = frozenset({SET_COOKIE, b"content-encoding"})
"""Headers of answers that the client acts upon."""
_NOTHING = (None,) * 8
_HEAD = frozenset({"HEAD", "head"})
_is_absolute = re.compile("https?://", re.IGNORECASE).match


class Headers(CaseInsensitiveDict[Any]):
    """Headers of every request, by name in any case; a change is told."""

    def __init__(self, on_change: Callable[[], None], headers: Mapping[str, Any] | None = None) -> None:
        self._on_change = on_change
        super().__init__(headers or {})

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, value)
        self._on_change()

    def __delitem__(self, name: str) -> None:
        super().__delitem__(name)
        self._on_change()


class StampedClient(FastHttpSession):
    """The client of a StampedUser: `get`, `post`, … with the arguments and answers of FastHttpUser's.

    An attribute or argument that it doesn't have is an error that names it.

    Args:
        user: the StampedUser whose client it is.
        carrier: of the run.
    """

    max_redirects = 30
    verify: bool | str = True
    """Whether certificates are verified, or the path of a bundle of authorities."""
    auth: Credentials | None = None
    """User and password of every request."""
    auth_header: str | None = None
    request_name: str | None = None
    request_event: Any = None
    user: Any = None

    def __init__(self, user: Any, carrier: Carrier) -> None:
        self._plain: dict[tuple[str, str, str], tuple[Sent, Place]] = {}
        """Requests that have nothing but a path, by method, path and name."""
        self._heads: dict[str, tuple[bytes, Place]] = {}
        """What follows the first line of such a request, by method."""
        self._carrier = carrier
        self._reactor = carrier.reactor
        self._recorder = carrier.reactor.recorder
        self._connections = carrier.connections(user.client_pool, user.concurrency)
        self.user = user
        self.request_event = user.environment.events.request
        self.max_redirects = user.max_redirects
        self.verify = not user.insecure
        usual = Timeouts(self._reactor.timeout_ns, self._reactor.timeout_ns)
        self._timeouts = usual.replaced((user.connection_timeout, user.network_timeout))
        self._known_listeners: list[Any] = []
        self._hook: EventHook | None = None
        self._headers = Headers(self._forget)
        self._jar = Cookies(self._forget)
        self._seen_defaults: Mapping[str, Any] | None = None
        self.base_url = user.host or ""

    @property
    def base_url(self) -> str:
        """Begins the URL of every request with a path; without user and password, which become `auth_header`."""
        return self._base_url

    @base_url.setter
    def base_url(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.username and parts.password:
            self.auth_header = basic(unquote(parts.username), unquote(parts.password))
        self._base = base_of(url)
        path = parts.path if parts.netloc else ""
        self._base_path = path.rstrip("/")
        self._base_url = self._base + path
        self._root = (self._base if parts.netloc else SOCKET_BASE) + self._base_path
        self._forget()

    @property
    def headers(self) -> Headers:
        """Headers of every request, besides the user's `default_headers`."""
        return self._headers

    @headers.setter
    def headers(self, headers: Mapping[str, Any]) -> None:
        self._headers = Headers(self._forget, headers)
        self._forget()

    @property
    def cookies(self) -> Cookies:
        """The user's cookies: kept from answers, sent with requests by the rules of http.cookiejar."""
        return self._jar

    @cookies.setter
    def cookies(self, cookies: Mapping[str, str] | CookieJar) -> None:
        self._jar.replace(cookies)

    cookiejar = cookies
    """The same, under FastHttpUser's name."""

    @property
    def trust_env(self) -> bool:
        """Always False: proxies of the environment are not used."""
        return False

    @trust_env.setter
    def trust_env(self, value: bool) -> None:
        if value:
            raise LocustError("self.client.trust_env = True: proxies of the environment would be measured")

    def __setattr__(self, name: str, value: Any) -> None:
        if name[0] != "_" and not hasattr(type(self), name):
            raise AttributeError(_no_attribute(name))
        super().__setattr__(name, value)
        if name in _OF_REQUESTS:
            self._forget()

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(_no_attribute(name))

    def request(
        self,
        method: str,
        url: str,
        name: str | None = None,
        data: Any = None,
        catch_response: bool = False,
        stream: bool = False,
        headers: Mapping[str, Any] | None = None,
        auth: Credentials | None = None,
        json: Any = None,
        allow_redirects: bool = True,
        context: Mapping[str, Any] | None = None,
        *,
        params: Params | None = None,
        files: Pairs | None = None,
        cookies: Mapping[str, str] | CookieJar | None = None,
        timeout: float | tuple[float | None, float | None] | None = None,
        verify: bool | str | None = None,
        proxies: Mapping[str, str | None] | None = None,
    ) -> Any:
        """Send a request and wait for its answer, a StampedResponse.

        Args:
            method: GET, POST, …
            url: path behind `base_url`, or a whole URL of the target or of this machine.
            name: groups requests in tables; default: the URL as it is given here.
            data: body as bytes, text or a file; a mapping becomes a form.
            catch_response: the answer is used in a `with` block that decides by `success()` and `failure()`.
            stream: return when the headers have come; the body is read by iter_content() and the like.
            headers: besides `default_headers` and `client.headers`; one of the same name, in any case, replaces it.
            auth: user and password (Basic).
            json: body as JSON, if there is no `data`.
            allow_redirects: follow redirects, at most `max_redirects` of them.
            context: passed to listeners of Locust's request event.
            params: appended to the URL as query.
            files: of a multipart form, whose other fields are `data`.
            cookies: of this request only, besides the user's.
            timeout: in seconds, or (to connect, to answer).
            verify: whether certificates are verified, or the path of a bundle of authorities.
            proxies: none, as scripts of HttpUser may say.

        Raises:
            LocustError: the URL leads to a host that is neither the target nor this machine, or over a proxy.
            TypeError, ValueError: the request can't be sent like that.
        """
        if proxies and any(proxies.values()):
            raise LocustError(f"proxies={proxies}: a proxy would be measured in place of the target; leave it out")
        shown = name or self.request_name or url
        content = (data, headers, auth, json, params, files, cookies, verify)
        if content == _NOTHING and not _is_absolute(url):
            sent, place = self._kept(method, url, shown)
        else:
            sent, place = self._encoded(method, url, shown, *content)
        timeouts = self._timeouts if timeout is None else self._timeouts.replaced(timeout)

        response = self._exchange(sent, place, timeouts, catch_response, stream)
        if response.status_code in REDIRECTS and allow_redirects and self.max_redirects > 0:
            name = shown if name or self.request_name else None
            exchange = partial(self._exchange, timeouts=timeouts, catch_response=catch_response, stream=stream)
            response = self._follow(sent, response, exchange, place.origin.host_header, name=name, verify=verify)
        hook = self._listening()
        if not catch_response:
            response.record(self._recorder)
        if catch_response or hook is not None:
            meta = self._meta(method, url, shown, response, context)
            if isinstance(response, JudgedResponse):
                response.begin(self._recorder, meta, self._fire)
                self._carrier.unjudged.add(response)
            elif hook is not None:
                hook.fire(**meta)
        return response

    def _kept(self, method: str, url: str, name: str) -> tuple[Sent, Place]:
        """A request that has nothing but a path."""
        defaults = self.user.default_headers
        if defaults != self._seen_defaults:
            self._seen_defaults = defaults if defaults is None else dict(defaults)
            self._forget()
        if self._jar.expires_s != NEVER and time() >= self._jar.expires_s:
            self._jar.drop_expired()
        known = self._plain.get((method, url, name))
        if known is None:
            if len(self._plain) >= KEPT:
                self._plain.clear()
            known = self._plain[method, url, name] = self._made(method, url, name)
        return known

    def _made(self, method: str, url: str, name: str) -> tuple[Sent, Place]:
        """A request that has nothing but a path, and is not known yet."""
        if not self._jar.is_for_all_paths or not url.startswith("/"):
            return self._encoded(method, url, name, *_NOTHING)
        kept = self._heads.get(method)
        if kept is None:
            sent, place = self._encoded(method, "/", name, *_NOTHING)
            kept = self._heads[method] = sent.request.data.partition(b"\r\n")[2], place
        head, place = kept
        line = f"{method.upper()} {target_of(self._base_path + url)} HTTP/1.1\r\n".encode("ascii")
        return self._sent(method, self._root + url, name, line + head, None), place

    def _forget(self) -> None:
        self._plain.clear()
        self._heads.clear()

    def _encoded(
        self,
        method: str,
        url: str,
        name: str,
        data: Any,
        headers: Mapping[str, Any] | None,
        auth: Credentials | None,
        json: Any,
        params: Params | None,
        files: Pairs | None,
        cookies: Mapping[str, str] | CookieJar | None,
        verify: bool | str | None,
    ) -> tuple[Sent, Place]:
        """A request with more than a path."""
        if not _is_absolute(url):
            url = self._root + url
        target = URL(url, params=params).request_uri
        place = self._place(base_of(url), verify)
        content = content_of(data, json, files)
        own = {} if auth is None else {"Authorization": basic(*auth)}
        lines = self._all_headers(place, content.headers, {**(headers or {}), **own})
        return self._ready(method, url, name, target, lines, content, cookies), place

    def _all_headers(self, place: Place, described: Mapping[str, str], own: Mapping[str, Any]) -> dict[str, str]:
        authorized = self.auth_header if self.auth is None else basic(*self.auth)
        layers = (
            {"Host": place.origin.host_header},
            BASE_HEADERS,
            described,
            self.user.default_headers or {},
            self._headers,
            {} if authorized is None else {"Authorization": authorized},
            own,
        )
        return merged(*layers)

    def _ready(
        self,
        method: str,
        url: str,
        name: str,
        target: str,
        headers: dict[str, str],
        content: Content,
        cookies: Mapping[str, str] | CookieJar | None,
    ) -> Sent:
        """Add the cookies, unless the script has a Cookie header of its own, and encode."""
        if "cookie" not in map(str.lower, headers):
            line = self._jar.header_with(url, cookies) if cookies else cookie_header(self._jar, url)
            if line:
                headers["Cookie"] = line
        data = encode(method.upper(), target, headers, body=content.body)
        return self._sent(method, url, name, data, content.payload)

    def _sent(self, method: str, url: str, name: str, data: bytes, payload: str | bytes | None) -> Sent:
        number = self._recorder.endpoints.number(f"{method} {name}")
        return Sent(Request(data, number, method in _HEAD, None), method, url, name, payload)

    def _place(self, base: str, verify: bool | str | None) -> Place:
        """Where a base URL leads, with the connections that are kept there."""
        if base == SOCKET_BASE and self._base.startswith(UNIX):
            base = self._base
        factory = self.user.ssl_context_factory
        verify = self.verify if verify is None else verify
        key = (base, verify, factory)
        place = self._connections.places.get(key)
        if place is None:
            context = None
            if base.startswith("https:"):
                context = tls_context(verify) if factory is None else factory()
            place = self._connections.places[key] = Place(self._carrier.origin_of(base, context), [])
        return place

    def _exchange(
        self, sent: Sent, place: Place, timeouts: Timeouts, catch_response: bool, stream: bool
    ) -> StampedResponse:
        """Send one request and wait for its answer; nothing is recorded yet."""
        kind = JudgedResponse if catch_response else StampedResponse
        if stream:
            self._connections.slots.acquire()
            body = Stream(self._reactor, place, self._connections.slots, timeouts)
            body.send(sent.request, place.idle)
            response = kind(sent, body.wait(sent.request), body.headers, body)
            finalize(response, body.release).atexit = False
        else:
            exchange = Exchange(self._reactor, place.origin, timeouts)
            with self._connections.slots:
                exchange.send(sent.request, place.idle)
                row = exchange.wait(sent.request)
            connection = exchange.connection
            answer = None if connection is None else connection.answer
            if connection is None or answer is None:
                response = kind(sent, row, None, None)
            else:
                response = kind(sent, row, answer.headers, answer.body)
                if self.user.new_connection_per_request:
                    connection.close()
                elif connection.is_open:
                    place.idle.append(connection)
        self._look_at(response, sent)
        return response

    def _look_at(self, response: StampedResponse, sent: Sent) -> None:
        """Keep cookies, and judge as FastHttpUser does."""
        status, error = response.row[5:7]
        seen = [name for name, _ in response.raw_headers or () if name.lower() in SEEN]
        if seen and any(name.lower() == SET_COOKIE for name in seen):
            self._jar.extract_cookies(response, sent.as_request())
        if status not in SUCCESSES:
            response.fail(status_kind(status) if status or error is None else self._recorder.errors.texts[error])
        elif seen and not response.is_streamed:
            response.decode()

    def _follow(
        self,
        sent: Sent,
        response: StampedResponse,
        exchange: Callable[[Sent, Place], StampedResponse],
        host_header: str,
        *,
        name: str | None,
        verify: bool | str | None,
    ) -> StampedResponse:
        """Follow redirects; each request of them has its row, and the last answer is returned."""
        redirects = Redirects(sent, self.max_redirects, host_header)
        history: list[StampedResponse] = []
        while (location := redirects.location_of(response)) is not None:
            try:
                hop = redirects.next(response.status_code, location)
                place = self._place(base_of(hop.url), verify)
            except REFUSALS as error:
                response.lose(ErrorKind.REDIRECT_REFUSED, error)
                break
            if isinstance(response.body, Stream):
                response.body.read()
            response.record(self._recorder)
            history.append(response)
            shown = hop.url.removeprefix(self._root) if name is None else f"{name} {REDIRECTED}"
            content = content_of(hop.payload, None, None)
            headers = merged({"Host": place.origin.host_header}, redirects.headers())
            sent = self._ready(hop.method, hop.url, shown, hop.url_split.request_uri, headers, content, None)
            response = exchange(sent, place)
        response.came_after(history)
        return response

    def _meta(
        self, method: str, url: str, name: str, response: StampedResponse, context: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """Arguments of Locust's request event: one for the whole call, redirects included."""
        first = response.history[0].row if response.history else response.row
        return {
            "request_type": method,
            "name": name,
            "context": {**self.user.context(), **(context or {})},
            "response": response,
            "exception": response.error,
            "start_time": first[1] / 1e9,
            "url": url if _is_absolute(url) else self._root + url,
            "response_length": response.length,
            "response_time": (response.row[2] - first[1]) / 1e6,
        }

    def _listening(self) -> EventHook | None:
        """Locust's request event for all listeners but those of Locust's runner and our own; None without any."""
        handlers = self.request_event._handlers
        if handlers != self._known_listeners:
            self._known_listeners = list(handlers)
            others = [each for each in handlers if getattr(each, "__module__", "") not in OWN_LISTENERS]
            self._hook = EventHook() if others else None
            if self._hook is not None:
                self._hook._handlers = others
        return self._hook

    def _fire(self, meta: dict[str, Any]) -> None:
        hook = self._listening()
        if hook is not None:
            hook.fire(**meta)


def _no_attribute(name: str) -> str:
    return (
        f"self.client.{name}: the client of a StampedUser has no such attribute; it has {', '.join(ATTRIBUTES)} "
        "and FastHttpUser's methods (docs/scenarios.md)"
    )
