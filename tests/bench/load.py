"""A small load generator over raw keep-alive connections, and a meter for what the servers burn meanwhile.

It costs a few hundredths of a millisecond per request, so that on shared cores the server stays what is measured.
"""

import asyncio
import re
import statistics
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import psutil

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


@dataclass(slots=True)
class Measured:
    """What a round saw: seconds per answer, statuses, when each was answered, and the round's own length."""

    latencies: list[float] = field(default_factory=list)
    answered_at: dict[int, float] = field(default_factory=dict)  # by number, from 0, on the machine's steady clock
    statuses: Counter[int] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def per_second(self) -> float:
        return len(self.latencies) / self.seconds

    def quantile(self, share: float) -> float:
        """Milliseconds below which this share of the answers came."""
        ordered = sorted(self.latencies)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1000


def request_bytes(path: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    """A whole POST as it goes over the wire."""
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def closed_loop(port: int, requests: Iterator[bytes], *, clients: int, seconds: float) -> Measured:
    """Each client sends its next request when the last one is answered."""

    async def run() -> Measured:
        measured, until = Measured(), time.perf_counter() + seconds
        began_at = time.perf_counter()
        await asyncio.gather(*(_client(port, requests, measured, until) for _ in range(clients)))
        measured.seconds = time.perf_counter() - began_at
        return measured

    return asyncio.run(run())


def open_loop(port: int, requests: Iterator[bytes], *, per_second: float, seconds: float) -> Measured:
    """Requests leave at their appointed times; latency counts from the appointment, so that a stall is not hidden."""

    async def run() -> Measured:
        measured, free = Measured(), asyncio.LifoQueue[_Line]()
        began_at = time.perf_counter()
        tasks = []
        for number in range(int(per_second * seconds)):
            due = began_at + number / per_second
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.append(asyncio.create_task(_appointment(port, free, next(requests), number, due, measured)))
        await asyncio.gather(*tasks)
        measured.seconds = time.perf_counter() - began_at
        return measured

    return asyncio.run(run())


class Meter:
    """CPU seconds, user and system, that process trees have burnt since the meter was made."""

    def __init__(self, *roots: int) -> None:
        self.roots = roots
        self.began = self._total()

    def seconds(self) -> float:
        return self._total() - self.began

    def _total(self) -> float:
        processes = [p for root in self.roots for p in (psutil.Process(root), *psutil.Process(root).children(True))]
        return sum(times.user + times.system for p in processes if p.is_running() for times in [p.cpu_times()])


def median(values: list[float]) -> float:
    return statistics.median(values)


class _Line:
    """One keep-alive connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def to(cls, port: int) -> "_Line":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def ask(self, request: bytes) -> int:
        self.writer.write(request)
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        await self.reader.readexactly(int(length[1]) if length else 0)
        return int(head[9:12])


async def _client(port: int, requests: Iterator[bytes], measured: Measured, until: float) -> None:
    line = await _Line.to(port)
    while (began_at := time.perf_counter()) < until:
        measured.statuses[await line.ask(next(requests))] += 1
        measured.latencies.append(time.perf_counter() - began_at)
    line.writer.close()


async def _appointment(
    port: int, free: "asyncio.LifoQueue[_Line]", request: bytes, number: int, due: float, to: Measured
) -> None:
    line = await _open_line(port, free)
    to.statuses[await line.ask(request)] += 1
    to.latencies.append(time.perf_counter() - due)
    to.answered_at[number] = time.monotonic()
    free.put_nowait(line)


async def _open_line(port: int, free: "asyncio.LifoQueue[_Line]") -> _Line:
    """One that is free and still open, or a new one: the server closes what has been idle for half a minute."""
    while not free.empty():
        line = free.get_nowait()
        if not line.reader.at_eof():
            return line
        line.writer.close()
    return await _Line.to(port)
