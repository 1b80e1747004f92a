"""StampedUser: a scripted Locust user with kernel stamps, used like FastHttpUser.

    from locust import task
    from loopwise import StampedUser

    class Visitor(StampedUser):
        @task
        def look(self):
            self.client.get("/items/1")
            with self.client.post("/orders", json={"item": 1}, catch_response=True) as answer:
                if answer.json()["state"] != "new":
                    answer.failure("not new")

One greenlet a user; the reactor carries the requests, and the rows go to the run's samples.
"""

import ssl
from collections.abc import Callable, Mapping
from typing import Any

from geventhttpclient.client import HTTPClientPool
from locust import User
from locust.exception import LocustError, StopTest
from locust.user.users import RestMixin

from loopwise.generator.response import JudgedResponse
from loopwise.generator.stamped_client import StampedClient
from loopwise.servers.wire import DEFAULT_HEADERS

CARRIER = "loopwise_carrier"
"""Attribute of Locust's environment that holds the run's Carrier."""
REFUSED: Mapping[str, tuple[Any, str]] = {
    "proxy_host": (None, "a proxy would be measured"),
    "proxy_port": (None, "a proxy would be measured"),
    "max_retries": (0, "a failed request is a row, and is not repeated"),
    "pool_manager": (None, "connections are the reactor's; users of the same client_pool share theirs"),
}
"""Attributes of Locust's users that a StampedUser can't have: the value that changes nothing, and why."""


class StampedUser(User, RestMixin[JudgedResponse]):
    """A Locust user with a `client` whose answers are stamped by the kernel; subclass it and write tasks.

    It has FastHttpUser's attributes.
    """

    abstract = True
    default_headers: Mapping[str, Any] | None = DEFAULT_HEADERS
    """Sent with every request; changes apply to the requests that follow."""
    new_connection_per_request = False
    network_timeout: float | None = None
    """Seconds that a request may take; None: `timeout_s` of [load]."""
    connection_timeout: float | None = None
    """Seconds to connect; None: `timeout_s` of [load]."""
    max_redirects = 30
    insecure = False
    """Do not verify certificates."""
    concurrency = 10
    """Requests at a time of one user, whose script has greenlets of its own."""
    client_pool: HTTPClientPool | None = None
    """Users with the same one share their connections, as many as its `concurrency`."""
    ssl_context_factory: Callable[[], ssl.SSLContext] | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, (harmless, reason) in REFUSED.items():
            if vars(cls).get(name, harmless) != harmless:
                raise LocustError(f"{cls.__name__}.{name}: a StampedUser has no such attribute ({reason}); remove it")

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        carrier = getattr(environment, CARRIER, None)
        if carrier is None:
            raise LocustError("StampedUser runs under Loopwise only: set `scenario` of a suite to this file")
        if self.host is None:
            raise StopTest("a StampedUser needs a host: set `host` of its class")
        self.client = StampedClient(self, carrier)
