"""FastHttpUser with pauses: the steady case of `bench.py calibrate`, in which the generator is far from its limit."""

from locust import FastHttpUser, constant, task


class Visitor(FastHttpUser):
    """Pauses as long as the declared users it is compared with (loopwise/calibrate/latency.py)."""

    wait_time = constant(0.02)

    @task
    def ask(self) -> None:
        """The static server's only answer."""
        self.client.get("/")
