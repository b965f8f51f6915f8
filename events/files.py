"""Events from a file, whoever brings it: a command, or an owner on the page of history.

Another way to the same INSERT as the door's, block by block, so that repeating a file changes nothing.
"""

import gzip
import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import batched
from typing import IO

from django.utils import timezone

from connections import turns
from connections.models import Source
from events.api import DISPATCH
from events.ingest import Arrival, Origin, store
from events.models import Inbox
from events.reading import Refused, outcome_of
from events.strict_json import Item, NotStrict, read, read_line

BLOCK = 500
NO_LIMIT = 2**40
BUFFER = 1 << 20
BROKEN = (EOFError, gzip.BadGzipFile, zlib.error)

type Numbered = tuple[int, Arrival | Refused]


class TooBig(NotStrict):
    """The file, inflated, is larger than whoever brings it may send."""

    def __init__(self, most: int) -> None:
        super().__init__("too_big", f"Unpacked, the file has more than {most // 1_000_000} MB. Split it.")


@dataclass(slots=True)
class Taken:
    """What became of some values: how many were new and known, and what was refused, by its place in the file."""

    new: int = 0
    known: int = 0
    refused: list[tuple[int, str]] = field(default_factory=list)
    up_to: int = 0  # the place of the last value
    refused_before: int = 0  # by the run that this one continues

    @property
    def is_whole(self) -> bool:
        """Whether nothing was refused, now or before."""
        return not self.refused and not self.refused_before

    def add(self, more: "Taken") -> None:
        self.new, self.known, self.up_to = self.new + more.new, self.known + more.known, more.up_to
        self.refused += more.refused
        self.refused_before += more.refused_before


def origin_of(source: Source, proof: str, *, backfill: bool = False, history: bool = False) -> Origin:
    """Whose events a file brings; `proof` says how that is known."""
    inbox, _ = Inbox.objects.get_or_create(merchant_id=source.merchant_id)
    return Origin(
        merchant_id=source.merchant_id,
        source_id=source.pk,
        inbox_id=inbox.pk,
        key_id=None,
        authenticated_by=proof,
        backfill=backfill,
        history=history,
    )


def take_in(stream: IO[bytes], origin: Origin, *, after: int = 0, most: int = NO_LIMIT) -> Iterator[Taken]:
    """Store the file's values, a block at a time, each committed when it is told. `after` leaves out the first ones.

    Raises NotStrict where the file is no JSON or too big; what was told before that stays.
    """
    values = enumerate(outcomes(stream, most), 1)
    for block in batched((pair for pair in values if pair[0] > after), BLOCK):
        yield _stored(block, origin)


def finish(source: Source, origin: Origin, taken: Taken) -> None:
    """Ring for what came in; a history without a gap is remembered, because totals may be told from then on."""
    turns.ring(Inbox, origin.inbox_id, DISPATCH)
    if origin.history and taken.is_whole and taken.up_to:
        Source.objects.filter(pk=source.pk).update(history_imported_at=timezone.now())


def outcomes(stream: IO[bytes], most: int = NO_LIMIT) -> Iterator[Arrival | Refused]:
    """The values of a file, gzipped or not, in its order. One object a line is streamed; a list is read whole."""
    plain = _unpacked(stream, most)
    head = next((line.strip() for line in plain if line.strip()), b"")
    first = read_line(head)
    if head.startswith(b"[") or (first.refusal and first.refusal.code == "not_json"):
        yield from map(outcome_of, _whole(head + b"\n" + plain.read()))
        return
    yield outcome_of(first)
    yield from (outcome_of(read_line(line.strip())) for line in plain if line.strip())


def _whole(raw: bytes) -> list[Item]:
    """All of it is read before any of it is stored: who mends a broken file need not know how far it came."""
    return list(read(raw, max_items=NO_LIMIT).items)


def _stored(block: tuple[Numbered, ...], origin: Origin) -> Taken:
    arrivals = [one for _, one in block if isinstance(one, Arrival)]
    rows = store(origin, arrivals, timezone.now()).rows if arrivals else []
    refused = [(number, one.problem.detail) for number, one in block if isinstance(one, Refused)]
    known = sum(row.is_duplicate for row in rows)
    return Taken(new=len(rows) - known, known=known, refused=refused, up_to=block[-1][0])


def _unpacked(stream: IO[bytes], most: int) -> IO[bytes]:
    is_gzip = stream.read(2) == b"\x1f\x8b"
    stream.seek(0)
    plain: IO[bytes] = gzip.GzipFile(fileobj=stream) if is_gzip else stream  # type: ignore[assignment]
    return io.BufferedReader(_Bounded(plain, most), BUFFER)


class _Bounded(io.RawIOBase):
    """A stream that ends in TooBig: a small file may unpack to a very large one."""

    def __init__(self, inner: IO[bytes], most: int) -> None:
        self.inner, self.most, self.left = inner, most, most

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        told = self.inner.read(len(buffer))
        self.left -= len(told)
        if self.left < 0:
            raise TooBig(self.most)
        buffer[: len(told)] = told
        return len(told)
