"""A server of one line: takes connections on loopback and plays a script on each, down to the single byte."""

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Event, Thread

TLS = b"\x16"  # what a client that wants a secure connection says first
Script = Callable[[socket.socket, Event], None]  # one connection, and the event that says the test is over


@dataclass
class Wire:
    port: int
    heard: list[bytes] = field(default_factory=list)  # what came in, one entry a connection

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def playing(*scripts: Script) -> Iterator[Wire]:
    """The first connection meets the first script, and so on; the last one is for all that follow."""
    over = Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        wire = Wire(server.getsockname()[1])
        thread = Thread(target=_serve, args=(server, scripts, wire, over), daemon=True)
        thread.start()
        yield wire
        over.set()
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def _serve(server: socket.socket, scripts: tuple[Script, ...], wire: Wire, over: Event) -> None:
    players = []
    while not over.is_set():
        try:
            connection, _ = server.accept()
        except OSError:
            break
        script = scripts[min(len(players), len(scripts) - 1)]
        wire.heard.append(b"")
        player = Thread(target=_play, args=(connection, script, wire, len(players), over), daemon=True)
        players.append(player)
        player.start()
    for player in players:
        player.join(10)


def _play(connection: socket.socket, script: Script, wire: Wire, number: int, over: Event) -> None:
    with connection, suppress(OSError):
        connection.settimeout(10)
        wire.heard[number] = whole_request(connection)
        script(connection, over)


def whole_request(connection: socket.socket) -> bytes:
    """Everything up to the end that Content-Length names: closing with some of it unread would reset the connection."""
    heard = b""
    while b"\r\n\r\n" not in heard and heard[:1] != TLS and (more := connection.recv(65_536)):
        heard += more
    length = re.search(rb"(?i)content-length: (\d+)", heard)
    missing = int(length[1]) - len(heard.partition(b"\r\n\r\n")[2]) if length else 0
    while missing > 0 and (more := connection.recv(65_536)):
        heard, missing = heard + more, missing - len(more)
    return heard


def says(answer: bytes) -> Script:
    """Sends these bytes and closes."""
    return lambda connection, over: connection.sendall(answer)


def stays(answer: bytes = b"") -> Script:
    """Sends these bytes and keeps the connection open."""

    def play(connection: socket.socket, over: Event) -> None:
        connection.sendall(answer)
        over.wait(30)

    return play


def drips(head: bytes, byte: bytes = b"x", *, seconds: float = 0.05) -> Script:
    """Sends the head, then one byte every so often, for ever."""

    def play(connection: socket.socket, over: Event) -> None:
        connection.sendall(head)
        while not over.wait(seconds):
            connection.sendall(byte)

    return play


def pours(head: bytes, chunk: bytes) -> Script:
    """Sends the head, then the chunk again and again, as fast as it is read."""

    def play(connection: socket.socket, over: Event) -> None:
        connection.sendall(head)
        while not over.is_set():
            connection.sendall(chunk)

    return play


def hangs_up(connection: socket.socket, over: Event) -> None:
    """Resets the connection without a word."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
