"""The specs of granian, for ASGI and for WSGI apps."""

from pathlib import Path

from loopwise.model import Server
from loopwise.servers.spec import ENTRY, GRACE_S, HOST, NO_LOOP, ServerSpec, Since, at_least, backlog, never, only

CONNECTIONS = 1024
"""Connections that it accepts in all, divided among its workers: as many as its default backlog."""


def _argv(server: Server, python: str, port: int, _scratch: Path) -> list[str]:
    argv = [python, "-m", "granian", ENTRY, "--interface", "asgi", "--loop", server.loop]
    return [*argv, *_options(server, port)]


def _wsgi_argv(server: Server, python: str, port: int, _scratch: Path) -> list[str]:
    argv = [python, "-m", "granian", ENTRY, "--interface", "wsgi"]
    argv += ["--blocking-threads", str(server.threads)] if server.threads is not None else []
    return [*argv, *_options(server, port)]


def _options(server: Server, port: int) -> list[str]:
    argv = ["--host", HOST, "--port", str(port), "--workers", str(server.workers), "--log-level", "warning"]
    argv += ["--workers-kill-timeout", GRACE_S, *(["--access-log"] if server.access_log else [])]
    if server.backlog is not None:
        # granian derives the connections that it accepts from the backlog; our key must change the backlog alone.
        argv += ["--backpressure", str(max(1, CONNECTIONS // server.workers))]
    return [*argv, *backlog(server)]


SINCE = {
    "--workers-kill-timeout": Since((1, 7)),
    "--backpressure": Since((1, 4)),
    "--access-log": Since((1, 4), is_needed=True),
}
CHANGES = ("log level warning (info)", "2 s to end (no limit)")
REFUSES = {
    "http": only("auto", because="it parses HTTP by itself, in Rust"),
    "limit_concurrency": never("it queues what is above its limit and never answers 503"),
    "backlog": at_least(128, because="it takes no shorter queue"),
}

GRANIAN = ServerSpec(
    name="granian",
    description="granian, whose HTTP is written in Rust; each worker has its own listening socket (SO_REUSEPORT)",
    argv=_argv,
    needs={"granian": "granian"},
    since=SINCE,
    changes=CHANGES,
    refuses=REFUSES,
)
GRANIAN_WSGI = ServerSpec(
    name="granian",
    description="granian's WSGI interface; `threads` are its blocking threads (by default half of its backlog)",
    argv=_wsgi_argv,
    needs={"granian": "granian"},
    interface="wsgi",
    since=SINCE,
    changes=CHANGES,
    refuses={"loop": only("auto", because=NO_LOOP), **REFUSES},
)
