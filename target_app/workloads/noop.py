"""noop: does nothing, to measure the cost of the route itself."""

from target_app.workload import Answer, Cost, Params, Workload


class NoopParams(Params):
    """No parameters."""


def run(params: NoopParams) -> Answer:  # noqa: ARG001 - every workload is called alike
    """Do nothing."""
    return {}


async def run_async(params: NoopParams) -> Answer:
    """Do nothing, without awaiting."""
    return run(params)


WORKLOAD = Workload(
    name="noop",
    description="Does nothing, so that only the framework, the server and the mode cost anything.",
    params=NoopParams,
    run=run,
    run_async=run_async,
    cost=lambda _params: Cost(wait_ms=0.0, cpu_ms=0.0),
    lacks={"blocking": "it does nothing that could block the event loop"},
)
