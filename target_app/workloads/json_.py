"""json: validates a document and serialises it, on which most routes spend their CPU."""

from functools import lru_cache
from typing import Any

from pydantic import BaseModel, Field

from target_app.verification import json_response, verify
from target_app.workload import Answer, Params, Workload


class JsonParams(Params):
    """Size of the document."""

    size_kb: int = Field(16, ge=1, le=10_240, description="Size of the JSON text, in units of 1024 bytes.")


class Item(BaseModel):
    """An entry of the document; its JSON text is equally long for every number below a million."""

    id: str
    name: str
    price: float
    tags: list[str]
    active: bool


class Document(BaseModel):
    """The document that is validated and serialised."""

    items: list[Item]


def _item(number: int) -> dict[str, Any]:
    return {
        "id": f"{number:06d}",
        "name": f"item number {number:06d}",
        "price": 100.25 + number % 800,  # always three digits and two decimals
        "tags": ["first", "second", "third"],
        "active": True,
    }


_BYTES_PER_ITEM = len(Item.model_validate(_item(0)).model_dump_json()) + len(",")


@lru_cache(maxsize=16)
def rows(size_kb: int) -> dict[str, Any]:
    """Return plain objects as a database would give them, not validated; made only once."""
    count = max(1, size_kb * 1024 // _BYTES_PER_ITEM)
    return {"items": [_item(number) for number in range(count)]}


@lru_cache(maxsize=16)
def expected_bytes(size_kb: int) -> int:
    """Compute the length of the right text: items of equal length, commas between them, and the brackets."""
    return len(rows(size_kb)["items"]) * _BYTES_PER_ITEM - len(",") + len('{"items":[]}')


def run(params: JsonParams) -> Answer:
    """Validate and serialise on the calling thread; pydantic's core does not release the GIL."""
    document = Document.model_validate(rows(params.size_kb))
    text = document.model_dump_json().encode()
    verify("length of the JSON text", len(text), expected_bytes(params.size_kb))
    return json_response(text)


async def run_async(params: JsonParams) -> Answer:
    """Validate and serialise on the event loop: there is nothing to await."""
    return run(params)


WORKLOAD = Workload(
    name="json",
    description="Validates a document of a given size (pydantic), serialises it and sends it as it is.",
    params=JsonParams,
    run=run,
    run_async=run_async,
    cost=lambda _params: None,
)
