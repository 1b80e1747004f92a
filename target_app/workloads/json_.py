"""json: builds, validates and serialises a document, which is what most routes spend their CPU on."""

import zlib
from typing import Any

from pydantic import BaseModel, Field

from target_app.workload import Answer, Params, Workload


class JsonParams(Params):
    """How large the document is."""

    size_kb: int = Field(16, ge=1, le=10_240, description="Size of the JSON text, in units of 1024 bytes.")


class Item(BaseModel):
    """An entry of the document; its JSON text is equally long for every number below a million."""

    id: str
    name: str
    price: float
    tags: list[str]
    active: bool


class Document(BaseModel):
    """What is validated and serialised."""

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


def run(params: JsonParams) -> Answer:
    """Does it all on the calling thread, holding the GIL; pydantic's core does not release it."""
    count = max(1, params.size_kb * 1024 // _BYTES_PER_ITEM)
    document = Document.model_validate({"items": [_item(number) for number in range(count)]})
    text = document.model_dump_json().encode()
    return {"items": count, "bytes": len(text), "checksum": zlib.crc32(text)}


async def run_async(params: JsonParams) -> Answer:
    """Does it all on the event loop: there is nothing to await."""
    return run(params)


WORKLOAD = Workload(
    name="json",
    description="Builds, validates (pydantic) and serialises a JSON document of a given size.",
    params=JsonParams,
    run=run,
    run_async=run_async,
    cost=lambda _params: None,
)
