"""Load over TLS: certificates are verified, and large bodies pass whole in both directions."""

import hashlib
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from support.fault_server import OK, Behaviour, FaultServer, Request, says
from support.generator import generate, get

from loopwise.errors import EndpointError
from loopwise.generator.client import GeneratorProcess
from loopwise.model import Case, Endpoint, Load
from loopwise.servers.lifecycle import check_endpoints

pytestmark = pytest.mark.e2e

CERTIFICATE = Path(__file__).parent / "data" / "loopback.pem"
"""Key and self-signed certificate for 127.0.0.1, valid until 2126. Nobody's secret: made for these tests."""
LARGE_BYTES = 1_000_000
LARGE = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LARGE_BYTES + b"x" * LARGE_BYTES
BODY = {"text": "y" * 8_000_000}
"""More than a socket of loopback takes at once."""


class TlsServer(FaultServer):
    """A FaultServer behind TLS.

    Args:
        answers: as FaultServer's.
        read_after_s: pause between the handshake and reading what comes then.
    """

    def __init__(self, answers: dict[str, Behaviour] | None = None, *, read_after_s: float = 0.0) -> None:
        self._read_after_s = read_after_s
        super().__init__(answers)

    @property
    def url(self) -> str:
        return super().url.replace("http:", "https:")

    def _serve(self, connection: socket.socket) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
        with suppress(OSError), connection:
            wrapped = context.wrap_socket(connection, server_side=True)
            self.closing.wait(self._read_after_s)
            super()._serve(wrapped)


class PlainServer(FaultServer):
    """Answers in plain text, whatever it is asked."""

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            connection.recv(65_536)
            connection.sendall(OK)


@pytest.fixture(scope="module")
def trusting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GeneratorProcess]:
    """A generator that takes the server's certificate for an authority."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
        process = GeneratorProcess(tmp_path_factory.mktemp("generator") / "generator.log")
    yield process
    process.close()


@pytest.mark.parametrize(
    ("path", "outcome"),
    [
        ("/ok", (200, None)),
        ("/chunked", (200, None)),
        ("/goodbye", (200, None)),
        ("/until-close", (200, None)),
        ("/not-found", (404, "status_404")),
        ("/closes-early", (0, "closed_early")),
        ("/closes", (0, "closed")),
    ],
)
def test_answers_over_tls_are_rows_with_the_user_stamp(
    path: str, outcome: tuple[int, str | None], trusting: GeneratorProcess, tmp_path: Path
) -> None:
    with TlsServer() as server:
        run = generate(trusting, tmp_path, server.url, get(path), users=2, measure_s=0.3)
    assert {(row["status"], row["error"]) for row in run.finished} == {outcome}
    assert {row["stamp"] for row in run.rows} == {"user"}
    assert all(row["sent_ns"] <= row["received_ns"] == row["read_ns"] for row in run.rows)


def test_one_tls_connection_carries_all_requests_of_a_user(trusting: GeneratorProcess, tmp_path: Path) -> None:
    with TlsServer() as server:
        run = generate(trusting, tmp_path, server.url, get("/ok"), users=3)
        assert server.connections == 3
    assert len(run.finished) > 3
    assert len({row["connection"] for row in run.finished}) == 3


def test_an_untrusted_certificate_is_an_error_without_a_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    process = GeneratorProcess(tmp_path / "generator.log")
    try:
        with TlsServer() as server:
            run = generate(process, tmp_path, server.url, get("/ok"), users=2)
            assert not server.seen
    finally:
        process.close()
    assert {(row["status"], row["error"]) for row in run.finished} == {(0, "tls_certificate")}


def test_the_check_before_a_run_names_the_variable_for_a_certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    with TlsServer() as server:
        case = Case(
            case_id="x", workload="x", mode="own", url=server.url, endpoints=(Endpoint(path="/ok"),), load=Load()
        )
        monkeypatch.delenv("SSL_CERT_FILE", raising=False)
        with pytest.raises(EndpointError) as raised:
            check_endpoints(case, server.url)
        assert not server.seen
        monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
        check_endpoints(case, server.url)
        assert server.seen == {"GET /ok": 1}
    assert "the certificate was not accepted (self-signed certificate) from https://127.0.0.1:" in str(raised.value)
    assert "name the file: SSL_CERT_FILE=/path/to/authority.pem" in str(raised.value)


def test_a_server_that_speaks_no_tls_is_an_error_of_its_own(trusting: GeneratorProcess, tmp_path: Path) -> None:
    with PlainServer() as server:
        run = generate(trusting, tmp_path, server.url.replace("http:", "https:"), get("/ok"), users=2)
    assert {(row["status"], row["error"]) for row in run.finished} == {(0, "tls")}


def test_a_large_answer_over_tls_arrives_whole(trusting: GeneratorProcess, tmp_path: Path) -> None:
    with TlsServer({"/big": says(LARGE)}) as server:
        run = generate(trusting, tmp_path, server.url, get("/big"), users=2, measure_s=0.3)
    assert {(row["status"], row["error"], row["bytes"]) for row in run.finished} == {(200, None, len(LARGE))}


@pytest.mark.parametrize("new_connection", [False, True])
def test_a_large_request_over_tls_reaches_a_slow_reader_whole(
    new_connection: bool, trusting: GeneratorProcess, tmp_path: Path
) -> None:
    digests = set()

    def take(connection: socket.socket, request: Request, server: FaultServer) -> bool:
        digests.add((len(request.body), hashlib.sha256(request.body).hexdigest()))
        connection.sendall(OK)
        return True

    with TlsServer({"/take": take}, read_after_s=0.2) as server:
        run = generate(
            trusting,
            tmp_path,
            server.url,
            [Endpoint(method="POST", path="/take", json_body=BODY)],
            users=2,
            warmup_max_s=10.0,
            timeout_s=10.0,
            new_connection_per_request=new_connection,
        )
    body = b'{"text":"' + b"y" * 8_000_000 + b'"}'
    assert digests == {(len(body), hashlib.sha256(body).hexdigest())}
    assert {(row["status"], row["error"]) for row in run.finished} == {(200, None)}
