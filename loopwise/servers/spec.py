"""The type of a server's spec: everything the harness knows about one server process manager."""

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from loopwise.errors import ServerError
from loopwise.model import Server

HOST = "127.0.0.1"
ENTRY = "loopwise_probe:app"
"""The app that every server serves: the probe, which wraps the measured app."""
NO_LOOP = "a WSGI app has no event loop"
GRACE_S = "2"
"""How long a server waits for requests in flight after it was asked to stop."""

_ADDRESS = "Loopwise chooses the address; set `port`"
_STOP = "Loopwise ends the server, and gives it two seconds"
_LOG = "Loopwise reads what the server writes"
_PLACE = "set `app_dir`, `cwd`, `python` or `factory_args`"
_TLS = "the server is asked without TLS; put a proxy with TLS before it and name its `url`"
RESERVED: dict[str, str] = {
    **dict.fromkeys(("--workers", "-w"), "set `workers`"),
    **dict.fromkeys(("--host", "--port", "--bind", "-b", "--uds", "--fd", "--insecure-bind", "--quic-bind"), _ADDRESS),
    **dict.fromkeys(("--loop", "--asgi-loop", "--worker-class", "-k"), "set `loop`, or another `server`"),
    **dict.fromkeys(("--http", "--http-parser"), "set `http`"),
    **dict.fromkeys(("--backlog", "--backpressure"), "set `backlog`"),
    "--limit-concurrency": "set `limit_concurrency`",
    **dict.fromkeys(("--threads", "--blocking-threads"), "set `threads`"),
    **dict.fromkeys(("--access-log", "--no-access-log", "--access-logfile"), "set `access_log`"),
    **dict.fromkeys(("--log-level", "--log-file", "--error-logfile", "--error-log", "--no-log"), _LOG),
    **dict.fromkeys(("--timeout", "-t"), "a worker whose loop is blocked must be measured, not killed"),
    **dict.fromkeys(("--timeout-graceful-shutdown", "--graceful-timeout", "--workers-kill-timeout"), _STOP),
    **dict.fromkeys(("--app-dir", "--chdir", "--pythonpath", "--working-dir", "--factory"), _PLACE),
    "--interface": "set `interface`",
    **dict.fromkeys(("--env", "-e", "--env-file", "--env-files"), "set `env` or `env_file`"),
    **dict.fromkeys(("--config", "-c"), "Loopwise gives it a file of its own; write its settings as options"),
    **dict.fromkeys(("--reload", "--daemon", "-D"), "a server that starts itself again can't be measured"),
    **dict.fromkeys(("--control-socket", "--no-control-socket"), "it would be shared by all runs"),
    **dict.fromkeys(("--certfile", "--keyfile", "--ssl-certfile", "--ssl-keyfile", "--ssl-certificate"), _TLS),
}
"""Option of any server that `server_args` may not have -> what to do instead."""


PREFIXES = ("UVICORN_", "GRANIAN_")
"""Of variables that are named by options: UVICORN_WORKERS."""
INSTEAD_OF = {"WEB_CONCURRENCY": RESERVED["--workers"], "GRANIAN_LOG_ACCESS_ENABLED": RESERVED["--access-log"]}
"""Other variables that stand for an option -> what to do instead."""


@dataclass(frozen=True)
class Refusal:
    """Why a server cannot do a suite key, or only with some values."""

    accepts: Callable[[Any], bool]
    """Whether a value that was set is possible all the same."""
    allowed: str
    because: str


def never(because: str) -> Refusal:
    """The key must not be set."""
    return Refusal(lambda _value: False, "no value", because)


def only(*values: Any, because: str) -> Refusal:
    """The key takes these values alone."""
    return Refusal(lambda value: value in values, ", ".join(map(str, values)), because)


def at_least(minimum: int, because: str) -> Refusal:
    """The key takes no smaller number."""
    return Refusal(lambda value: value >= minimum, f"{minimum} or more", because)


class Since(NamedTuple):
    """The first version of a server that has an option."""

    version: tuple[int, ...]
    is_needed: bool = False
    """Older versions are refused; else they are started without the option."""


@dataclass(frozen=True)
class ServerSpec:
    """One server process manager: how it is started and stopped, what it needs and what it refuses."""

    name: str
    description: str
    argv: Callable[[Server, str, int, Path], list[str]]
    """Command line: (server, interpreter, port, scratch folder) -> argv."""
    needs: Mapping[str, str]
    """Module that the app's interpreter must have -> the requirement to install for it."""
    refuses: Mapping[str, Refusal] = field(default_factory=dict)
    """By suite key."""
    since: Mapping[str, Since] = field(default_factory=dict)
    """By option: those that older versions lack."""
    configuration: str | None = None
    """File of target_app that it reads from the scratch folder."""
    too_old: str | None = None
    """Text in its log that shows that the first package of `needs` is too old."""
    changes: tuple[str, ...] = ()
    """Defaults that Loopwise changes, in words, each with the server's own in brackets."""
    logs_access: bool = False
    """It writes an access log by default, which is off unless the suite asks for it."""
    lone_worker: bool = False
    """A single worker runs in the process that was started, without a supervisor."""
    interface: str = "asgi"
    """Of the apps that it serves like this."""
    no_wsgi: str = "it serves ASGI apps"
    """Why it serves no WSGI apps, where it has no spec for them."""
    threads: int | None = None
    """Of each worker, by its own default; None: AnyIO's are meant, or it is not known."""
    reads_in_threads: bool = False
    """A connection without a request keeps one of its threads busy: none may be opened ahead of its request."""
    stop_root_alone: bool = False
    """Its workers die of a SIGTERM at once, without the app's shutdown: only the supervisor gets one."""

    @property
    def shown(self) -> str:
        """Its name in tables: `gunicorn`, `gunicorn (wsgi)`."""
        return self.name if self.interface == "asgi" else f"{self.name} ({self.interface})"

    @property
    def packages(self) -> tuple[str, ...]:
        """Names of the packages in `needs`."""
        return tuple(re.split(r"[<>=!~ ]", requirement)[0] for requirement in self.needs.values())

    def argv_for(self, argv: Sequence[str], version: tuple[int, ...] | None) -> list[str]:
        """The command line without what the installed version lacks; None: it is not known, nothing is left out.

        Raises:
            ServerError: it lacks something that can't be left out.
        """
        kept: list[str] = []
        is_gone = False
        for each in argv:
            rule = self.since.get(each)
            if rule is not None and version is not None and version < rule.version:
                if rule.is_needed:
                    wanted, has = (".".join(map(str, numbers)) for numbers in (rule.version, version))
                    raise ServerError(
                        f"{self.name} {has} has no {each}, which {wanted} or newer has; "
                        f"install {self.packages[0]}>={wanted} beside the app, or change what asks for it"
                    )
                is_gone = True
            elif not is_gone or each.startswith("-"):
                is_gone = False
                kept.append(each)
            else:
                is_gone = False  # it was the value
        return kept

    def refusal(self, server: Server) -> tuple[str, str] | None:
        """The first key that cannot be done as asked, and the sentence for it; None if all can."""
        if (sentence := refused_argument(server.server_args)) is not None:
            return "server_args", sentence
        for name, text in server.env.items():
            if (sentence := refused_variable(name, text)) is not None:
                return "env", sentence
        for key, refused in self.refuses.items():
            value = getattr(server, key)
            if value is not None and not refused.accepts(value):
                return key, (
                    f"got {value!r}, {self.name} can't: {refused.because} (allowed is {refused.allowed}); "
                    f"remove {key} or give {self.name} an entry of its own"
                )
        return None

    def remedy(self, server: Server, python: str, log: str) -> str | None:
        """What to install, if the log says that the server, or the event loop asked for, is missing."""
        wanted = dict(self.needs)
        if server.loop == "uvloop":
            wanted["uvloop"] = "uvloop"
        for module, requirement in wanted.items():
            if re.search(rf"No module named '?{module}\b|{module} is not installed|'{module}' implementation not", log):
                return f"{python} has no {module}; run: {python} -m pip install '{requirement}'"
        if self.too_old is not None and self.too_old in log:
            module, requirement = next(iter(self.needs.items()))
            return f"the {module} of {python} is too old; run: {python} -m pip install '{requirement}'"
        return None


def refused_argument(arguments: Sequence[str]) -> str | None:
    """The sentence for the first option that Loopwise sets itself; None if there is none."""
    if arguments and not arguments[0].startswith("-"):
        return (
            f"got {arguments[0]!r} first, allowed are options such as --proxy-headers; put the option before its value"
        )
    for argument in arguments:
        is_long = argument.startswith("--")
        name = argument.partition("=")[0] if is_long else argument[:2]
        # gunicorn and hypercorn take the beginning of an option for the option.
        meant = next((each for each in RESERVED if each == name or (is_long and each.startswith(name))), None)
        if argument == "--" or (argument.startswith("-") and meant is not None):
            return f"got {argument!r}, which Loopwise sets by itself: {RESERVED.get(meant or '', _PLACE)}; remove it"
    return None


def refused_variable(name: str, text: str) -> str | None:
    """The sentence for a variable that stands for an option which Loopwise sets itself; None if it is another one."""
    if name == "GUNICORN_CMD_ARGS":
        try:
            sentence = refused_argument(shlex.split(text))
        except ValueError as error:
            return f"{name}: {text!r} is no list of options ({error}); correct it"
        return sentence and f"{name}: {sentence}"
    prefix = next((each for each in PREFIXES if name.startswith(each)), None)
    if name in INSTEAD_OF or prefix is None:
        remedy = INSTEAD_OF.get(name)
    else:
        remedy = RESERVED.get("--" + name.removeprefix(prefix).lower().replace("_", "-"))
    return remedy and f"got {name}, which says what Loopwise sets by itself: {remedy}; remove it"


def backlog(server: Server) -> list[str]:
    """The option for the listening socket's queue, which all servers call alike."""
    return [] if server.backlog is None else ["--backlog", str(server.backlog)]
