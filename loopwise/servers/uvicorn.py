"""The spec of uvicorn."""

from pathlib import Path

from loopwise.model import Server
from loopwise.servers.spec import ENTRY, GRACE_S, HOST, ServerSpec, Since, backlog


def _argv(server: Server, python: str, port: int, _scratch: Path) -> list[str]:
    argv = [python, "-m", "uvicorn", ENTRY, "--host", HOST, "--port", str(port)]
    # Its lines of access are of level info.
    argv += (
        ["--access-log", "--log-level", "info"] if server.access_log else ["--no-access-log", "--log-level", "warning"]
    )
    argv += ["--loop", server.loop, "--http", server.http]
    argv += ["--timeout-graceful-shutdown", GRACE_S]
    if server.workers > 1:
        argv += ["--workers", str(server.workers)]
    if server.limit_concurrency is not None:
        argv += ["--limit-concurrency", str(server.limit_concurrency)]
    return [*argv, *backlog(server)]


UVICORN = ServerSpec(
    name="uvicorn",
    description="uvicorn; several workers run under its own supervisor and share one listening socket",
    argv=_argv,
    since={"--timeout-graceful-shutdown": Since((0, 22))},
    lone_worker=True,
    logs_access=True,
    needs={"uvicorn": "uvicorn"},
    changes=("no access log (on)", "log level warning (info)", "2 s to end (no limit)"),
)
