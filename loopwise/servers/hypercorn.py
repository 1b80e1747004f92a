"""The spec of hypercorn."""

from pathlib import Path

from loopwise.model import Server
from loopwise.servers.spec import ENTRY, GRACE_S, HOST, ServerSpec, backlog, never, only

CONFIGURATION = "hypercorn_conf.py"


def _argv(server: Server, python: str, port: int, scratch: Path) -> list[str]:
    loop = "asyncio" if server.loop == "auto" else server.loop  # hypercorn's own default
    argv = [python, "-m", "hypercorn", "-c", f"file:{scratch / CONFIGURATION}"]
    argv += ["--bind", f"{HOST}:{port}", "--workers", str(server.workers), "--worker-class", loop]
    # Its lines of access are of level info.
    argv += ["--access-logfile", "-", "--log-level", "info"] if server.access_log else ["--log-level", "warning"]
    argv += ["--graceful-timeout", GRACE_S]
    return [*argv, *backlog(server), ENTRY]


HYPERCORN = ServerSpec(
    name="hypercorn",
    description="hypercorn; its workers share one listening socket",
    argv=_argv,
    needs={"hypercorn": "hypercorn"},
    refuses={
        "http": only("auto", "h11", because="it has h11 alone"),
        "limit_concurrency": never("it has no such limit"),
    },
    configuration=CONFIGURATION,
    changes=(
        "log level warning (info)",
        "2 s to end (3 s)",
        "`startup_timeout_s` for the app's start (60 s)",
        "workers may have children (no)",
    ),
    stop_root_alone=True,
    no_wsgi="its WSGI mode answers 500 where an app's answer has no body",  # 0.18, app_wrappers.py
)
