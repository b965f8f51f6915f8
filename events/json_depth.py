"""How deep JSON nests, told without parsing it, because parsers recurse: the first look at whatever comes in. Pure."""

import re
from itertools import accumulate

MAX_DEPTH = 64
_NOT_MARKS = bytes(set(range(256)) - set(b'[]{}"'))
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")  # one deeper, one less deep, as signed bytes
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)


def is_deeper_than(raw: bytes, limit: int) -> bool:
    """Whether brackets nest deeper than `limit`, told without recursion; most often there are not even that many."""
    if not _has_more(raw, b"{", limit // 2) and not _has_more(raw, b"[", limit // 2):
        return False
    steps = memoryview(_brackets(raw).translate(_STEPS)).cast("b")
    return max(accumulate(steps), default=0) > limit


def _has_more(raw: bytes, sign: bytes, most: int) -> bool:
    """Whether `sign` is there more often; where it is rare, far quicker than counting."""
    at = -1
    for _ in range(most + 1):
        at = raw.find(sign, at + 1)
        if at < 0:
            return False
    return True


def _brackets(raw: bytes) -> bytes:
    """The brackets outside strings. Of a string that holds none only its two quotes are left, side by side."""
    unescaped = raw.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in raw else raw
    marks = unescaped.translate(None, _NOT_MARKS).replace(b'""', b"")
    return _STRING.sub(b"", raw).translate(None, _NOT_MARKS) if b'"' in marks else marks
