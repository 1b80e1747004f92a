"""Scripts of StampedUsers against a server that records their requests."""

import json
import socket
import textwrap
from gzip import compress
from pathlib import Path
from typing import Any, NamedTuple

from loopwise.generator.client import Generators
from support.fault_server import BEHAVIOURS, OK, Behaviour, FaultServer, Request, says
from support.generator import Generated, generate

HEAD = "from locust import *\nfrom loopwise import StampedUser\n"
OTHER_HOST = "http://192.0.2.1"
"""An address that is assigned to nobody: TEST-NET-1 (RFC 5737)."""


def answer(body: bytes = b"ok", *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


LINES = "one\r\nzwei Käse\nthree".encode()
ANSWERS = {
    "/tell": OK,
    "/find?q=a+b&tag=1&tag=2": OK,
    "/find?page=2&q=x": OK,
    "/item": answer(b'{"id": 7}', "Content-Type: application/json", "X-Kind: first"),
    "/latin": answer("Käse".encode("latin-1"), "Content-Type: text/plain; charset=ISO-8859-1"),
    "/login": answer(b"ok", "Set-Cookie: sid=42; Path=/; HttpOnly", "Set-Cookie: lang=de"),
    "/logout": answer(b"ok", "Set-Cookie: sid=; Max-Age=0"),
    "/lines": answer(LINES),
    "/packedlines": answer(compress(LINES), "Content-Encoding: gzip"),
    "/moved": answer(b"", f"Location: {OTHER_HOST}/", status="302 Found"),
}


class Asked(NamedTuple):
    """The run of a script, and every request that the server received."""

    run: Generated
    requests: list[Request]

    @property
    def facts(self) -> dict[str, Any]:
        """Facts that the script posted to /tell."""
        return dict(json.loads(request.body) for request in self.requests if request.path == "/tell")

    def of(self, path: str) -> Request:
        """The first request of a path."""
        return next(request for request in self.requests if request.path == path)

    @property
    def outcomes(self) -> set[tuple[str, int, str | None]]:
        """Endpoint, status and error of the rows."""
        return {(row["endpoint"], row["status"], row["error"]) for row in self.run.rows}


def ask(pool: Generators, folder: Path, text: str, **load: Any) -> Asked:
    """Run the text as a Locust file against a server that records its requests."""
    requests: list[Request] = []

    def recorded(behave: Behaviour) -> Behaviour:
        def behaves(connection: socket.socket, request: Request, server: FaultServer) -> bool:
            requests.append(request)
            return behave(connection, request, server)

        return behaves

    usual = ("/ok", "/204", "/head", "/not-found", "/breaks", "/closes-early", "/goodbye")
    answers = {path: recorded(says(data)) for path, data in ANSWERS.items()}
    answers |= {path: recorded(BEHAVIOURS[path]) for path in usual}
    path = folder / "script.py"
    path.write_text(HEAD + textwrap.dedent(text), encoding="utf-8")
    more = {"users": 1, "measure_s": 0.4, "timeout_s": 2.0} | load
    with FaultServer(answers) as server:
        return Asked(generate(pool, folder, server.url, scenario=path, **more), requests)
