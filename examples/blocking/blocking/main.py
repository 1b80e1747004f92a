"""Ten mistakes: `async def` routes that each hold the event loop with one call, and routes that hold nothing.

Each mistake carries the comment `# blocks: WHAT` at the end of its line; the end-to-end test finds them by it.
"""

import asyncio
import json
import re
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import requests
from fastapi import FastAPI

BIG_TEXT = json.dumps([{"id": number, "tags": ["a", "b"], "price": number / 7} for number in range(40_000)])
BIG_BYTES = BIG_TEXT.encode()
PROGRAM = [sys.executable, "-S", "-c", "print('done')"]
MISSPELT = "a" * 20 + "!"
COUNT = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000) SELECT sum(i) FROM n"


class SlowService(BaseHTTPRequestHandler):
    """Somebody else's service: answers after 20 ms, from a thread of its own."""

    def do_GET(self) -> None:
        time.sleep(0.02)
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    service = ThreadingHTTPServer(("127.0.0.1", 0), SlowService)
    threading.Thread(target=service.serve_forever, daemon=True).start()
    app.state.service = f"http://127.0.0.1:{service.server_port}/"
    with tempfile.NamedTemporaryFile() as big:
        big.write(b"x" * 50_000_000)
        big.flush()
        app.state.big_file = Path(big.name)
        yield
    service.shutdown()
    service.server_close()


app = FastAPI(title="Ten mistakes", lifespan=lifespan)


@app.get("/sleep")
async def sleep() -> str:
    # Nothing else runs in these 20 ms; `await asyncio.sleep(0.02)` lets everybody else go on.
    time.sleep(0.02)  # blocks: time.sleep
    return "slept"


@app.get("/requests")
async def fetch() -> str:
    # requests waits for the answer in a blocking socket; httpx.AsyncClient awaits it.
    answer = requests.get(app.state.service, timeout=5)  # blocks: requests
    return answer.text


@app.get("/sqlite")
async def query() -> int:
    # sqlite3 computes the answer in the calling thread; aiosqlite has a thread of its own for that.
    with sqlite3.connect(":memory:") as database:
        total: int = database.execute(COUNT).fetchone()[0]  # blocks: sqlite3
    database.close()
    return total


@app.get("/file")
async def read() -> int:
    # Reading a file blocks, from a slow disk for long; `await asyncio.to_thread(path.read_bytes)` doesn't.
    return len(app.state.big_file.read_bytes())  # blocks: file read


@app.get("/subprocess")
async def shell() -> str:
    # asyncio.create_subprocess_exec waits without holding the loop.
    done = subprocess.run(PROGRAM, capture_output=True, text=True, check=True)  # blocks: subprocess
    return done.stdout


@app.get("/dns")
async def resolve() -> int:
    # One lookup blocks for as long as the resolver takes. /etc/hosts answers at once, hence many of them here.
    return len([socket.getaddrinfo("localhost", 80) for _ in range(1500)])  # blocks: DNS


@app.get("/zlib")
async def compress() -> int:
    # zlib lets go of the GIL, and yet the loop's thread is busy: to_thread helps.
    return len(zlib.compress(BIG_BYTES, 6))  # blocks: zlib


@app.get("/json")
async def parse() -> int:
    # A big document keeps the GIL until it is parsed: only another process helps.
    return len(json.loads(BIG_TEXT))  # blocks: big JSON


@app.get("/regex")
async def match() -> bool:
    # Catastrophic backtracking; it keeps the GIL as well. Another pattern helps: a+$
    return re.match(r"(a+)+$", MISSPELT) is not None  # blocks: regex


@app.get("/loop")
async def compute() -> int:
    # Plain Python, no call that could be awaited: a process pool, or `def` to leave at least the loop alone.
    return sum(number * number for number in range(300_000))  # blocks: a pure-Python loop


@app.get("/healthy/async")
async def healthy_async() -> str:
    await asyncio.sleep(0.02)
    return "slept, and let others go on"


@app.get("/healthy/def")
def healthy_def() -> str:
    time.sleep(0.02)  # FastAPI runs `def` routes in threads
    return "slept in a thread"


@app.get("/healthy/to_thread")
async def healthy_to_thread() -> str:
    await asyncio.to_thread(time.sleep, 0.02)
    return "slept in a thread"


@app.get("/healthy/small")
async def healthy_small() -> dict[str, int]:
    return {"answer": sum(range(100))}
