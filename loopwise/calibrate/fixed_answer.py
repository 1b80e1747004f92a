"""A fast static server where nginx is missing: `python fixed_answer.py PORT` answers every GET with the same bytes.

A program of its own that is started by path; standard library only. It knows just enough of HTTP/1.1 to be measured
against: requests without a body, kept alive, split or joined in any way.
"""

import select
import socket
import sys

BODY = b"Loopwise calibrates against me.\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
END_OF_HEAD = b"\r\n\r\n"
READ_BYTES = 65_536
BACKLOG = 4096


def serve(listener: socket.socket) -> None:
    """Answer until the process is ended."""
    epoll = select.epoll()
    epoll.register(listener.fileno(), select.EPOLLIN)
    clients: dict[int, socket.socket] = {}
    rests: dict[int, bytes] = {}
    while True:
        for fd, _ in epoll.poll():
            client = clients.get(fd)
            if client is None:
                client, _ = listener.accept()
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                clients[client.fileno()] = client
                epoll.register(client.fileno(), select.EPOLLIN)
            elif not answer(client, rests):
                del clients[fd]
                rests.pop(fd, None)
                client.close()


def answer(client: socket.socket, rests: dict[int, bytes]) -> bool:
    """Answer what has arrived; false when the client is gone.

    Args:
        client: readable.
        rests: beginnings of requests that have not arrived whole, by file descriptor.
    """
    fd = client.fileno()
    try:
        data = client.recv(READ_BYTES)
        if not data:
            return False
        if rests:
            data = rests.pop(fd, b"") + data
        *requests, rest = data.split(END_OF_HEAD)
        if rest:
            rests[fd] = rest
        client.sendall(ANSWER * len(requests))
    except OSError:
        return False
    return True


if __name__ == "__main__":
    with socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=BACKLOG) as server:
        serve(server)
