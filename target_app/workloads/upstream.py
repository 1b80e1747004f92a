"""upstream: requests a real HTTP service on loopback, which answers after a delay, by httpx."""

import itertools
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from target_app.upstream import URL
from target_app.verification import ServiceMissingError, WrongAnswerError, verify
from target_app.workload import Answer, Cost, Params, Workload

if TYPE_CHECKING:
    from httpx import AsyncClient, Client

SEED = "LOOPWISE_SEED"
"""The environment variable that log-normal waits follow from; the harness gives each replicate its own."""
SERVICE = "upstream"
TIMEOUT_S = 120.0
"""Also of the wait for a free connection: a queue there is what is to be measured, not an error."""
DEFAULT_SIGMA = 0.5

_numbers = itertools.count()
_clients: "dict[int, Client]" = {}
_async_clients: "dict[int, AsyncClient]" = {}
"""Shared clients by their number of connections; made with the first request, closed with the app."""
_making = threading.Lock()


class UpstreamParams(Params):
    """Delay of the service, and the client that asks it."""

    ms: float = Field(
        50,
        ge=0,
        le=10_000,
        allow_inf_nan=False,
        description="Time the service takes for its answer, in milliseconds; the mean where it is drawn.",
    )
    distribution: Literal["fixed", "lognormal"] = Field(
        "fixed", description="Every answer takes ms, or each its own time, drawn from the seed."
    )
    sigma: float | None = Field(
        None,
        ge=0.01,
        le=2,
        allow_inf_nan=False,
        description="Spread of lognormal: standard deviation of the logarithm; 0.5 where it is left out.",
    )
    client: Literal["shared", "request"] = Field(
        "shared", description="One httpx client per process, or a new one for every request."
    )
    max_connections: int = Field(
        100, ge=1, le=10_000, description="Connections of a shared client; 100 is httpx's own default."
    )

    @model_validator(mode="after")
    def _sigma_needs_lognormal(self) -> "UpstreamParams":
        if self.sigma is not None and self.distribution == "fixed":
            raise ValueError('got sigma with distribution "fixed", allowed is it with "lognormal"; leave sigma out')
        return self


def service_url(name: str = URL) -> str:
    """Return the base URL of the service.

    Raises:
        ServiceMissingError: it is not set.
    """
    url = os.environ.get(name)
    if not url:
        raise ServiceMissingError(
            f'no upstream service runs: {name} is not set; start it by "python -m target_app.upstream",'
            " or measure by a suite, which does"
        )
    return url


def _question(params: UpstreamParams) -> dict[str, Any]:
    number = next(_numbers)
    sigma = (params.sigma or DEFAULT_SIGMA) if params.distribution == "lognormal" else 0
    return {
        "ms": params.ms,
        "sigma": sigma,
        "seed": os.environ.get(SEED, "1"),
        "number": number,
        "token": f"{os.getpid()}-{number}",
    }


def _answer(params: UpstreamParams, question: dict[str, Any], status: int, found: Any) -> Answer:
    verify("status of the upstream service", status, 200)
    verify("token that the upstream service gave back", found.get("token"), question["token"])
    if params.distribution == "fixed":
        verify("wait of the upstream service in ms", found["waited_ms"], round(params.ms, 3))
    return {"ms": params.ms, "distribution": params.distribution}


def _no_answer(error: Exception) -> WrongAnswerError:
    return WrongAnswerError(f"the upstream service gave no answer ({type(error).__name__}: {error})")


def _options(connections: int) -> dict[str, Any]:
    """Options without proxy (the service is local) that keep all connections; httpx would keep only 20 of 100."""
    import httpx  # describing the workload must not load it

    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    return {"timeout": TIMEOUT_S, "trust_env": False, "limits": limits}


def _shared(connections: int) -> "Client":
    import httpx  # describing the workload must not load it

    with _making:
        if connections not in _clients:
            _clients[connections] = httpx.Client(**_options(connections))
        return _clients[connections]


def run(params: UpstreamParams) -> Answer:
    """Ask by httpx.Client, which threads may share; the calling thread waits."""
    import httpx  # describing the workload must not load it

    url, question = f"{service_url()}/wait", _question(params)
    try:
        if params.client == "request":
            with httpx.Client(**_options(1)) as client:
                response = client.get(url, params=question)
        else:
            response = _shared(params.max_connections).get(url, params=question)
    except httpx.HTTPError as error:
        raise _no_answer(error) from error
    return _answer(params, question, response.status_code, response.json())


async def run_async(params: UpstreamParams) -> Answer:
    """Ask by httpx.AsyncClient; only the request itself waits."""
    import httpx  # describing the workload must not load it

    url, question = f"{service_url()}/wait", _question(params)
    try:
        if params.client == "request":
            async with httpx.AsyncClient(**_options(1)) as client:
                response = await client.get(url, params=question)
        else:
            connections = params.max_connections
            if connections not in _async_clients:
                _async_clients[connections] = httpx.AsyncClient(**_options(connections))
            response = await _async_clients[connections].get(url, params=question)
    except httpx.HTTPError as error:
        raise _no_answer(error) from error
    return _answer(params, question, response.status_code, response.json())


@asynccontextmanager
async def start() -> AsyncIterator[None]:
    """Close the shared clients with the app."""
    try:
        yield
    finally:
        while _clients:
            _clients.popitem()[1].close()
        while _async_clients:
            await _async_clients.popitem()[1].aclose()


WORKLOAD = Workload(
    name="upstream",
    description="Asks a real HTTP service on loopback, which answers late, by httpx; a client per process or request.",
    params=UpstreamParams,
    run=run,
    run_async=run_async,
    # The mean is all that throughput depends on, so that it holds for either distribution.
    cost=lambda params: Cost(wait_ms=params.ms, cpu_ms=0.0),
    lacks={"process": "an answer takes the service equally long, whichever process asks"},
    needs=lambda _params: (SERVICE,),
    start=start,
)
