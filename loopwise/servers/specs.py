"""SERVERS: the table of server process managers."""

from loopwise.servers.granian import GRANIAN
from loopwise.servers.gunicorn import GUNICORN, GUNICORN_ASGI
from loopwise.servers.hypercorn import HYPERCORN
from loopwise.servers.spec import ServerSpec
from loopwise.servers.uvicorn import UVICORN

SERVERS: dict[str, ServerSpec] = {spec.name: spec for spec in (UVICORN, GUNICORN, GUNICORN_ASGI, GRANIAN, HYPERCORN)}
"""Every server by its name in a suite."""
PACKAGES = tuple(dict.fromkeys(package for spec in SERVERS.values() for package in spec.packages))
"""Packages of all servers: their versions belong to a result."""


def refused_keys() -> list[dict[str, str]]:
    """A row per server and suite key that it cannot do: server, key, allowed, because."""
    return [
        {"server": spec.name, "key": key, "allowed": refused.allowed, "because": refused.because}
        for spec in SERVERS.values()
        for key, refused in spec.refuses.items()
    ]
