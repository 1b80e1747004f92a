"""The lessons as one app: for each claim the routes `/c01/wrong` and `/c01/right`.

    uvicorn target_app.lessons.app:app

Modules by theme: waiting, blocking, threads, cpu, databases, http_clients. What their routes share (clients, pools, a
database file) is made when the app starts and closed when it stops.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import FastAPI

from target_app.lessons import blocking, cpu, databases, http_clients, threads, waiting


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the resources that each module's routes share; close them in reverse order."""
    async with AsyncExitStack() as stack:
        for module in (threads, cpu, databases, http_clients):
            await stack.enter_async_context(module.resources(app))
        yield


app = FastAPI(title="Loopwise lessons", lifespan=lifespan)
for each in (waiting, blocking, threads, cpu, databases, http_clients):
    app.include_router(each.router)


@app.get("/health")
async def health() -> dict[str, str]:
    """The canary: it does nothing, and is late only because of other routes."""
    return {"status": "ok"}
