"""One request after the other by Locust's HttpUser, for comparison in `bench.py calibrate`."""

from locust import HttpUser, task


class Asker(HttpUser):
    """Never pauses."""

    @task
    def ask(self) -> None:
        """The static server's only answer."""
        self.client.get("/")
