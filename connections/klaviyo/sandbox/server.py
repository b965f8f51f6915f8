"""An HTTP/1.1 server of its own on loopback: keep-alive, one thread, little work per request.

The outermost layer of the sandbox. Hand-written because benchmarks run against it on the same two cores, and because
dropping, cutting and dripping answers needs the connection itself.
"""

import asyncio
import http
import time
from collections.abc import Callable
from email.utils import formatdate
from functools import lru_cache

from .answers import Answer, Manner
from .control import control, is_control
from .requests import Request
from .twin import Twin

LARGEST_HEAD = 64_000
LARGEST_BODY = 32_000_000
REASONS = {status.value: status.phrase for status in http.HTTPStatus}
ENDLESS_PIECE = b" " * 65_536
ENDLESS_PAUSE = 0.01
LINGER_SECONDS = 2.0


class Connection(asyncio.Protocol):
    """One client's connection: reads requests, one at a time, and writes answers in their order."""

    def __init__(self, twin: Twin, open_connections: set["Connection"]) -> None:
        self.twin = twin
        self.open_connections = open_connections
        self.read = bytearray()
        self.is_answering = self.is_closed = self.is_full = self.was_told_to_continue = self.has_given_up = False

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.loop = asyncio.get_running_loop()
        self.open_connections.add(self)

    def data_received(self, data: bytes) -> None:
        if self.has_given_up:
            return
        self.read += data
        if not self.is_answering:
            self._next()

    def pause_writing(self) -> None:
        self.is_full = True

    def resume_writing(self) -> None:
        self.is_full = False

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_closed = True
        self.open_connections.discard(self)

    # Reading

    def _next(self) -> None:
        """Take the next request out of what was read, once it is whole."""
        end = self.read.find(b"\r\n\r\n")
        if end < 0:
            if len(self.read) > LARGEST_HEAD:
                self._give_up(431)
            return
        head = bytes(self.read[:end])
        method, target, headers = _parsed(head)
        length = headers.get("content-length", "0")
        if refused := _refused(method, length, headers):
            self._give_up(refused)
        elif len(self.read) < (whole := end + 4 + int(length)):
            self._continue(headers)
        else:
            body = bytes(self.read[end + 4 : whole])
            del self.read[:whole]
            self._take(Request(method, target, headers, body, head, time.time(), time.monotonic()))

    def _continue(self, headers: dict[str, str]) -> None:
        if headers.get("expect", "").lower() == "100-continue" and not self.was_told_to_continue:
            self.was_told_to_continue = True
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _give_up(self, status: int) -> None:
        """Say so and hang up, but hear the rest: a connection closed on unread bytes takes the answer along."""
        self.has_given_up = True
        self.transport.write(_bytes(Answer(status, {"Connection": "close"}), "GET"))
        self.transport.write_eof()
        self.loop.call_later(LINGER_SECONDS, self.transport.close)

    def _take(self, request: Request) -> None:
        self.is_answering, self.was_told_to_continue = True, False
        if is_control(request):
            self._send(control(self.twin, request), request)
        else:
            arrives_at = request.arrived_at_monotonic + self.twin.arrival_delay()
            self._at(arrives_at, lambda: self._judge(request, arrives_at))

    def _judge(self, request: Request, arrived_at: float) -> None:
        answer = self.twin.answer(request)
        self._at(arrived_at + answer.delay, lambda: self._send(answer, request))

    def _at(self, moment: float, act: Callable[[], None]) -> None:
        """Delays count from the arrival: what judging takes is part of them, as it is part of Klaviyo's latency."""
        if moment <= self.loop.time():
            act()
        else:
            self.loop.call_at(moment, act)

    # Writing

    def _send(self, answer: Answer, request: Request) -> None:
        if self.is_closed:
            return
        whole = _bytes(answer, request.method)
        match answer.manner:
            case Manner.WHOLE:
                self.transport.write(whole)
                self._done(request, answer)
            case Manner.DROPPED:
                self.transport.abort()
            case Manner.TRUNCATED:
                self.transport.write(whole[: len(whole) // 2 if answer.cut is None else answer.cut])
                self.transport.close()
            case Manner.ENDLESS:
                self.transport.write(whole)
                self._write_on()
            case Manner.DRIPPING:
                self._drip(whole, answer, request)

    def _done(self, request: Request, answer: Answer) -> None:
        self.is_answering = False
        if answer.raw is not None or request.headers.get("connection", "").lower() == "close":
            self.transport.close()
        elif self.read:
            self._next()

    def _write_on(self) -> None:
        if self.is_closed:
            return
        if not self.is_full:
            self.transport.write(ENDLESS_PIECE)
        self.loop.call_later(ENDLESS_PAUSE, self._write_on)

    def _drip(self, rest: bytes, answer: Answer, request: Request) -> None:
        if self.is_closed:
            return
        if rest:
            self.transport.write(rest[:1])
            self.loop.call_later(answer.drip, self._drip, rest[1:], answer, request)
        else:
            self._done(request, answer)


async def serve(twin: Twin, port: int, ready: Callable[[int], None], stop: asyncio.Event) -> None:
    """Serve on loopback until `stop`; port 0 takes a free one, which `ready` is told. Raises OSError if in use."""
    connections: set[Connection] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(twin, connections), "127.0.0.1", port, backlog=1024)
    ready(server.sockets[0].getsockname()[1])
    await stop.wait()
    server.close()
    for connection in list(connections):
        connection.transport.abort()


def _parsed(head: bytes) -> tuple[str, str, dict[str, str]]:
    """Method, target and headers by lower-case name; the method is empty where it is no HTTP."""
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        return "", "", {}
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return words[0], words[1], headers


def _refused(method: str, length: str, headers: dict[str, str]) -> int:
    """The status with which this head is turned away before its body is read, 0 for none."""
    if not method or not length.isdecimal():
        return 400
    if "transfer-encoding" in headers:
        return 411
    return 413 if int(length) > LARGEST_BODY else 0


def _bytes(answer: Answer, method: str) -> bytes:
    if answer.raw is not None:
        return answer.raw
    lines = [f"HTTP/1.1 {answer.status} {REASONS.get(answer.status, 'Unknown')}", f"Date: {_date(int(time.time()))}"]
    lines += [f"{name}: {value}" for name, value in answer.headers.items()]
    if answer.manner is not Manner.ENDLESS and answer.status != 204:
        lines.append(f"Content-Length: {len(answer.body)}")
    head = "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n"
    return head if method == "HEAD" else head + answer.body


@lru_cache(maxsize=2)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)
