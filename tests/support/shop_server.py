"""A server that gives tokens and repeats what it was sent, and keeps every request."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, NamedTuple


class Asked(NamedTuple):
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    """By lower-case name."""
    body: bytes
    client: int
    """Port of the connection's other end: which user it is."""


class ShopServer:
    """`POST /login` answers with a token that ends in the user's name, unless the user is `thief`; `/busy` with 503;
    everything else repeats the request.
    """

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        asked = self.asked

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def respond(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = Asked(self.command, self.path, headers, body, self.client_address[1])
                asked.append(request)
                data = json.dumps(answer_to(request)).encode()
                self.send_response(503 if self.path == "/busy" else 200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = respond  # noqa: N815 - as http.server looks for them

            def log_message(self, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            request_queue_size = 128
            daemon_threads = True

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def paths(self) -> list[str]:
        """Paths in the order in which they arrived."""
        return [each.path for each in self.asked]

    def __enter__(self) -> "ShopServer":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


def answer_to(request: Asked) -> dict[str, Any]:
    """What the shop says."""
    if request.path == "/login":
        user = json.loads(request.body)["user"]
        return {"status": "no"} if user == "thief" else {"status": "ok", "session": [{"token": f"token-of-{user}"}]}
    return {"path": request.path, "auth": request.headers.get("authorization"), "sent": request.body.decode()}
