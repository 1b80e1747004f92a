"""Ask an endpoint in this process: of an ASGI app, of a TestClient, or of an httpx.AsyncClient around an app."""

import asyncio
import inspect
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from loopwise.errors import EndpointError, UsageError

BASE_URL = "http://testserver"
STOP_S = 5.0
"""An app whose shut-down takes longer is left."""
ALLOWED = "an ASGI app, a TestClient of Starlette or FastAPI, or httpx.AsyncClient(transport=httpx.ASGITransport(app))"


@dataclass(frozen=True)
class Request:
    """A request and the status that it expects."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    """Sent as the body; None: no body."""
    expect_status: int | None = None
    """None: any 2xx."""
    timeout_s: float = 5.0

    @property
    def name(self) -> str:
        """`GET /items/1`."""
        return f"{self.method} {self.path}"

    def options(self) -> dict[str, Any]:
        """Arguments of a client's `request`."""
        return {"headers": dict(self.headers)} | ({} if self.json is None else {"json": self.json})

    def table(self) -> dict[str, Any]:
        """The same as keys of a suite."""
        options = {"headers": dict(self.headers), "json": self.json, "expect_status": self.expect_status}
        return {key: value for key, value in options.items() if value not in (None, {})}

    def refuse_other(self, status: int, text: str) -> None:
        """Raise EndpointError for a status that is not expected: the endpoint did something else."""
        wanted = self.expect_status
        if not (200 <= status < 300 if wanted is None else status == wanted):
            allowed = "2xx" if wanted is None else str(wanted)
            said = f" (it said: {text[:200]})" if text else ""
            raise EndpointError(
                f"{self.name}: answered {status}, expected {allowed}{said}; correct the request, or give expect_status"
            )


def request_of(endpoint: str, **options: Any) -> Request:
    """Parse `GET /items/1`; raises UsageError for another text."""
    found = re.fullmatch(r"(?:([A-Za-z]+) +)?(/\S*)", endpoint.strip())
    if found is None:
        raise UsageError(f'loopwise: got {endpoint!r}, allowed is a method and a path such as "GET /items/1"')
    return Request((found[1] or "GET").upper(), found[2], **options)


def is_client(subject: Any) -> bool:
    """Whether it is a client rather than an app."""
    return hasattr(subject, "base_url") and callable(getattr(subject, "request", None))


def is_async_client(subject: Any) -> bool:
    """Whether its requests are awaited."""
    return is_client(subject) and inspect.iscoroutinefunction(subject.request)


def refuse_other_than_app(subject: Any) -> None:
    """Raise UsageError for what has no app in this process."""
    if is_client(subject):
        transport = getattr(subject, "_transport", None)
        if not hasattr(subject, "app") and not hasattr(transport, "app"):
            raise UsageError(
                f"loopwise: this {type(subject).__name__} asks a server, whose event loop can't be watched from here; "
                f"give {ALLOWED}"
            )
        return
    if not callable(subject):
        raise UsageError(f"loopwise: got {subject!r}, of type {type(subject).__name__}; give {ALLOWED}")
    try:
        inspect.signature(subject).bind(None, None, None)
    except TypeError:
        raise UsageError(
            f"loopwise: this {type(subject).__name__} can't be called with (scope, receive, send), so it is no ASGI "
            f"app; give {ALLOWED}"
        ) from None
    except ValueError:
        return  # compiled callables don't tell


def ask_client(client: Any, request: Request) -> None:
    """Ask by a TestClient, which runs the app on a loop of its own in another thread.

    Raises:
        EndpointError: another status than expected.
    """
    answer = client.request(request.method, request.path, **request.options())
    request.refuse_other(answer.status_code, answer.text)


async def ask_in_task(client: Any, request: Request) -> None:
    """Ask by an AsyncClient, in a task of its own, whose callbacks hold nothing of the test's.

    Raises:
        EndpointError: another status than expected, or no complete answer in time.
    """

    async def ask() -> Any:
        await asyncio.sleep(0)  # an eager task would begin within the test's own callback
        url = request.path if str(client.base_url) else BASE_URL + request.path
        return await client.request(request.method, url, **request.options())

    try:
        answer = await asyncio.wait_for(asyncio.create_task(ask()), request.timeout_s)
    except TimeoutError:
        raise EndpointError(
            f"{request.name}: gave no complete answer in {request.timeout_s:g} s; give a greater timeout_s, "
            "or ask an endpoint whose answer ends"
        ) from None
    request.refuse_other(answer.status_code, answer.text)


@asynccontextmanager
async def client_of(subject: Any) -> AsyncIterator[Any]:
    """An AsyncClient is taken as it is; an app is started as servers start it, and stopped at the end."""
    if is_client(subject):
        yield subject
        return
    import httpx

    async with (
        _lifespan(subject) as app,
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE_URL) as client,
    ):
        yield client


App = Callable[[Any, Any, Any], Awaitable[None]]


@asynccontextmanager
async def _lifespan(app: App) -> AsyncIterator[App]:
    """Start an app, and stop it at the end; gives the app with the state that its start-up left.

    Raises:
        EndpointError: its start-up failed.
    """
    state: dict[str, Any] = {}
    received: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    started, stopped = asyncio.Event(), asyncio.Event()
    failures: list[str] = []

    async def send(message: Any) -> None:
        if message["type"].endswith(".failed"):
            failures.append(str(message.get("message") or "").strip() or "its log says why")
        (started if message["type"].startswith("lifespan.startup") else stopped).set()

    async def live() -> None:
        try:
            await app(
                {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": state},
                received.get,
                send,
            )
        except Exception:  # an app that raises knows no lifespan, or has told of its failure: servers go on, too
            logging.getLogger(__name__).debug("lifespan", exc_info=True)
        finally:
            started.set()
            stopped.set()

    async def stateful(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "state": dict(state)}, receive, send)

    task = asyncio.create_task(live())
    await received.put({"type": "lifespan.startup"})
    try:
        await started.wait()
        if failures:
            reason = failures[0].splitlines()[-1]
            raise EndpointError(f"the app's start-up failed: {reason}; correct it, or give a client of a started app")
        try:
            yield stateful
        finally:
            await received.put({"type": "lifespan.shutdown"})
            with suppress(TimeoutError):
                await asyncio.wait_for(stopped.wait(), STOP_S)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def run_alone(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine on a loop of its own in this thread, whose current loop (that of a fixture) stays what it is."""
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(work)
    finally:
        loop.run_until_complete(_cancel_all())
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


async def _cancel_all() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def is_in_loop() -> bool:
    """Whether an event loop runs in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
