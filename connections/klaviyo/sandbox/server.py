"""An HTTP/1.1 server of its own on loopback: keep-alive, one thread, little work per request.

The outermost layer of the sandbox. Hand-written because benchmarks run against it on the same two cores, and because
dropping, cutting and dripping answers needs the connection itself.
"""

import asyncio
import http
import time
from collections.abc import Callable
from email.utils import formatdate

from .answers import Answer, Manner
from .control import control, is_control
from .requests import Request
from .twin import Twin

LARGEST_HEAD = 64_000
LARGEST_BODY = 32_000_000
REASONS = {status.value: status.phrase for status in http.HTTPStatus}
ENDLESS_PIECE = b" " * 65_536
ENDLESS_PAUSE = 0.01


class Connection(asyncio.Protocol):
    """One client's connection: reads requests, one at a time, and writes answers in their order."""

    def __init__(self, twin: Twin, open_connections: set["Connection"]) -> None:
        self.twin = twin
        self.open_connections = open_connections
        self.read = bytearray()
        self.is_answering = self.is_closed = self.is_full = self.was_told_to_continue = False

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.loop = asyncio.get_running_loop()
        self.open_connections.add(self)

    def data_received(self, data: bytes) -> None:
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
        end = self.read.find(b"\r\n\r\n")
        if end < 0:
            if len(self.read) > LARGEST_HEAD:
                self._give_up(431)
            return
        method, target, headers = _parsed(bytes(self.read[:end]))
        length = headers.get("content-length", "0")
        if not method or not length.isdecimal():
            return self._give_up(400)
        if "transfer-encoding" in headers:
            return self._give_up(411)
        if int(length) > LARGEST_BODY:
            return self._give_up(413)
        whole = end + 4 + int(length)
        if len(self.read) < whole:
            return self._continue(headers)
        request = Request(
            method,
            target,
            headers,
            bytes(self.read[end + 4 : whole]),
            bytes(self.read[:end]),
            time.time(),
            time.monotonic(),
        )
        del self.read[:whole]
        self.is_answering, self.was_told_to_continue = True, False
        self._take(request)

    def _continue(self, headers: dict[str, str]) -> None:
        if headers.get("expect", "").lower() == "100-continue" and not self.was_told_to_continue:
            self.was_told_to_continue = True
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _give_up(self, status: int) -> None:
        self._write(Answer(status, {"Connection": "close"}), "GET")
        self.transport.close()

    def _take(self, request: Request) -> None:
        if is_control(request):
            return self._send(control(self.twin, request), request)
        self._after(self.twin.arrival_delay(), lambda: self._judge(request))

    def _judge(self, request: Request) -> None:
        answer = self.twin.answer(request)
        self._after(answer.delay, lambda: self._send(answer, request))

    def _after(self, seconds: float, act: Callable[[], None]) -> None:
        if seconds <= 0:
            act()
        else:
            self.loop.call_later(seconds, act)

    # Writing

    def _send(self, answer: Answer, request: Request) -> None:
        if self.is_closed:
            return
        match answer.manner:
            case Manner.DROPPED:
                return self.transport.abort()
            case Manner.TRUNCATED:
                return self._write_part(_bytes(answer, request.method), answer.cut)
            case Manner.ENDLESS:
                self.transport.write(_bytes(answer, request.method, is_endless=True))
                return self._write_on()
            case Manner.DRIPPING:
                return self._drip(_bytes(answer, request.method), answer.drip)
        self._write(answer, request.method)
        if request.headers.get("connection", "").lower() == "close" or answer.raw is not None:
            return self.transport.close()
        self._done()

    def _done(self) -> None:
        self.is_answering = False
        if self.read:
            self._next()

    def _write(self, answer: Answer, method: str) -> None:
        self.transport.write(_bytes(answer, method))

    def _write_part(self, whole: bytes, cut: int | None) -> None:
        self.transport.write(whole[: len(whole) // 2 if cut is None else cut])
        self.transport.close()

    def _write_on(self) -> None:
        if self.is_closed:
            return
        if not self.is_full:
            self.transport.write(ENDLESS_PIECE)
        self.loop.call_later(ENDLESS_PAUSE, self._write_on)

    def _drip(self, rest: bytes, pause: float) -> None:
        if self.is_closed:
            return
        if not rest:
            return self._done()
        self.transport.write(rest[:1])
        self.loop.call_later(pause, self._drip, rest[1:], pause)


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


def _bytes(answer: Answer, method: str, is_endless: bool = False) -> bytes:
    if answer.raw is not None:
        return answer.raw
    lines = [f"HTTP/1.1 {answer.status} {REASONS.get(answer.status, 'Unknown')}", f"Date: {_date()}"]
    lines += [f"{name}: {value}" for name, value in answer.headers.items()]
    if not is_endless and answer.status != 204:
        lines.append(f"Content-Length: {len(answer.body)}")
    head = "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n"
    return head if method == "HEAD" else head + answer.body


_second: tuple[int, str] = (0, "")


def _date() -> str:
    """Now as HTTP spells it, made anew once a second."""
    global _second
    now = int(time.time())
    if _second[0] != now:
        _second = (now, formatdate(now, usegmt=True))
    return _second[1]
