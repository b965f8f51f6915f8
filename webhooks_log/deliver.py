"""The threads that hold the wire: each takes a claimed Delivery, makes one call, judges the answer, hands both back.

Between a lane's claim and its settlement. Threads touch no database; whoever feeds them does. Here is one of the two
borders where any exception is caught: a fault of ours while working on one row ends that row, not the lane.
"""

import logging
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Protocol

from connections.klaviyo.client import Client
from connections.klaviyo.exchange import Exchange
from connections.klaviyo.payloads import BULK_PATH, without_phone
from webhooks_log.packing import pack_content
from webhooks_log.verdicts import Then, Verdict, judge

logger = logging.getLogger("viaduct.deliver")


class Letter(Protocol):
    """Where a call goes and what it carries. A thread asks for the bytes, since unpacking them lets go of the
    interpreter's lock: whoever feeds the threads would wait for it again at every call."""

    @property
    def path(self) -> str: ...

    @property
    def body(self) -> bytes: ...


@dataclass(slots=True)
class Sending:
    """One call to make: for whom (opaque to the threads), with which key, and what."""

    errand: Any
    authorization: str
    letter: Letter


@dataclass(slots=True)
class Outcome:
    """What came of a Sending: the judged Exchange, its bytes packed, and the body for a second call if it needs one."""

    exchange: Exchange
    verdict: Verdict
    packed: bytes
    codec: int
    stripped: bytes = b""


class Senders:
    """Threads, each with one open connection to Klaviyo. `size` is how many calls should be out at once.

    A few calls more may wait in line, so that a thread that becomes free need not wait for whoever feeds it; until a
    thread has taken one, it can be taken back.
    """

    def __init__(self, threads: int) -> None:
        self.size = threads
        self._todo: SimpleQueue[Sending | None] = SimpleQueue()
        self._done: SimpleQueue[tuple[Sending, Outcome | None]] = SimpleQueue()
        self._clients: list[Client] = []
        self._threads: list[Thread] = []
        self.outstanding = 0

    def send(self, sending: Sending, *, may_wait: bool = False) -> None:
        """Make a call: at once, or, where it may wait, as soon as a thread is free."""
        self.outstanding += 1
        if self.outstanding > len(self._threads) and not may_wait:
            self._start()
        self._todo.put(sending)

    def take_back(self) -> list[Sending]:
        """Calls that no thread has begun, the first in line first; they are not made."""
        waiting: list[Sending] = []
        with suppress(Empty):
            while (sending := self._todo.get_nowait()) is not None:
                waiting.append(sending)
        self.outstanding -= len(waiting)
        return waiting

    def finished(self, timeout: float) -> Iterator[tuple[Sending, Outcome | None]]:
        """What came back, waiting at most `timeout` seconds for the first; None where a fault of ours came between."""
        try:
            one = self._done.get(timeout=timeout) if timeout > 0 else self._done.get_nowait()
            while True:
                self.outstanding -= 1
                yield one
                one = self._done.get_nowait()
        except Empty:
            return

    def end_overdue(self) -> None:
        """End calls that outlived the total deadline; their threads report them as unanswered."""
        for client in self._clients:
            if client.is_overdue():
                client.abort()

    def end_all(self) -> None:
        """End every call on the wire: its worker leaves now."""
        for client in self._clients:
            if client.started:
                client.abort()

    def close(self) -> None:
        for _ in self._threads:
            self._todo.put(None)
        for thread in self._threads:
            while thread.is_alive():
                thread.join(1.0)
                self.end_overdue()
        for client in self._clients:
            client.close()

    def _start(self) -> None:
        client = Client()
        thread = Thread(target=self._work, args=(client,), daemon=True)
        self._clients.append(client)
        self._threads.append(thread)
        thread.start()

    def _work(self, client: Client) -> None:
        while (sending := self._todo.get()) is not None:
            outcome = None
            try:
                outcome = _outcome(sending, client)
            except Exception:
                logger.exception("A fault of ours while sending")
            self._done.put((sending, outcome))


def _outcome(sending: Sending, client: Client) -> Outcome:
    path, body = sending.letter.path, sending.letter.body
    exchange = client.call("POST", path, sending.authorization, body)
    verdict = judge(exchange)
    packed, codec = pack_content(exchange)
    drops_phone = verdict.then is Then.NOW_WITHOUT_PHONE and path != BULK_PATH  # lanes sort jobs out
    stripped = without_phone(body) if drops_phone else b""
    return Outcome(exchange, verdict, packed, codec, stripped)
