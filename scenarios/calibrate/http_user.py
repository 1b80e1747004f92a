"""Back-to-back requests by Locust's HttpUser, for comparison in `bench.py calibrate`."""

from locust import HttpUser, task


class Asker(HttpUser):
    """A user who never pauses."""

    @task
    def ask(self) -> None:
        """Request the static server's only page."""
        self.client.get("/")
