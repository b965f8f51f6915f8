"""A proxy between the engine and the sandbox that keeps every byte of every call, both ways."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit


class Wiretap:
    """Listens on a free port and relays to `target`; `calls` are (request, answer) as they crossed the wire."""

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self._target = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._door = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._door.getsockname()[1]}"
        self.calls: list[tuple[bytes, bytes]] = []
        self._lock = threading.Lock()
        threading.Thread(target=self._listen, daemon=True).start()

    def close(self) -> None:
        self._door.close()

    def _listen(self) -> None:
        while True:
            try:
                near, _ = self._door.accept()
            except OSError:
                return
            threading.Thread(target=self._relay, args=(near,), daemon=True).start()

    def _relay(self, near: socket.socket) -> None:
        with near, socket.create_connection(self._target) as far:
            while request := _message(near):
                far.sendall(request)
                answer = _message(far)
                with self._lock:
                    self.calls.append((request, answer))
                near.sendall(answer)


def _message(sock: socket.socket) -> bytes:
    """One whole HTTP message with a Content-Length, or b"" at the end of the connection."""
    read = b""
    while b"\r\n\r\n" not in read:
        piece = sock.recv(65_536)
        if not piece:
            return b""
        read += piece
    head, _, rest = read.partition(b"\r\n\r\n")
    lengths = [line.partition(b":")[2] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    missing = int(lengths[0]) - len(rest) if lengths else 0
    while missing > 0:
        piece = sock.recv(min(65_536, missing))
        read, missing = read + piece, missing - len(piece)
    return read


def body_of(message: bytes) -> bytes:
    return message.partition(b"\r\n\r\n")[2]


def headers_of(message: bytes) -> list[tuple[str, str]]:
    """The header lines as they crossed the wire, in their order."""
    lines = message.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
    return [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]


@contextmanager
def wiretap(target: str) -> Iterator[Wiretap]:
    tap = Wiretap(target)
    try:
        yield tap
    finally:
        tap.close()
