"""Bytes at rest: packed for the database, unpacked to the very bytes that were sent or received.

Beside the corridor: dispatch packs bodies, lanes pack what an Attempt adds, the Webhooks tab unpacks both. Codec 1 is
zlib with a preset dictionary made from test fixtures, never from people; a codec once used is never changed, only
followed by another.
"""

import json
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from connections.klaviyo.exchange import Exchange, Headers
from connections.making import new
from webhooks_log.models import AttemptContent, Body

PLAIN, ZLIB_1 = 0, 1
NEWEST = ZLIB_1
DICTIONARIES = {ZLIB_1: Path(__file__).with_name("dictionary_1.bin")}


@dataclass(frozen=True, slots=True)
class Content:
    """What an Attempt keeps beside its slim row: both sides' headers (key masked), the URL, the answer's bytes."""

    method: str
    url: str
    request_headers: Headers
    response_headers: Headers
    answer: bytes


def pack(content: bytes) -> tuple[bytes, int]:
    """The packed bytes and the codec to store beside them."""
    # A small window and little memory: setting up zlib's default costs nine times as much as packing a message does.
    packer = zlib.compressobj(level=6, wbits=-13, memLevel=6, zdict=_dictionary(NEWEST))
    return packer.compress(content) + packer.flush(), NEWEST


def packed_body(content: bytes) -> Body:
    """A message's bytes as the row that will keep them."""
    packed, codec = pack(content)
    return new(Body, content=packed, codec=codec, size=len(content))


def unpack(packed: bytes, codec: int) -> bytes:
    """The original bytes; raises KeyError for a codec this version does not know."""
    if codec == PLAIN:
        return bytes(packed)
    return zlib.decompressobj(wbits=-15, zdict=_dictionary(codec)).decompress(packed)


def pack_content(exchange: Exchange) -> tuple[bytes, int]:
    """Everything of an Exchange that its Attempt's row and Body do not hold."""
    head = json.dumps(
        [exchange.method, exchange.url, exchange.request_headers, exchange.response_headers], separators=(",", ":")
    )
    return pack(head.encode() + b"\n" + exchange.answer)


def unpack_content(stored: AttemptContent) -> Content | None:
    """What was packed by `pack_content`; None when it has expired."""
    if stored.packed is None:
        return None
    head, _, answer = unpack(bytes(stored.packed), stored.codec).partition(b"\n")
    method, url, sent, received = json.loads(head)
    return Content(method, url, _pairs(sent), _pairs(received), answer)


def unpack_body(body: Body) -> bytes | None:
    """The exact bytes of a message; None when they have expired."""
    return None if body.content is None else unpack(bytes(body.content), body.codec)


def _pairs(headers: list[list[str]]) -> Headers:
    return tuple((name, value) for name, value in headers)


@lru_cache
def _dictionary(codec: int) -> bytes:
    return DICTIONARIES[codec].read_bytes()
