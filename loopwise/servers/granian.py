"""The spec of granian."""

from pathlib import Path

from loopwise.model import Server
from loopwise.servers.spec import ENTRY, GRACE_S, HOST, ServerSpec, Since, at_least, backlog, never, only

CONNECTIONS = 1024
"""Connections that it accepts in all, divided among its workers: as many as its default backlog."""


def _argv(server: Server, python: str, port: int, _scratch: Path) -> list[str]:
    argv = [python, "-m", "granian", ENTRY, "--interface", "asgi", "--host", HOST, "--port", str(port)]
    argv += ["--workers", str(server.workers), "--loop", server.loop, "--log-level", "warning"]
    argv += ["--workers-kill-timeout", GRACE_S, *(["--access-log"] if server.access_log else [])]
    if server.backlog is not None:
        # granian derives the connections that it accepts from the backlog; our key must change the backlog alone.
        argv += ["--backpressure", str(max(1, CONNECTIONS // server.workers))]
    return [*argv, *backlog(server)]


GRANIAN = ServerSpec(
    name="granian",
    description="granian, whose HTTP is written in Rust; each worker has its own listening socket (SO_REUSEPORT)",
    argv=_argv,
    needs={"granian": "granian"},
    since={
        "--workers-kill-timeout": Since((1, 7)),
        "--backpressure": Since((1, 4)),
        "--access-log": Since((1, 4), is_needed=True),
    },
    changes=("log level warning (info)", "2 s to end (no limit)"),
    refuses={
        "http": only("auto", because="it parses HTTP by itself, in Rust"),
        "limit_concurrency": never("it queues what is above its limit and never answers 503"),
        "backlog": at_least(128, because="it takes no shorter queue"),
    },
)
