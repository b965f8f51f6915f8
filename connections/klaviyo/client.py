"""One request to Klaviyo, one Exchange back. No retries, no redirects, no opinion about the answer.

The last step of the corridor before the wire. A client belongs to one thread; it keeps one connection open. Whoever
supervises it may `abort` a call that outlives the total deadline, since a read timeout alone is per read and a drip-fed
answer never trips it.
"""

import socket
from contextlib import suppress
from datetime import UTC, datetime
from threading import Timer
from time import monotonic, perf_counter
from urllib.parse import urlsplit

from django.conf import settings
from urllib3 import BaseHTTPResponse, Retry, Timeout
from urllib3.exceptions import (
    HTTPError,
    IncompleteRead,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
    SSLError,
)
from urllib3.exceptions import TimeoutError as WireTimeout

from connections.klaviyo.exchange import Exchange, Headers, Silence
from connections.outgoing import LOOPBACK_HOSTS, AddressRefused, guarded_pool

MAX_ANSWER_BYTES = 1_000_000
CHUNK = 65_536
MEDIA_TYPE = "application/vnd.api+json"
USER_AGENT = "viaduct/1"
NO_RETRIES = Retry(total=False)


def klaviyo_address() -> str:
    """Where this process finds Klaviyo, without a slash at the end."""
    return str(settings.KLAVIYO_BASE_URL)


def is_sandboxed() -> bool:
    """Whether Klaviyo is the twin on this machine, which calls to loopback are allowed for."""
    return urlsplit(klaviyo_address()).hostname in LOOPBACK_HOSTS


class Client:
    """Calls Klaviyo for one thread.

    `base_url` and `revision` default to the settings. Raises nothing for whatever the wire does: a call without a
    complete answer is an Exchange whose `silence` says why.
    """

    def __init__(self, base_url: str = "", revision: str = "") -> None:
        self.base_url = base_url or klaviyo_address()
        self.revision = revision or settings.KLAVIYO_REVISION
        self.total_seconds = float(settings.KLAVIYO_TOTAL_SECONDS)
        self.started = 0.0  # monotonic seconds of the call on the wire; 0 when there is none
        self._aborted = False
        self._timeout = Timeout(connect=settings.KLAVIYO_CONNECT_SECONDS, read=self.total_seconds)
        # The pool itself: what `requests` does around it (a prepared request, cookies, proxies, a Response that nobody
        # reads) would cost two fifths of a call's processor time.
        self._pool = guarded_pool(self.base_url)
        self._prefix = urlsplit(self.base_url).path

    def call(self, method: str, path: str, authorization: str, body: bytes = b"") -> Exchange:
        """Send one request and read its answer, bounded in size."""
        headers = self._headers(authorization, body)
        started_at, begun = datetime.now(UTC), perf_counter()
        self._aborted, self.started = False, monotonic()
        status, answer, silence = None, b"", None
        received: Headers = ()
        try:
            response = self._pool.urlopen(
                method, self._prefix + path, body or None, headers, NO_RETRIES, redirect=False, assert_same_host=False,
                timeout=self._timeout, preload_content=False, decode_content=False,
            )  # fmt: skip
            status, received = response.status, tuple(response.headers.items())
            answer, silence = _read(response)
        except (HTTPError, OSError) as error:
            silence = silence_of(error)
        finally:
            self.started = 0.0
        if self._aborted:
            silence = Silence.TIMEOUT  # the end that we made can look like the answer's own
        return Exchange(
            method=method,
            url=self.base_url + path,
            request_headers=_masked(headers, authorization),
            body=body,
            started_at=started_at,
            duration_ms=round((perf_counter() - begun) * 1000),
            status=status,
            response_headers=received,
            answer=answer,
            silence=silence,
        )

    def call_within(self, seconds: float, method: str, path: str, authorization: str, body: bytes = b"") -> Exchange:
        """The same, ended after `seconds` in total by a watch of its own: for single calls outside a lane."""
        watch = Timer(seconds, self.abort)
        watch.start()
        try:
            return self.call(method, path, authorization, body)
        finally:
            watch.cancel()

    def is_overdue(self) -> bool:
        """Whether the call on the wire has outlived the total deadline."""
        return bool(self.started) and monotonic() - self.started > self.total_seconds

    def abort(self) -> None:
        """End the call on the wire, from another thread."""
        self._aborted = True
        wire = getattr(self._pool.current, "wire", None)
        if wire is not None:
            with suppress(
                OSError
            ):  # the socket's own: TLS would first forget that it is TLS, and a key go out in clear
                socket.socket.shutdown(wire, socket.SHUT_RDWR)

    def close(self) -> None:
        self._pool.close()

    def _headers(self, authorization: str, body: bytes) -> dict[str, str]:
        told = {
            "Authorization": authorization,
            "revision": self.revision,
            "Accept": MEDIA_TYPE,
            "Accept-Encoding": "identity",
            "User-Agent": USER_AGENT,
        }
        return told | {"Content-Type": MEDIA_TYPE, "Content-Length": str(len(body))} if body else told


def silence_of(error: Exception) -> Silence:
    """Which kind of silence an exception of the wire means; looks through its causes."""
    seen: BaseException | None = error
    while seen is not None:
        for kind, silence in _SILENCES:
            if isinstance(seen, kind):
                return silence
        reason = getattr(seen, "reason", None)
        inner = next((value for value in seen.args if isinstance(value, BaseException)), None)
        seen = reason if isinstance(reason, BaseException) else inner or seen.__cause__
    return Silence.CONNECT


_SILENCES: tuple[tuple[type[BaseException], Silence], ...] = (
    (AddressRefused, Silence.ADDRESS),
    (NameResolutionError, Silence.DNS),
    (NewConnectionError, Silence.CONNECT),  # urllib3 counts it among the timeouts
    (SSLError, Silence.TLS),
    (IncompleteRead, Silence.CUT_OFF),
    (WireTimeout, Silence.TIMEOUT),
    (ProtocolError, Silence.RESET),
    (ConnectionError, Silence.RESET),
)


def _read(response: BaseHTTPResponse) -> tuple[bytes, Silence | None]:
    """The answer's bytes after transfer decoding, and why they are not all of it."""
    chunks, size = [], 0
    try:
        while chunk := response.read(CHUNK, decode_content=False):
            chunks.append(chunk)
            size += len(chunk)
            if size > MAX_ANSWER_BYTES:
                response.close()
                return b"".join(chunks)[:MAX_ANSWER_BYTES], Silence.ENDLESS
    except IncompleteRead as error:
        partial = error.partial if isinstance(error.partial, bytes) else b""
        return b"".join([*chunks, partial]), Silence.CUT_OFF
    except (ProtocolError, OSError):
        return b"".join(chunks), Silence.CUT_OFF
    response.release_conn()
    return b"".join(chunks), None if chunks or _is_framed(response) else Silence.CUT_OFF


def _is_framed(response: BaseHTTPResponse) -> bool:
    """Whether the answer said how long it is. Klaviyo's always do; http.client takes one that breaks off in the middle
    of its status line or headers for a whole one, and then nothing says so and nothing follows."""
    return response.status == 204 or "Content-Length" in response.headers or response.chunked


def _masked(headers: dict[str, str], authorization: str) -> Headers:
    """The headers as sent, the key reduced to its last four characters."""
    masked = f"{authorization.partition(' ')[0]} ****{authorization[-4:]}"
    return tuple((name, masked if name == "Authorization" else value) for name, value in headers.items())
