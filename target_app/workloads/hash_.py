"""hash: hashes or compresses a large buffer in C, which releases the GIL: threads can use other cores."""

import hashlib
import zlib
from collections.abc import Callable
from functools import lru_cache
from typing import Literal

from pydantic import Field

from target_app.verification import verify
from target_app.workload import Answer, Params, Workload

PIECE_BYTES = 64 * 1024
"""Both modules release the GIL for buffers above 2 KB; the expected answers are made piece by piece."""


class HashParams(Params):
    """Algorithm and buffer size."""

    algorithm: Literal["sha256", "blake2b", "zlib"] = Field(
        "sha256", description="sha256 and blake2b hash the buffer; zlib compresses it at level 6."
    )
    size_kb: int = Field(
        1024, ge=4, le=65_536, description="Size of the buffer, in units of 1024 bytes; it is made only once."
    )


@lru_cache(maxsize=8)
def _buffer(size_kb: int) -> bytes:
    """Return text that compresses by about half, the same on every machine."""
    lines = (hashlib.sha256(b"%d" % number).hexdigest() for number in range(size_kb * 1024 // 64))
    return "".join(lines).encode()


@lru_cache(maxsize=32)
def _expected(algorithm: str, size_kb: int) -> str:
    """Compute the right answer in pieces, another way than the one that is measured."""
    buffer = _buffer(size_kb)
    pieces = [buffer[start : start + PIECE_BYTES] for start in range(0, len(buffer), PIECE_BYTES)]
    if algorithm == "zlib":
        packer = zlib.compressobj(6)
        packed = b"".join([*(packer.compress(piece) for piece in pieces), packer.flush()])
        verify("the buffer after zlib and back", zlib.decompress(packed) == buffer, True)
        return _sum(packed)
    hasher = hashlib.new(algorithm)
    for piece in pieces:
        hasher.update(piece)
    return hasher.hexdigest()


def _sum(packed: bytes) -> str:
    return f"{len(packed)}-{zlib.crc32(packed):08x}"


ALGORITHMS: dict[str, Callable[[bytes], str]] = {
    "sha256": lambda buffer: hashlib.sha256(buffer).hexdigest(),
    "blake2b": lambda buffer: hashlib.blake2b(buffer).hexdigest(),
    "zlib": lambda buffer: _sum(zlib.compress(buffer, 6)),
}


def run(params: HashParams) -> Answer:
    """Compute on the calling thread without holding the GIL."""
    buffer = _buffer(params.size_kb)
    result = ALGORITHMS[params.algorithm](buffer)
    verify(params.algorithm, result, _expected(params.algorithm, params.size_kb))
    return {"algorithm": params.algorithm, "bytes": len(buffer), "result": result}


async def run_async(params: HashParams) -> Answer:
    """Compute on the event loop, which is blocked meanwhile: there is nothing to await."""
    return run(params)


WORKLOAD = Workload(
    name="hash",
    description="Hashes (sha256, blake2b) or compresses (zlib) a large buffer in C, without holding the GIL.",
    params=HashParams,
    run=run,
    run_async=run_async,
    cost=lambda _params: None,
)
