"""The specs of gunicorn: with the worker class of uvicorn-worker, and with its own ASGI worker."""

from pathlib import Path

from loopwise.model import Server
from loopwise.servers.spec import ENTRY, GRACE_S, HOST, ServerSpec, Since, backlog, never, only

CONFIGURATION = "gunicorn_conf.py"


def _argv(server: Server, python: str, port: int, scratch: Path) -> list[str]:
    argv = [python, "-m", "gunicorn", ENTRY, "-c", str(scratch / CONFIGURATION)]
    return [*argv, *_options(server, port), *backlog(server)]


def _asgi_argv(server: Server, python: str, port: int, _scratch: Path) -> list[str]:
    argv = [python, "-m", "gunicorn", ENTRY, "--worker-class", "asgi", "--asgi-loop", server.loop]
    argv += ["--access-logfile", "-"] if server.access_log else []
    return [*argv, "--log-level", "warning", "--no-control-socket", *_options(server, port)]


def _options(server: Server, port: int) -> list[str]:
    # Timeout 0: both worker classes send their heartbeat from the event loop, so gunicorn would kill a worker whose
    # loop is blocked for 30 s, which is what we measure unless the suite wants it killed.
    options = ["--bind", f"{HOST}:{port}", "--workers", str(server.workers)]
    timeout = "30" if server.timeouts == "production" else "0"
    return [*options, "--timeout", timeout, "--graceful-timeout", GRACE_S]


CHANGES = ("no timeout (30 s)", "log level warning (info)", "2 s to end (30 s)", "no control socket (on)")

GUNICORN = ServerSpec(
    name="gunicorn",
    description="gunicorn with the worker class of uvicorn-worker",
    argv=_argv,
    needs={"gunicorn": "gunicorn", "uvicorn_worker": "uvicorn-worker"},
    configuration=CONFIGURATION,
    changes=CHANGES,
)
GUNICORN_ASGI = ServerSpec(
    name="gunicorn-asgi",
    description="gunicorn with its own ASGI worker, which parses HTTP itself",
    argv=_asgi_argv,
    needs={"gunicorn": "gunicorn>=25"},
    since={"--no-control-socket": Since((25, 1))},
    too_old="class uri",
    changes=CHANGES,
    refuses={
        "http": only("auto", because="its ASGI worker parses HTTP by itself"),
        "limit_concurrency": never("its ASGI worker has no such limit"),
        "backlog": never("its ASGI worker sets the queue of the socket back to asyncio's 100"),
    },
)
