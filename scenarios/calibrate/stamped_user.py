"""Back-to-back requests by StampedUser, to measure its cost in `bench.py calibrate`."""

from locust import task

from loopwise import StampedUser


class Asker(StampedUser):
    """A user who never pauses."""

    @task
    def ask(self) -> None:
        """Request the static server's only page."""
        self.client.get("/")
