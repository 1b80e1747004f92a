"""Back-to-back requests by Locust's FastHttpUser, for comparison in `bench.py calibrate`."""

from locust import FastHttpUser, task


class Asker(FastHttpUser):
    """A user who never pauses."""

    @task
    def ask(self) -> None:
        """Request the static server's only page."""
        self.client.get("/")
