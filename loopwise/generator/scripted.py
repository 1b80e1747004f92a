"""A user's own Locust file as scenario: its requests recorded through Locust's request event.

Times are the client's own (stamp = user): they include what the generator was late by.
"""

import ipaddress
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import gevent.socket
import locust
from locust.env import Environment
from locust.util.load_locustfile import load_locustfile

from loopwise.errors import GeneratorError
from loopwise.generator.answers import StampedResponse
from loopwise.generator.http import USER_STAMP
from loopwise.generator.recorder import Recorder


def environment_for(path: Path, url: str) -> Environment:
    """Load a Locust file into an environment whose host is the target, whatever the file says.

    Raises:
        GeneratorError: the file can't be loaded or has no user class.
    """
    try:
        user_classes, shapes = load_locustfile(str(path))
    except Exception as error:
        raise GeneratorError(f"{path.name}: the Locust file cannot be loaded: {error!r}") from error
    if not user_classes:
        raise GeneratorError(
            f"{path.name}: the Locust file has no user class (HttpUser, FastHttpUser or User)"
        )
    return Environment(
        user_classes=list(user_classes.values()),
        shape_class=shapes[0] if shapes else None,
        host=url,
        events=locust.events,
    )


def forbid_strangers(url: str) -> None:
    """Let this process connect to the target's host and to loopback only.

    Clients like requests follow redirects, and a script may hold a forgotten absolute URL: neither may load a host
    that nobody named. For the process's whole life, so a scripted run has a process of its own.
    """
    host = urlsplit(url).hostname or "127.0.0.1"
    named = {str(info[4][0]) for info in socket.getaddrinfo(host, None)}
    patched: Any = gevent.socket.socket
    plain_connect = patched.connect

    def connect(self: Any, address: Any) -> None:
        if isinstance(address, tuple):
            for info in socket.getaddrinfo(address[0], None):
                ip = str(info[4][0])
                if ip not in named and not ipaddress.ip_address(ip.partition("%")[0]).is_loopback:
                    raise ConnectionRefusedError(
                        f"{address[0]} is neither the target nor loopback; Loopwise does not follow requests there"
                    )
        plain_connect(self, address)

    patched.connect = connect


def record_requests(environment: Environment, recorder: Recorder) -> None:
    """Record every request that Locust's clients report."""

    def on_request(
        *,
        request_type: str,
        name: str,
        start_time: float,
        response_time: float | None,
        response_length: int | None,
        exception: BaseException | None = None,
        response: Any = None,
        **_: Any,
    ) -> None:
        if isinstance(response, StampedResponse):
            return  # its client has recorded it, with better stamps
        sent_ns = int(start_time * 1e9)
        received_ns = sent_ns + int((response_time or 0.0) * 1e6)
        status = int(getattr(response, "status_code", 0) or 0)
        error = None
        if exception is not None:
            error = recorder.errors.number(f"status_{status}" if status else type(exception).__name__)
        endpoint = recorder.endpoints.number(f"{request_type} {name}")
        length = int(response_length or 0)
        recorder.append(
            (None, sent_ns, received_ns, received_ns, endpoint, status, error, length, None, USER_STAMP)
        )

    hook: Any = environment.events.request
    hook.add_listener(on_request)
