"""Traffic from a Locust file: loading it, keeping it on its target, running its users."""

import ipaddress
import os
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import gevent.socket
import locust
from locust import FastHttpUser, HttpUser
from locust.env import Environment
from locust.util.load_locustfile import load_locustfile

from loopwise.errors import GeneratorError
from loopwise.generator.protocol import Order
from loopwise.generator.recorder import Recorder
from loopwise.generator.request_events import record_interrupted, record_requests
from loopwise.generator.script_errors import ScriptWatch
from loopwise.generator.stamped_user import CARRIER, Carrier, StampedUser
from loopwise.generator.traffic import Traffic
from loopwise.generator.users import ScheduleUser
from loopwise.model import ScriptFigures
from loopwise.servers.origin import UNIX


def load_script(path: Path) -> tuple[list[Any], Any]:
    """The user classes of a Locust file, and its load shape or None.

    Raises:
        GeneratorError: the file can't be loaded or has no user class.
    """
    try:
        user_classes, shapes = load_locustfile(str(path))
    except (Exception, SystemExit) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise GeneratorError(f"{path.name}: the Locust file cannot be loaded ({reason}); correct it") from error
    if not user_classes:
        raise GeneratorError(
            f"{path.name}: the Locust file has no user class; give it an HttpUser, FastHttpUser or User with tasks"
        )
    return list(user_classes.values()), shapes[0] if shapes else None


def refuse_clients_without_sockets(user_classes: Iterable[Any], url: str) -> None:
    """Locust's own clients know hosts and ports alone.

    Raises:
        GeneratorError: one of them would be asked to use a Unix socket.
    """
    for each in user_classes if url.startswith(UNIX) else ():
        if issubclass(each, (HttpUser, FastHttpUser)) and not each.host:
            raise GeneratorError(
                f"{each.__name__}: HttpUser and FastHttpUser can't connect to {url}; make it a StampedUser, "
                "or have the server listen on a port"
            )


def forbid_other_hosts(url: str) -> None:
    """Let this process connect to the target's host and to loopback only.

    Clients such as requests follow redirects, and a script may hold a forgotten absolute URL: neither may load a host
    that the suite doesn't name. Proxy variables are removed: a proxy would be measured instead of the target.
    This lasts for the process's life, so each run of a script has a process of its own.
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
                    _refuse_other_host(address[0], str(info[4][0]), named)
            return plain(self, address)

        return connect

    patched.connect, patched.connect_ex = guarded(patched.connect), guarded(patched.connect_ex)


def _refuse_other_host(host: str, ip: str, named: set[str]) -> None:
    if ip not in named and not ipaddress.ip_address(ip.partition("%")[0]).is_loopback:
        raise ConnectionRefusedError(
            f"{host} is neither the target nor loopback; Loopwise does not follow requests there"
        )


class ScriptedTraffic(Traffic):
    """The users of a Locust file. StampedUsers find the reactor in Locust's environment."""

    events = locust.events

    def __init__(self, order: Order, recorder: Recorder) -> None:
        assert order.scenario is not None
        forbid_other_hosts(order.url)
        self._watch = ScriptWatch(Path(order.scenario))
        # Before the script's own listeners: what it reads of Locust's statistics at the end agrees with the rows.
        hooks: Any = self.events
        hooks.test_stop.add_listener(lambda **_: recorder.flush())
        record_interrupted(recorder)
        self.user_classes, self.shape = load_script(Path(order.scenario))
        refuse_clients_without_sockets(self.user_classes, order.url)
        self.users = order.load.users
        super().__init__(order, recorder)
        is_stamped = any(issubclass(user_class, StampedUser) for user_class in self.user_classes)
        self.reactor.running = is_stamped or order.load.victim is not None
        self._probe: ScheduleUser | None = None

    def attach(self, environment: Environment) -> None:
        """Record Locust's request events, feed its statistics with the other rows, and start the canary probe.

        The probe is none of the script's users: a shape of the script counts its own.
        """
        super().attach(environment)
        self._watch.join(environment)
        setattr(environment, CARRIER, Carrier(self.reactor, self.origin))
        record_requests(environment, self.reactor.recorder)
        path = self._order.load.victim
        if path is not None and self._order.part == 0:
            self._probe = self._canary(path)(environment)
            self._probe.begin()

    def script(self) -> ScriptFigures | None:
        """Tasks and exceptions of the Locust file in this process."""
        return self._watch.figures()

    def close(self) -> None:
        """Stop the canary probe, too."""
        if self._probe is not None:
            self._probe.stopped = True
            self._probe.end()
        super().close()
