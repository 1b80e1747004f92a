"""One request after the other by Locust's FastHttpUser, for comparison in `bench.py calibrate`."""

from locust import FastHttpUser, task


class Asker(FastHttpUser):
    """Never pauses."""

    @task
    def ask(self) -> None:
        """The static server's only answer."""
        self.client.get("/")
