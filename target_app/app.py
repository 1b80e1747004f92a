"""The app: a route for every workload in every mode, `/health` for the canary, and one sentence for every refusal."""

import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from target_app.catalogue import catalogue, modes_of, route_problem
from target_app.features import FEATURES_VARIABLE, routing_of
from target_app.modes import MODES, Build
from target_app.parameters import problem
from target_app.process_pool import Pool, PoolUnavailableError, pool_processes
from target_app.verification import ServiceMissingError, WrongAnswerError
from target_app.web_features import streamed
from target_app.workload import Answer, Workload
from target_app.workloads import WORKLOADS

SERVED_WORKLOADS = "LOOPWISE_WORKLOADS"
SERVED_MODES = "LOOPWISE_MODES"


def create_app(workloads: Mapping[str, Workload[Any]] = WORKLOADS) -> FastAPI:
    """Create the app with the workloads and modes that LOOPWISE_WORKLOADS and LOOPWISE_MODES list, or with all.

    Every route has the features that LOOPWISE_FEATURES names. Only what is served is started: without a route in
    mode `process` there is no process pool.

    Raises:
        ValueError: a variable names something that does not exist, or leaves no route.
    """
    served = _selected(SERVED_WORKLOADS, workloads)
    modes = _selected(SERVED_MODES, MODES)
    routing = routing_of(os.environ.get(FEATURES_VARIABLE, ""))
    pool = Pool(pool_processes(), [workload.run for workload in served.values()])
    app = FastAPI(title="Loopwise target", lifespan=_lifespan(served, modes, pool))
    for middleware in routing.middleware:
        app.add_middleware(middleware)

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/")
    async def index() -> dict[str, Any]:
        return catalogue(served, modes)

    routes = [(workload, mode) for workload in served.values() for mode in modes_of(workload, modes)]
    if not routes:
        raise ValueError(f"{SERVED_WORKLOADS} and {SERVED_MODES} leave no route: no workload named has a mode named")
    for workload, mode in routes:
        endpoint = modes[mode](workload, pool)
        dependencies = [Depends(each) for each in routing.dependencies]
        path, model = f"/{workload.name}/{mode}", routing.response_model
        app.get(path, response_model=model, dependencies=dependencies)(
            _route(workload, mode, streamed(endpoint) if routing.is_streamed else endpoint)
        )
    _answer_problems(app, served, modes)
    return app


def _selected(variable: str, table: Mapping[str, Any]) -> dict[str, Any]:
    names = [name.strip() for name in os.environ.get(variable, "").split(",") if name.strip()]
    if unknown := [name for name in names if name not in table]:
        raise ValueError(f'{variable}: got "{unknown[0]}", allowed are {", ".join(table)}')
    return {name: entry for name, entry in table.items() if not names or name in names}


def _route(workload: Workload[Any], mode: str, endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """Give an endpoint the name and annotations of a hand-written one; FastAPI reads the query by them."""
    endpoint.__name__ = f"{workload.name}_{mode}"
    endpoint.__doc__ = workload.description
    endpoint.__annotations__ = {"params": Annotated[workload.params, Query()], "return": Answer}
    return endpoint


def _lifespan(
    workloads: Mapping[str, Workload[Any]], modes: Mapping[str, Build], pool: Pool
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """Start the resources of the served workloads and modes; stop them in reverse order."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for workload in workloads.values():
                started = workload.start()
                if isinstance(started, AbstractAsyncContextManager):
                    await stack.enter_async_context(started)
                else:
                    stack.enter_context(started)
            if any("process" in modes_of(workload, modes) for workload in workloads.values()):
                # After the workloads: pool processes inherit what those put into the environment.
                stack.callback(pool.stop)
                await pool.start()
            yield

    return lifespan


def _answer_problems(app: FastAPI, workloads: Mapping[str, Workload[Any]], modes: Mapping[str, Build]) -> None:
    """Answer every refusal with `{"detail": one sentence}`."""

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        workload = workloads[request.url.path.split("/")[1]]
        parameter, sentence = problem(error.errors(), workload)
        return _sentence(422, f"{parameter}: {sentence}" if parameter else sentence)

    @app.exception_handler(404)
    async def unknown(request: Request, _error: Exception) -> JSONResponse:
        parts = request.url.path.strip("/").split("/")
        wrong = route_problem(parts[0], parts[1], workloads, modes) if len(parts) == 2 else None
        hint = "GET / lists what there is"
        return _sentence(404, f"{wrong[0]}: {wrong[1]}; {hint}" if wrong else f"no such path; {hint}")

    @app.exception_handler(PoolUnavailableError)
    @app.exception_handler(ServiceMissingError)
    async def unavailable(_request: Request, error: Exception) -> JSONResponse:
        return _sentence(503, str(error))

    @app.exception_handler(WrongAnswerError)
    async def wrong(_request: Request, error: WrongAnswerError) -> JSONResponse:
        return _sentence(500, str(error))


def _sentence(status: int, detail: str) -> JSONResponse:
    return JSONResponse({"detail": detail}, status_code=status)
