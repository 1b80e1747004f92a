"""A shop as anybody would write it: it knows nothing of Loopwise."""

import asyncio
import time

import humanize
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, Field

app = FastAPI(title="Shop")

PRICES_CENT = {number: 1_000 + 37 * number for number in range(1, 101)}
QUERY_S = 0.002  # what a database would take


class Item(BaseModel):
    id: int
    price: str


class Order(BaseModel):
    item_id: int
    count: int = Field(default=1, ge=1, le=1000)


class Receipt(BaseModel):
    total: str
    text: str


def priced(item_id: int) -> Item:
    if item_id not in PRICES_CENT:
        raise HTTPException(404, f"there is no item {item_id}")
    return Item(id=item_id, price=f"{humanize.intcomma(PRICES_CENT[item_id] / 100, 2)} EUR")


@app.get("/items/{item_id}")
async def item(item_id: int) -> Item:
    await asyncio.sleep(QUERY_S)
    return priced(item_id)


@app.get("/items")
async def items() -> list[Item]:
    await asyncio.sleep(QUERY_S)
    return [priced(item_id) for item_id in PRICES_CENT]


@app.post("/orders", status_code=201)
async def order(wanted: Order) -> Receipt:
    await asyncio.sleep(QUERY_S)
    priced(wanted.item_id)
    total_cent = PRICES_CENT[wanted.item_id] * wanted.count
    text = f"{humanize.apnumber(wanted.count)} of item {wanted.item_id}"
    return Receipt(total=f"{humanize.intcomma(total_cent / 100, 2)} EUR", text=text)


@app.get("/slow")
def slow() -> dict[str, str]:
    time.sleep(0.02)  # a client library that blocks; `def` keeps it off the event loop
    return {"took": humanize.precisedelta(0.02, minimum_unit="milliseconds")}


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
