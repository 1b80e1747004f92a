"""A request as it goes over the wire: its bytes are made once, before the run."""

import json
from typing import NamedTuple

from loopwise.model import Endpoint


class Request(NamedTuple):
    """A request as it goes over the wire, made once before the run."""

    data: bytes
    endpoint: int
    """Number of the endpoint's name in the recorder."""
    head: bool
    expect_status: int | None


def prepare(endpoint: Endpoint, host: str, number: int) -> Request:
    """Build the bytes of an endpoint's request (HTTP/1.1, kept alive)."""
    headers = {"Host": host, "User-Agent": "loopwise", "Accept": "*/*"}
    body = b""
    if endpoint.json_body is not None:
        body = json.dumps(endpoint.json_body, separators=(",", ":")).encode()
        headers["Content-Type"] = "application/json"
    if body or endpoint.method in {"POST", "PUT", "PATCH"}:
        headers["Content-Length"] = str(len(body))
    lowered = {name.lower() for name in endpoint.headers}
    lines = [f"{name}: {value}" for name, value in headers.items() if name.lower() not in lowered]
    lines += [f"{name}: {value}" for name, value in endpoint.headers.items()]
    head = "\r\n".join([f"{endpoint.method} {endpoint.path} HTTP/1.1", *lines, "", ""])
    return Request(head.encode("latin-1") + body, number, endpoint.method == "HEAD", endpoint.expect_status)
