"""Read JSON that is beyond doubt in half of the time: whatever passes here, `strict_json` would read to the same value.

Beside the strict reader, which asks here first and decides itself wherever there is a Doubt. msgspec reads and orjson
writes; both keep to RFC 8259 and know neither NaN nor bad UTF-8. What is left to see to are their depth, integers that
not everybody can hold, and keys that appear twice, of which a reader keeps only one: then fewer commas come out again
than went in. Pure.
"""

from typing import Any

import msgspec
import orjson

from events.json_depth import MAX_DEPTH, is_deeper_than

_VALUE = msgspec.json.Decoder()
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_LARGE = 1_000_000  # bytes from which a list of tiny elements would take up many times its own size
_ELEMENT = 16  # bytes per comma that what Vrio sends exceeds


class Doubt(Exception):
    """Wrong, or only unusual: somebody who can tell has to look."""


def value_of(raw: bytes) -> Any:
    """The value that `raw` spells; raises Doubt."""
    if is_deeper_than(raw, MAX_DEPTH):
        raise Doubt
    try:
        value = _VALUE.decode(raw)
        written = orjson.dumps(value, option=orjson.OPT_STRICT_INTEGER)  # which refuses more than 53 bits
    except (msgspec.MsgspecError, UnicodeDecodeError, orjson.JSONEncodeError):
        raise Doubt from None
    if written.count(b",") != raw.count(b",") or _may_escape_commas(raw):
        raise Doubt
    return value


def elements_of(raw: bytes) -> list[msgspec.Raw]:
    """The elements of a list, each as it was sent and still to be read; raises Doubt, also where `raw` is no list.

    Recursion ends with an error long before a stack of half a megabyte does; threads of servers have two and more.
    """
    if len(raw) > _LARGE and raw.count(b",") * _ELEMENT > len(raw):
        raise Doubt
    try:
        return _LIST.decode(raw)
    except (msgspec.MsgspecError, RecursionError):
        raise Doubt from None


def _may_escape_commas(raw: bytes) -> bool:
    """Whether a comma more may come out, in place of one that was lost."""
    return b"\\" in raw and (b"\\u002c" in raw or b"\\u002C" in raw)
