"""Remembers the last calls as they came and what they were answered, within a bound of rows and bytes.

Written by the sandbox once per call, read by the control plane.
"""

import base64
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from .answers import Answer, Manner
from .requests import Request
from .switches import Switches


@dataclass(slots=True)
class Entry:
    """One call and its answer."""

    seq: int
    account: str | None
    request: Request
    answer: Answer
    by_fault: bool

    @property
    def size(self) -> int:
        return len(self.request.head) + len(self.request.body) + len(self.answer.body)


@dataclass(slots=True)
class Journal:
    """A ring of calls, newest last; `counts` goes on counting by status what has left the ring."""

    switches: Switches
    entries: deque[Entry] = field(default_factory=deque)
    counts: dict[str, int] = field(default_factory=dict)
    seq: int = 0
    _bytes: int = 0

    def write(self, request: Request, answer: Answer, account: str | None, by_fault: bool) -> None:
        status = "dropped" if answer.manner is Manner.DROPPED else str(answer.status)
        self.counts[status] = self.counts.get(status, 0) + 1
        self.seq += 1
        if not self.switches.store_requests:
            return
        entry = Entry(self.seq, account, request, answer, by_fault)
        self.entries.append(entry)
        self._bytes += entry.size
        while len(self.entries) > self.switches.keep_requests or self._bytes > self.switches.keep_request_bytes:
            self._bytes -= self.entries.popleft().size

    def clear(self) -> None:
        self.entries.clear()
        self.counts.clear()
        self._bytes = 0


def shown_request(entry: Entry) -> dict[str, Any]:
    """A call as the control plane lists it; `status` None where the connection was dropped instead.

    `at` is the wall clock's moment of arrival, `at_monotonic` the machine's steady clock in seconds.
    """
    request, answer = entry.request, entry.answer
    return {
        "seq": entry.seq,
        "at": datetime.fromtimestamp(request.arrived_at, UTC).isoformat(),
        "at_epoch": request.arrived_at,
        "at_monotonic": request.arrived_at_monotonic,
        "account": entry.account,
        "method": request.method,
        "path": request.target.partition("?")[0],
        "query": request.query,
        "headers": dict(request.header_lines()),
        "header_lines": request.header_lines(),
        "body": request.body.decode(errors="replace"),
        "body_base64": base64.b64encode(request.body).decode(),
        "status": None if answer.manner is Manner.DROPPED else answer.status,
        "answer_headers": answer.headers,
        "answer_body": answer.body.decode(errors="replace"),
        "fault": entry.by_fault,
    }
