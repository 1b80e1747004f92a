"""SERVERS and WSGI_SERVERS: the tables of server process managers."""

from loopwise.model import Server
from loopwise.servers.granian import GRANIAN, GRANIAN_WSGI
from loopwise.servers.gunicorn import GUNICORN, GUNICORN_ASGI, GUNICORN_WSGI
from loopwise.servers.hypercorn import HYPERCORN
from loopwise.servers.spec import ServerSpec
from loopwise.servers.uvicorn import UVICORN

SERVERS: dict[str, ServerSpec] = {spec.name: spec for spec in (UVICORN, GUNICORN, GUNICORN_ASGI, GRANIAN, HYPERCORN)}
"""Every server by its name in a suite, as it serves ASGI apps."""
WSGI_SERVERS: dict[str, ServerSpec] = {spec.name: spec for spec in (GUNICORN_WSGI, GRANIAN_WSGI)}
"""Those that also serve WSGI apps by an interface of their own, as they do that."""
PACKAGES = tuple(dict.fromkeys(package for spec in SERVERS.values() for package in spec.packages))
"""Packages of all servers: their versions belong to a result."""


def spec_of(server: Server) -> ServerSpec:
    """How a server serves an app of the interface that its settings say; `refusal` refuses what has none."""
    table = WSGI_SERVERS if server.interface == "wsgi" else SERVERS
    return table[server.name]


def refusal(server: Server) -> tuple[str, str] | None:
    """The first key of a suite that the server cannot do as asked, and the sentence for it; None if all can."""
    if server.interface == "wsgi" and server.name not in WSGI_SERVERS:
        able = " or ".join(f'"{name}"' for name in WSGI_SERVERS)
        because = f"{server.name} can't: {SERVERS[server.name].no_wsgi}"
        return "interface", f'got "wsgi", {because}; set server = {able}, or interface = "a2wsgi"'
    return spec_of(server).refusal(server)


def refused_keys() -> list[dict[str, str]]:
    """A row per server and suite key that it cannot do: server, key, allowed, because."""
    rows = [
        {"server": spec.shown, "key": key, "allowed": refused.allowed, "because": refused.because}
        for spec in (*SERVERS.values(), *WSGI_SERVERS.values())
        for key, refused in spec.refuses.items()
    ]
    others = [
        {"server": spec.name, "key": "interface", "allowed": "asgi, a2wsgi", "because": spec.no_wsgi}
        for spec in SERVERS.values()
        if spec.name not in WSGI_SERVERS
    ]
    return [*rows, *others]
