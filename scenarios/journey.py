"""Users who visit several routes of the target app; an example of a Locust file.

Run it by the suite `journey`, or with Locust alone: `locust -f scenarios/journey.py --host http://127.0.0.1:8000`.
"""

import random

from locust import FastHttpUser, HttpUser, between, tag, task


class Browser(FastHttpUser):
    """Three of four users: reads a lot and pauses little. FastHttpUser is the faster of Locust's two clients."""

    weight = 3
    wait_time = between(0.01, 0.05)

    def on_start(self) -> None:
        """Open the connection before the tasks begin."""
        self.client.get("/health")

    @tag("read")
    @task(6)
    def read_a_page(self) -> None:
        """Read another page each time; without `name` every page would be an endpoint of its own."""
        after = random.randrange(0, 9000, 10)
        self.client.get(f"/sqlite/async?operation=read&rows=10&after={after}", name="/sqlite/async read")

    @tag("wait")
    @task(3)
    def ask_a_slow_service(self) -> None:
        """Request a route that waits."""
        self.client.get("/sleep/async?ms=20")

    @tag("read")
    @task(1)
    def check_a_document(self) -> None:
        """Count an answer as a success only if its content is right, too."""
        with self.client.get("/json/sync?size_kb=16", catch_response=True) as response:
            if response.status_code == 200 and response.json()["items"] < 1:
                response.failure("the document has no items")


class Visitor(HttpUser):
    """One of four users: writes now and then. Its client is a requests.Session."""

    weight = 1
    wait_time = between(0.05, 0.2)

    def on_start(self) -> None:
        """Set a header for all requests of this user."""
        self.client.headers["X-Visitor"] = str(random.getrandbits(32))
        self.client.get("/health")

    @tag("write")
    @task(2)
    def save(self) -> None:
        """Request a route that writes to disk."""
        self.client.get("/sqlite/sync?operation=write&rows=1", name="/sqlite/sync write")

    @tag("compute")
    @task(1)
    def compute(self) -> None:
        """Request a route that needs the CPU, then one that validates a document."""
        self.client.get("/cpu/sync?ms=2")
        self.client.get("/json/async?size_kb=4")
