"""One request after the other by StampedUser; what `bench.py calibrate` measures its price with."""

from locust import task

from loopwise import StampedUser


class Asker(StampedUser):
    """Never pauses."""

    @task
    def ask(self) -> None:
        """The static server's only answer."""
        self.client.get("/")
