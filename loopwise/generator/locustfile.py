"""A user's own Locust file as scenario: its requests recorded through Locust's request event.

Times are the client's own (stamp = user): they include what the generator was late by.
"""

import ipaddress
import os
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import gevent.socket
from locust.env import Environment
from locust.exception import CatchResponseError
from locust.util.load_locustfile import load_locustfile

from loopwise.errors import GeneratorError
from loopwise.generator.connection import USER_STAMP
from loopwise.generator.recorder import Recorder
from loopwise.generator.response import StampedResponse


def load_script(path: Path) -> tuple[list[Any], Any]:
    """The user classes of a Locust file, and its load shape or None.

    Raises:
        GeneratorError: the file can't be loaded or has no user class.
    """
    try:
        user_classes, shapes = load_locustfile(str(path))
    except (Exception, SystemExit) as error:
        told = " ".join(f"{type(error).__name__}: {error}".split())
        raise GeneratorError(f"{path.name}: the Locust file cannot be loaded ({told}); correct it") from error
    if not user_classes:
        raise GeneratorError(
            f"{path.name}: the Locust file has no user class; give it an HttpUser, FastHttpUser or User with tasks"
        )
    return list(user_classes.values()), shapes[0] if shapes else None


def forbid_strangers(url: str) -> None:
    """Let this process connect to the target's host and to loopback only.

    Clients like requests follow redirects, and a script may hold a forgotten absolute URL: neither may load a host
    that nobody named. A proxy of the environment would take them there, and be measured instead of the target.
    For the process's whole life, so a scripted run has a process of its own.
    """
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        del os.environ[name]
    host = urlsplit(url).hostname or "127.0.0.1"
    named = {str(info[4][0]) for info in socket.getaddrinfo(host, None)}
    patched: Any = gevent.socket.socket

    def guarded(plain: Any) -> Any:
        def connect(self: Any, address: Any) -> Any:
            if isinstance(address, tuple):
                for info in socket.getaddrinfo(address[0], None):
                    _refuse_stranger(address[0], str(info[4][0]), named)
            return plain(self, address)

        return connect

    patched.connect, patched.connect_ex = guarded(patched.connect), guarded(patched.connect_ex)


def _refuse_stranger(host: str, ip: str, named: set[str]) -> None:
    if ip not in named and not ipaddress.ip_address(ip.partition("%")[0]).is_loopback:
        raise ConnectionRefusedError(
            f"{host} is neither the target nor loopback; Loopwise does not follow requests there"
        )


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
            error = recorder.errors.number(_kind(exception, status))
        endpoint = recorder.endpoints.number(f"{request_type} {name}")
        length = int(response_length or 0)
        recorder.append(
            (None, sent_ns, received_ns, received_ns, endpoint, status, error, length, None, USER_STAMP)
        )

    hook: Any = environment.events.request
    hook.add_listener(on_request)


def _kind(exception: BaseException, status: int) -> str:
    """What the error column says: the script's own words, the status that Locust refused, or the client's trouble."""
    if isinstance(exception, CatchResponseError):
        return str(exception)
    return f"status_{status}" if status else type(exception).__name__
