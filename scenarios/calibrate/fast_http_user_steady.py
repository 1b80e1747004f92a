"""Requests by FastHttpUser with pauses: the steady load of `bench.py calibrate`, far from the generator's limit."""

from locust import FastHttpUser, constant, task


class Visitor(FastHttpUser):
    """A user who pauses as long as the declared users that it is compared with (loopwise/calibrate/bench.py)."""

    wait_time = constant(0.02)

    @task
    def ask(self) -> None:
        """Request the static server's only page."""
        self.client.get("/")
