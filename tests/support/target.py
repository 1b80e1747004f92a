"""The target app in the test's own process, and a workload that tells where it runs."""

import asyncio
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
from fastapi import FastAPI

from loopwise.servers.target import Description
from target_app import catalogue
from target_app.workload import Answer, Cost, Params, Workload


def described(requests: Sequence[Mapping[str, Any]]) -> list[Description]:
    """What loopwise.servers.target.describe answers, without the process that it starts for each suite."""
    return [Description.model_validate(catalogue.describe(each)) for each in requests]


def ask(app: FastAPI, *paths: str) -> list[httpx.Response]:
    """Starts the app, sends the requests one after the other, stops the app."""

    async def session() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://target") as client,
        ):
            return [await client.get(path) for path in paths]

    return asyncio.run(session())


class NoParams(Params):
    pass


def here(_params: NoParams) -> Answer:
    return {"thread": threading.current_thread().name}


async def here_async(params: NoParams) -> Answer:
    return here(params)


WHERE = Workload("where", "Tells its thread.", NoParams, here, here_async, lambda _params: Cost(0, 0))
