"""Five endpoints with nothing to change: `advise` leaves them alone."""

import asyncio
import time

from fastapi import FastAPI

app = FastAPI(title="Healthy")


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "well"}


@app.get("/items")
async def items() -> list[dict[str, int]]:
    await asyncio.sleep(0.01)
    return [{"id": number} for number in range(20)]


@app.get("/report")
def report() -> str:
    time.sleep(0.02)  # FastAPI runs `def` in threads
    return "reported"


@app.get("/thread")
async def thread() -> str:
    await asyncio.to_thread(time.sleep, 0.02)
    return "waited in a thread"


@app.get("/sum")
async def total() -> int:
    return sum(range(1000))
