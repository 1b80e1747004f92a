"""files: reads and writes whole files in the scratch folder; in async by AnyIO, which uses threads for it."""

import itertools
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field

from target_app.verification import verify
from target_app.workload import Answer, Params, Workload
from target_app.workloads.sqlite import scratch_folder

_folders: list[Path] = []
"""The folder of each running app of this process, the newest last; a server has one."""
_numbers = itertools.count()


class FilesParams(Params):
    """Operation and file size."""

    operation: Literal["read", "write"] = Field(
        "read",
        description="read reads a file that all requests share; write writes a new one and removes it.",
    )
    size_kb: int = Field(64, ge=1, le=65_536, description="Size of the file, in units of 1024 bytes.")


@contextmanager
def start() -> Iterator[None]:
    """Provide the folder: LOOPWISE_SCRATCH, or a temporary one that is removed afterwards."""
    with scratch_folder() as folder:
        _folders.append(folder)
        try:
            yield
        finally:
            _folders.remove(folder)


def _folder() -> Path:
    if not _folders:
        raise RuntimeError("files has no folder: the server must run the app's lifespan (uvicorn --lifespan on)")
    return _folders[-1]


@lru_cache(maxsize=16)
def content(size_kb: int) -> bytes:
    """Return the content of a file of this size; every KB differs from the others."""
    return b"".join(b"%08d" % number * 128 for number in range(size_kb))


@lru_cache(maxsize=16)
def _checksum(size_kb: int) -> int:
    return zlib.crc32(content(size_kb))


def _shared(params: FilesParams) -> Path:
    """Return the file to read, made on first use, complete or not at all."""
    path = _folder() / f"read-{params.size_kb}kb"
    if not path.exists():
        draft = _new(path.name)
        draft.write_bytes(content(params.size_kb))
        draft.replace(path)
    return path


def _new(name: str) -> Path:
    """Return a path that no other request of any worker process uses."""
    return _folder() / f"{name}-{os.getpid()}-{next(_numbers)}"


def _read_answer(params: FilesParams, found: bytes) -> Answer:
    verify("checksum of the file read", zlib.crc32(found), _checksum(params.size_kb))
    return {"operation": "read", "bytes": len(found)}


def _write_answer(params: FilesParams, size: int) -> Answer:
    verify("size of the file written", size, params.size_kb * 1024)
    return {"operation": "write", "bytes": size}


def run(params: FilesParams) -> Answer:
    """Read or write on the calling thread; the GIL is released in each system call."""
    if params.operation == "read":
        return _read_answer(params, _shared(params).read_bytes())
    path = _new("write")
    path.write_bytes(content(params.size_kb))
    size = path.stat().st_size
    path.unlink()
    return _write_answer(params, size)


async def run_async(params: FilesParams) -> Answer:
    """Read or write by AnyIO: a hop to its thread pool for every step, from opening to removing."""
    import anyio  # describing the workload must not load it

    if params.operation == "read":
        async with await anyio.open_file(_shared(params), "rb") as file:
            return _read_answer(params, await file.read())
    path = anyio.Path(_new("write"))
    async with await anyio.open_file(path, "wb") as file:
        await file.write(content(params.size_kb))
    size = (await path.stat()).st_size
    await path.unlink()
    return _write_answer(params, size)


WORKLOAD = Workload(
    name="files",
    description="Reads a real file, or writes one and removes it; AnyIO's files in async.",
    params=FilesParams,
    run=run,
    run_async=run_async,
    cost=lambda _params: None,
    lacks={"process": "the work is the kernel's, and the interpreter's lock is free meanwhile"},
    start=start,
)
