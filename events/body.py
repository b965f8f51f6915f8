"""The body of a request, as it came over the wire and as it was meant: bounded, unchunked, inflated.

At the door, before anything is read as JSON.
"""

import zlib

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest

from events.problems import Problem

_START = 250_000  # how much of a body that is too large is worth keeping


class TooLarge(Problem):
    """More than INGEST_MAX_BYTES; `start` is what has been read of it."""

    def __init__(self, start: bytes) -> None:
        super().__init__(413, "too_large", f"A request carries at most {settings.INGEST_MAX_BYTES} bytes.")
        self.start = start


def raw_body(request: HttpRequest) -> bytes:
    """The bytes as sent, which is what signatures are made over; raises TooLarge, or Problem 400."""
    try:
        raw = request.body or _chunked(request)
    except RequestDataTooBig:
        raise TooLarge(_start(request)) from None
    except OSError:
        raise Problem(400, "not_complete", "The connection ended before the body did.") from None
    if len(raw) > settings.INGEST_MAX_BYTES:
        raise TooLarge(raw[:_START])
    return raw


def inflated(raw: bytes, encoding: str, *, is_tolerant: bool) -> bytes:
    """The body without its Content-Encoding. Tolerant, what looks like gzip is gzip, whatever the header says; raises
    Problem 400, 413 or 415."""
    encoding = encoding.strip().lower()
    is_gzip = encoding in ("gzip", "x-gzip")
    if raw.startswith(b"\x1f\x8b") and (is_tolerant or is_gzip):
        return _gunzipped(raw)
    if encoding in ("", "identity") or is_tolerant:
        return raw
    if is_gzip:
        raise Problem(400, "not_gzip", "The body is announced as gzip but is not.")
    raise Problem(415, "encoding_unknown", "Send the body as it is, or as gzip.")


def _chunked(request: HttpRequest) -> bytes:
    """Django reads nothing where a sender does not say how long the body is; the server knows where it ends."""
    if request.META.get("CONTENT_LENGTH") or not request.META.get("wsgi.input_terminated"):
        return b""
    return request.META["wsgi.input"].read(settings.INGEST_MAX_BYTES + 1)


def _start(request: HttpRequest) -> bytes:
    try:
        return request.META["wsgi.input"].read(_START)
    except OSError:
        return b""


def _gunzipped(raw: bytes) -> bytes:
    most, parts, size = settings.INGEST_MAX_BYTES, [], 0
    while raw:
        member = zlib.decompressobj(wbits=31)
        try:
            parts.append(member.decompress(raw, most + 1 - size))
        except zlib.error:
            raise Problem(400, "not_gzip", "The gzip body is damaged.") from None
        size += len(parts[-1])
        if size > most:
            raise Problem(413, "too_large", f"The body inflates to more than {most} bytes.")
        if not member.eof:
            raise Problem(400, "not_gzip", "The gzip body ends too early.")
        raw = member.unused_data.lstrip(b"\0")
    return b"".join(parts)
