"""Another HTTP service: sync or async client, one for all or one for each request (C03, C16)."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from fastapi import APIRouter, FastAPI, Request

from target_app.lessons.slow_service import slow_service

router = APIRouter()
LIMITS = httpx.Limits(max_connections=200, max_keepalive_connections=200)
"""httpx keeps 20 connections by default, and opens all others anew for every request."""

_numbers = itertools.count()


@asynccontextmanager
async def resources(app: FastAPI) -> AsyncIterator[None]:
    """Clients that live as long as the app, and the service that they ask."""
    # No proxy from the environment: the service is on this machine.
    with slow_service() as url, httpx.Client(base_url=url, limits=LIMITS, trust_env=False) as client:
        async with httpx.AsyncClient(base_url=url, limits=LIMITS, trust_env=False) as async_client:
            app.state.url, app.state.client, app.state.async_client = url, client, async_client
            yield


def question(ms: int) -> dict[str, Any]:
    """What the slow service wants to know: above all how late it shall answer, on average."""
    return {"ms": ms, "sigma": 0.3, "seed": 1, "number": next(_numbers), "token": "found"}


# C03: async raises throughput for slow external services.


@router.get("/c03/wrong")
def c03_wrong(request: Request) -> dict[str, str]:
    """A slow service, asked by a sync client in `def`. Fine up to 40 at a time."""
    # The 41st request waits for a thread, as does every other `def` route of the app.
    client: httpx.Client = request.app.state.client
    answer = client.get("/wait", params=question(500))
    return {"answer": answer.json()["token"]}


@router.get("/c03/right")
async def c03_right(request: Request) -> dict[str, str]:
    """The same service, awaited: as many at a time as the client has connections."""
    client: httpx.AsyncClient = request.app.state.async_client
    answer = await client.get("/wait", params=question(500))
    return {"answer": answer.json()["token"]}


# C16: use an async HTTP client.


@router.get("/c16/wrong")
async def c16_wrong(request: Request) -> dict[str, str]:
    """An async client, but a new one for every request."""
    # Each one loads the certificates (milliseconds of CPU on the loop, when nobody is served) and connects anew.
    async with httpx.AsyncClient(base_url=request.app.state.url, trust_env=False) as client:
        answer = await client.get("/wait", params=question(50))
    return {"answer": answer.json()["token"]}


@router.get("/c16/right")
async def c16_right(request: Request) -> dict[str, str]:
    """One client for the app's life: its connections are kept."""
    client: httpx.AsyncClient = request.app.state.async_client
    answer = await client.get("/wait", params=question(50))
    return {"answer": answer.json()["token"]}
