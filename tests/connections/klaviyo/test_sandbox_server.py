"""The HTTP server itself: keep-alive, pipelines, heads and bodies in pieces, and how it starts and ends."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from connections.klaviyo.sandbox.accounts import FULL_KEY
from tests.connections.klaviyo.calls import post_event
from tests.twin import REPOSITORY, Twin

GET = f"GET /api/lists HTTP/1.1\r\nHost: x\r\nAuthorization: Klaviyo-API-Key {FULL_KEY}\r\nrevision: 2026-10-15\r\n"
PATIENCE = 10


@pytest.fixture
def wire(twin: Twin) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", int(twin.url.rpartition(":")[2])), PATIENCE) as wire:
        yield wire


def answers(wire: socket.socket, count: int) -> list[int]:
    """The status of each of the next answers on this connection."""
    read, found = b"", []
    while len(found) < count and (piece := wire.recv(65_536)):
        read += piece
        while b"\r\n\r\n" in read:
            head, _, rest = read.partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0] or 0)
            if len(rest) < length:
                break
            found.append(int(head.split(b" ")[1]))
            read = rest[length:]
    return found


def test_one_connection_serves_many_calls(wire: socket.socket) -> None:
    for _ in range(3):
        wire.sendall(f"{GET}\r\n".encode())
        assert answers(wire, 1) == [200]


def test_calls_sent_ahead_are_answered_in_order(twin: Twin, wire: socket.socket) -> None:
    twin.fault(status=503, delay_ms=50)
    wire.sendall(f"{GET}\r\n".encode() * 3)
    assert answers(wire, 3) == [503, 200, 200]


def test_a_call_may_come_in_pieces(wire: socket.socket) -> None:
    whole = f"{GET}\r\n".encode()
    for piece in (whole[:10], whole[10:40], whole[40:]):
        wire.sendall(piece)
        time.sleep(0.005)
    assert answers(wire, 1) == [200]


def test_who_asks_is_told_to_continue(wire: socket.socket) -> None:
    post = GET.replace("GET /api/lists", "POST /api/events")
    wire.sendall(f"{post}Content-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n".encode())
    assert answers(wire, 1) == [100]
    wire.sendall(b"{}")
    assert answers(wire, 1) == [400]


def test_who_closes_is_closed(wire: socket.socket) -> None:
    wire.sendall(f"{GET}Connection: close\r\n\r\n".encode())
    assert answers(wire, 2) == [200]
    assert wire.recv(1) == b""


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ("nonsense\r\n\r\n", 400),
        (f"{GET}Content-Length: many\r\n\r\n", 400),
        (f"{GET}Content-Length: 99000000\r\n\r\n", 413),
        (f"{GET}Transfer-Encoding: chunked\r\n\r\n", 411),
        ("GET / HTTP/1.1\r\nX: " + "x" * 70_000, 431),
    ],
)
def test_what_cannot_be_read_is_refused_and_closed(wire: socket.socket, sent: str, status: int) -> None:
    wire.sendall(sent.encode())
    assert answers(wire, 2) == [status]


def test_many_connections_are_served_at_once(twin: Twin, wire: socket.socket) -> None:
    """Nobody waits for the call that is not answered."""
    twin.fault(path="/api/lists", delay_ms=600_000)
    wire.sendall(f"{GET}\r\n".encode())
    with ThreadPoolExecutor(40) as pool:
        statuses = list(pool.map(lambda number: post_event(twin, unique_id=str(number)).status_code, range(40)))
    assert statuses == [202] * 40
    assert len(twin.events()) == 40


def test_a_port_in_use_is_one_clear_line(twin: Twin) -> None:
    port = twin.url.rpartition(":")[2]
    command = [sys.executable, "-m", "connections.klaviyo.sandbox", "--port", port]
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert ended.returncode == 1
    assert ended.stderr == f"Klaviyo sandbox: port {port} cannot be opened: Address already in use.\n"


def test_it_needs_neither_django_nor_the_rest_of_the_project() -> None:
    look = "import sys, connections.klaviyo.sandbox.__main__ as m; print([n for n in sys.modules if n.startswith"
    look += "(('django', 'config', 'events', 'webhooks_log', 'connections')) and 'sandbox' not in n])"
    said = subprocess.run([sys.executable, "-c", look], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "['connections', 'connections.klaviyo']"


def test_the_management_command_starts_the_same(tmp_path: object) -> None:
    command = [sys.executable, "manage.py", "klaviyo_sandbox", "--port", "0", "--until-input-ends"]
    running = subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert running.stdout
    url = running.stdout.readline().split()[-1]
    assert requests.get(f"{url}/_sandbox/events", timeout=5).json() == []
    running.communicate(timeout=PATIENCE)
    assert running.returncode == 0
