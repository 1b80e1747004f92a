"""The specs of gunicorn: with the worker class of uvicorn-worker, with its own ASGI worker, and for WSGI apps."""

from pathlib import Path

from loopwise.model import Server
from loopwise.servers.spec import ENTRY, GRACE_S, HOST, NO_LOOP, ServerSpec, Since, backlog, never, only

CONFIGURATION = "gunicorn_conf.py"


def _argv(server: Server, python: str, port: int, scratch: Path) -> list[str]:
    argv = [python, "-m", "gunicorn", ENTRY, "-c", str(scratch / CONFIGURATION)]
    return [*argv, *_options(server, port), *backlog(server)]


def _asgi_argv(server: Server, python: str, port: int, _scratch: Path) -> list[str]:
    argv = [python, "-m", "gunicorn", ENTRY, "--worker-class", "asgi", "--asgi-loop", server.loop]
    argv += ["--access-logfile", "-"] if server.access_log else []
    return [*argv, *QUIET, *_options(server, port)]


def _wsgi_argv(server: Server, python: str, port: int, _scratch: Path) -> list[str]:
    argv = [python, "-m", "gunicorn", ENTRY, *(["--access-logfile", "-"] if server.access_log else [])]
    # With threads it takes its worker class gthread by itself, else sync.
    argv += ["--threads", str(server.threads)] if server.threads is not None else []
    return [*argv, *QUIET, *_options(server, port), *backlog(server)]


def _options(server: Server, port: int) -> list[str]:
    # Timeout 0: both worker classes send their heartbeat from the event loop, so gunicorn would kill a worker whose
    # loop is blocked for 30 s, which is what we measure unless the suite wants it killed.
    options = ["--bind", f"{HOST}:{port}", "--workers", str(server.workers)]
    timeout = "30" if server.timeouts == "production" else "0"
    return [*options, "--timeout", timeout, "--graceful-timeout", GRACE_S]


QUIET = ("--log-level", "warning", "--no-control-socket")
NO_SOCKET = {"--no-control-socket": Since((25, 1))}
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
    since=NO_SOCKET,
    too_old="class uri",
    changes=CHANGES,
    refuses={
        "http": only("auto", because="its ASGI worker parses HTTP by itself"),
        "limit_concurrency": never("its ASGI worker has no such limit"),
        "backlog": never("its ASGI worker sets the queue of the socket back to asyncio's 100"),
    },
)
GUNICORN_WSGI = ServerSpec(
    name="gunicorn",
    description="gunicorn's workers for WSGI apps: `sync` with one thread, or `gthread` with several (`threads`)",
    argv=_wsgi_argv,
    needs={"gunicorn": "gunicorn"},
    interface="wsgi",
    threads=1,
    reads_in_threads=True,
    since=NO_SOCKET,
    changes=CHANGES,
    refuses={
        "loop": only("auto", because=NO_LOOP),
        "http": only("auto", because="its workers for WSGI apps parse HTTP by themselves"),
        "limit_concurrency": never("its workers for WSGI apps have no such limit"),
    },
)
