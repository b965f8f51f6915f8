"""The guard of every call that leaves: only to the named host, to a public address, and to the one just checked.

Between the client and the wire. The name is resolved here, every address is judged, and the socket is opened to an
address that passed, so that a name cannot answer differently a moment later. Loopback is for the sandbox and allowed
only where the caller says so.
"""

import socket
import ssl
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

import certifi
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import NameResolutionError, NewConnectionError
from urllib3.util.connection import allowed_gai_family

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "::1")
TRANSLATED = ip_network("64:ff9b::/96")
OLD_INSIDE = (ip_network("::/96"), ip_network("fec0::/10"))  # of early IPv6, which Python calls global


class AddressRefused(NewConnectionError):
    """The host resolves to an address we do not call: private, link-local, reserved."""


def open_socket(host: str, port: int, *, timeout: float | None, loopback: bool) -> socket.socket:
    """A connected TCP socket to `host`; raises socket.gaierror, OSError, or PermissionError for a refused address."""
    addresses = [found[4] for found in socket.getaddrinfo(host, port, allowed_gai_family(), socket.SOCK_STREAM)]
    allowed = [address for address in addresses if is_allowed(str(address[0]), loopback=loopback)]
    if not allowed:
        raise PermissionError(f"{host} has no public address")
    failure: OSError | None = None
    for address in allowed:
        try:
            return socket.create_connection((address[0], port), timeout)
        except OSError as error:
            failure = error
    assert failure is not None
    raise failure


def is_allowed(address: str, *, loopback: bool) -> bool:
    """Whether we may call this IP address."""
    parsed = ip_address(address.partition("%")[0])
    if parsed in TRANSLATED:  # an IPv4 address in the clothes of IPv6: what is inside counts
        parsed = IPv4Address(int(parsed) & 0xFFFFFFFF)
    if loopback:
        return parsed.is_loopback
    return parsed.is_global and not parsed.is_multicast and not any(parsed in network for network in OLD_INSIDE)


class _Guarded:
    """What both connection classes share: the socket is opened through the guard, and `wire` keeps hold of it.

    http.client lets go of a socket while an answer without a length is still being read from it.
    """

    host: str
    port: int
    timeout: Any
    sock: Any
    wire: socket.socket | None = None
    _dns_host: str
    _parts: list[bytes] | None = None

    def request(self, *args: Any, **kwargs: Any) -> None:
        """Head and body in one write, which is one packet and one turn of the interpreter's lock less per call."""
        self._parts = parts = []
        try:
            super().request(*args, **kwargs)  # type: ignore[misc]
        finally:
            self._parts = None
        self.send(b"".join(parts))

    def send(self, data: bytes) -> None:
        if self._parts is None:
            super().send(data)  # type: ignore[misc]
        else:
            self._parts.append(data)

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        self.wire = self.sock

    def _new_conn(self) -> socket.socket:
        loopback = self._dns_host in LOOPBACK_HOSTS
        try:
            opened = open_socket(self._dns_host, self.port, timeout=self.timeout, loopback=loopback)
        except PermissionError as error:
            raise AddressRefused(self, str(error)) from error  # type: ignore[arg-type]
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error  # type: ignore[arg-type]
        except OSError as error:
            raise NewConnectionError(self, f"{error}") from error  # type: ignore[arg-type]
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return opened


class GuardedHTTPConnection(_Guarded, HTTPConnection):
    """Plain HTTP, for the sandbox on loopback."""


class GuardedHTTPSConnection(_Guarded, HTTPSConnection):
    """TLS, its certificate checked against the name that was asked for."""


class _Remembering:
    """A pool that knows which connection is in use, so that another thread can end a call that takes too long."""

    current: Any = None

    def _get_conn(self, timeout: float | None = None) -> Any:
        self.current = super()._get_conn(timeout)  # type: ignore[misc]
        return self.current


class GuardedHTTPPool(_Remembering, HTTPConnectionPool):
    ConnectionCls = GuardedHTTPConnection


class GuardedHTTPSPool(_Remembering, HTTPSConnectionPool):
    ConnectionCls = GuardedHTTPSConnection


def guarded_pools(**kwargs: Any) -> PoolManager:
    """A urllib3 pool manager all of whose connections pass the guard."""
    pools = PoolManager(**kwargs)
    pools.pool_classes_by_scheme = {"http": GuardedHTTPPool, "https": GuardedHTTPSPool}
    return pools


def guarded_pool(url: str) -> GuardedHTTPPool | GuardedHTTPSPool:
    """One open connection to the host of `url`, which passes the guard."""
    address = urlsplit(url)
    host = address.hostname or ""
    if address.scheme == "http":
        return GuardedHTTPPool(host, address.port or 80, maxsize=1)
    return GuardedHTTPSPool(host, address.port or 443, maxsize=1, ssl_context=_trust())


class SettledContext(ssl.SSLContext):
    """One for all threads, which OpenSSL allows as long as nobody changes it in use; urllib3 sets these two anew for
    each connection, and what another thread reads just then would be freed under its hands."""

    is_settled = False

    def set_alpn_protocols(self, alpn_protocols: Iterable[str]) -> None:
        if not self.is_settled:
            super().set_alpn_protocols(alpn_protocols)

    @property
    def verify_mode(self) -> ssl.VerifyMode:
        return super().verify_mode

    @verify_mode.setter
    def verify_mode(self, value: ssl.VerifyMode) -> None:
        if value != self.verify_mode:
            ssl.SSLContext.verify_mode.fset(self, value)  # type: ignore[attr-defined]


@lru_cache
def _trust() -> SettledContext:
    """Certificates of the public internet, read once for all connections of this process."""
    context = SettledContext(ssl.PROTOCOL_TLS_CLIENT)  # asks for a certificate, and for the host's name in it
    context.hostname_checks_common_name = False
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    context.is_settled = True
    return context
