"""Traffic from a Locust file: its users on their target, in an environment as Locust's `main()` makes it."""

import itertools
import os
import socket
from argparse import Namespace
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import gevent.socket
import locust
import locust.log
from locust import FastHttpUser, HttpUser
from locust.env import Environment
from locust.user.task import filter_tasks_by_tags

from loopwise.errors import GeneratorError
from loopwise.generator.carrier import Carrier
from loopwise.generator.hosts import is_loopback_address
from loopwise.generator.parsed_options import parse_options, strict_listeners
from loopwise.generator.protocol import Order
from loopwise.generator.recorder import Recorder
from loopwise.generator.request_events import record_interrupted, record_requests
from loopwise.generator.script import Script, load_script, refusing
from loopwise.generator.script_errors import ScriptWatch
from loopwise.generator.stamped_user import CARRIER, StampedUser
from loopwise.generator.traffic import Role, Traffic
from loopwise.model import ScriptFigures
from loopwise.servers.origin import UNIX


def _refuse_unix_socket(user_classes: Iterable[Any], url: str) -> None:
    """Raise GeneratorError if a class whose client can't use Unix sockets would have to."""
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
    if ip not in named and not is_loopback_address(ip):
        raise ConnectionRefusedError(
            f"{host} is neither the target nor loopback; Loopwise does not follow requests there"
        )


class ScriptedTraffic(Traffic):
    """The users of a Locust file. StampedUsers find the reactor in Locust's environment."""

    events = locust.events

    def __init__(self, order: Order, recorder: Recorder) -> None:
        forbid_other_hosts(order.url)
        assert order.scenario is not None
        self._watch = ScriptWatch(Path(order.scenario))
        # Before the script's own listeners: what it reads of Locust's statistics at the end agrees with the rows.
        hooks: Any = self.events
        hooks.test_stop.add_listener(lambda **_: recorder.flush())
        record_interrupted(recorder)
        self._script, self._options = prepare_script(order)
        self.user_classes, self.shape = self._script.user_classes, self._script.shape
        self.users = order.load.users
        super().__init__(order, recorder)
        is_stamped = any(issubclass(user_class, StampedUser) for user_class in self.user_classes)
        self.reactor.running = is_stamped or order.load.victim is not None
        self._carrier: Carrier | None = None

    def furnish(self, environment: Environment, role: Role) -> None:
        """Set what Locust's command line sets, too: options, host, classes by name."""
        super().furnish(environment, role)
        script, options = self._script, self._options
        untyped: Any = locust.log
        vars(options).update(worker=role == "worker", master=role == "master")
        hosts = {user_class.host for user_class in self.user_classes}
        environment.host = hosts.pop() if len(hosts) == 1 else None  # else Locust leaves each class its own
        environment.parsed_options = options
        environment.locustfile, environment.parsed_locustfiles = script.path.name, [str(script.path)]
        by_name: Any = {user_class.__name__: user_class for user_class in self.user_classes}
        environment.available_user_classes = by_name
        environment.available_user_tasks = {name: user_class.tasks for name, user_class in by_name.items()}
        environment.available_shape_classes = {type(self.shape).__name__: self.shape} if self.shape else {}
        environment.reset_stats, environment.profile = options.reset_stats, options.profile
        environment.stop_timeout = float(options.stop_timeout)
        if not options.skip_log_setup:
            untyped.setup_logging(options.loglevel)
        update: Any = environment.update_user_class
        with refusing(script.path, "options: config_users failed"):
            for user_config in itertools.chain(*(options.config_users or ())):
                update(user_config)

    def attach(self, environment: Environment) -> None:
        """Record Locust's request events, feed its statistics with the other rows, and start the canary probe.

        The probe is none of the script's users: a shape of the script counts its own.
        """
        super().attach(environment)
        self._watch.join(environment)
        self._carrier = Carrier(self.reactor, self.origin, self._order.url)
        setattr(environment, CARRIER, self._carrier)
        record_requests(environment, self.reactor.recorder)
        self._begin_probe(environment)

    def script(self) -> ScriptFigures | None:
        """Tasks and exceptions of the Locust file in this process."""
        return self._watch.figures()

    def init(self, environment: Environment) -> None:
        """Fire Locust's event `init`; an exception in a listener ends the run, as it ends Locust."""
        with refusing(self._script.path, "its listener of init failed"), strict_listeners():
            super().init(environment)
        if self._options.equal_weights:
            environment.assign_equal_weights()

    def quit(self, environment: Environment) -> None:
        """Fire the events with which Locust ends a process."""
        hooks: Any = environment.events
        hooks.quitting.fire(environment=environment, reverse=True)
        hooks.quit.fire(exit_code=_exit_code(environment))

    def close(self) -> None:
        """Close what StampedUsers use, too."""
        super().close()
        if self._carrier is not None:  # a master spawns no users and attaches nothing
            self._carrier.close()


def prepare_script(order: Order) -> tuple[Script, Namespace]:
    """Load the Locust file of an order and apply its options: classes, tags, and the target as host.

    Raises:
        GeneratorError: the file or an option can't be used.
    """
    assert order.scenario is not None
    script = load_script(Path(order.scenario))
    options = parse_options(script, order)
    chosen = [each for each in script.user_classes if not options.user_classes or each.__name__ in options.user_classes]
    names = [each.__name__ for each in script.user_classes]
    if unknown := [name for name in options.user_classes if name not in names]:
        raise GeneratorError(f'options: user_classes got "{unknown[0]}", allowed are {", ".join(names)}; correct it')
    user_classes = [each for each in chosen if each.weight > 0 or each.fixed_count > 0]
    if not user_classes:
        raise GeneratorError(f"{script.path.name}: all its user classes have the weight 0; give one a weight")
    _filter_by_tags(user_classes, options)
    _refuse_unix_socket(user_classes, order.url)
    _set_hosts(user_classes, order.url, script.path)
    return script._replace(user_classes=user_classes), options


def _filter_by_tags(user_classes: list[Any], options: Namespace) -> None:
    wanted = set(options.tags) if options.tags else None
    unwanted = set(options.exclude_tags) if options.exclude_tags else None
    for user_class in user_classes if wanted or unwanted else ():
        had_tasks = bool(user_class.tasks)
        filter_tasks_by_tags(user_class, wanted, unwanted)
        if had_tasks and not user_class.tasks:
            raise GeneratorError(
                f"options: tags and exclude_tags leave {user_class.__name__} no task; correct them, or choose other "
                "classes by user_classes"
            )


def _set_hosts(user_classes: list[Any], url: str, path: Path) -> None:
    """Point every class at the target. The path of a host in the file stays, unless the target's URL has one.

    Raises:
        GeneratorError: the classes name several hosts, of which only one could be measured.
    """
    hosts = {str(each.host): urlsplit(str(each.host)) for each in user_classes if each.host}
    if len({parts.netloc for parts in hosts.values()}) > 1:
        raise GeneratorError(
            f"{path.name}: its user classes have the hosts {' and '.join(sorted(hosts))}, but one target is measured; "
            "give them one host, or choose classes by options = { user_classes = [...] }"
        )
    for user_class in user_classes:
        base = "" if urlsplit(url).path else urlsplit(str(user_class.host or "")).path.rstrip("/")
        user_class.host = f"{url}{base}"


def _exit_code(environment: Environment) -> int:
    """The status that Locust's process would end with."""
    if environment.process_exit_code is not None:
        return int(environment.process_exit_code)
    runner, options = environment.runner, environment.parsed_options
    assert runner is not None
    assert options is not None
    if runner.errors or runner.exceptions:
        return int(options.exit_code_on_error)
    return 2 if locust.log.unhandled_greenlet_exception else 0
