"""One request, one Exchange, whatever the wire does: byte for byte against a server that follows a script."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import certifi
import pytest

from connections import outgoing
from connections.klaviyo.client import MAX_ANSWER_BYTES, Client
from connections.klaviyo.exchange import Exchange, Silence
from tests.connections.klaviyo.wire import Script, drips, hangs_up, playing, pours, says, stays, whole_request
from tests.twin import Twin

KEY = "Klaviyo-API-Key pk_0123456789abcdef0123456789abcd42"
ACCEPTED = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
SLOW = b"HTTP/1.1 202 OK\r\nX-Slow: yes\r\n"
BODY = b'{"data": {}}'


@pytest.fixture(autouse=True)
def short_patience(settings) -> None:
    settings.KLAVIYO_CONNECT_SECONDS, settings.KLAVIYO_TOTAL_SECONDS = 1.0, 0.5


def answer_to(*scripts: Script, seconds: float = 2.0, body: bytes = BODY) -> Exchange:
    with playing(*scripts) as wire:
        return Client(wire.url).call_within(seconds, "POST", "/api/events", KEY, body)


@pytest.fixture
def client(twin: Twin) -> Iterator[Client]:
    client = Client(twin.url)
    yield client
    client.close()


# ── What goes out and comes back ─────────────────────────────────────────────────────────────────────────────────────
def test_the_request_is_the_one_klaviyo_documents() -> None:
    with playing(says(ACCEPTED)) as wire:
        Client(wire.url, "2026-10-15").call("POST", "/api/events", KEY, BODY)
    head, _, body = wire.heard[0].partition(b"\r\n\r\n")
    line, *headers = head.decode().split("\r\n")
    assert (line, body) == ("POST /api/events HTTP/1.1", BODY)
    assert {
        f"Authorization: {KEY}",
        "revision: 2026-10-15",
        "Content-Type: application/vnd.api+json",
        "Accept: application/vnd.api+json",
        "Accept-Encoding: identity",
        f"Content-Length: {len(BODY)}",
    } <= set(headers)


def test_a_call_without_a_body_names_no_content() -> None:
    with playing(says(ACCEPTED)) as wire:
        Client(wire.url).call("GET", "/api/lists", KEY)
    assert b"content-type" not in wire.heard[0].lower()


def test_the_exchange_holds_both_sides_exactly_but_the_key() -> None:
    exchange = answer_to(says(b"HTTP/1.1 400 Bad\r\nX-Twice: 1\r\nX-Twice: 2\r\nContent-Length: 5\r\n\r\n\x00\xffab\n"))
    assert (exchange.status, exchange.answer, exchange.body) == (400, b"\x00\xffab\n", BODY)
    assert [value for name, value in exchange.response_headers if name == "X-Twice"] == ["1", "2"]
    assert dict(exchange.request_headers)["Authorization"] == "Klaviyo-API-Key ****cd42"
    assert "0123456789" not in repr(exchange)


def test_a_header_never_carries_a_zero_byte_into_the_tables() -> None:
    exchange = answer_to(says(b"HTTP/1.1 202 OK\r\nX-Klaviyo-Req-Id: ab\x00cd\r\nContent-Length: 0\r\n\r\n"))
    assert exchange.header("x-klaviyo-req-id") == "abcd"


def test_one_connection_serves_many_calls() -> None:
    def twice(connection: socket.socket, over: Event) -> None:
        connection.sendall(ACCEPTED)
        whole_request(connection)
        connection.sendall(ACCEPTED)

    with playing(twice) as wire:
        client = Client(wire.url)
        statuses = [client.call("POST", "/api/events", KEY, BODY).status for _ in range(2)]
    assert (statuses, len(wire.heard)) == ([202, 202], 1)


def test_head_and_body_leave_in_one_packet() -> None:
    packets, body = [], b"{" + b" " * 10_000 + b"}"

    def twice(connection: socket.socket, over: Event) -> None:
        connection.sendall(ACCEPTED)
        packets.append(connection.recv(65_536))
        connection.sendall(ACCEPTED)

    with playing(twice) as wire:
        client = Client(wire.url)
        assert [client.call("POST", "/api/events", KEY, body).status for _ in range(2)] == [202, 202]
    assert packets[0].startswith(b"POST /api/events HTTP/1.1\r\n")
    assert packets[0].endswith(b"\r\n\r\n" + body)


def test_a_connection_closed_between_two_calls_is_no_fault() -> None:
    with playing(says(ACCEPTED)) as wire:
        client = Client(wire.url)
        first = client.call("POST", "/api/events", KEY, BODY)
        time.sleep(0.05)
        second = client.call("POST", "/api/events", KEY, BODY)
    assert (first.status, second.status, second.silence) == (202, 202, None)


def test_an_answer_in_chunks_is_kept_without_their_frames() -> None:
    exchange = answer_to(says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"))
    assert (exchange.answer, exchange.silence) == (b"abcde", None)


def test_a_compressed_answer_is_kept_as_it_came() -> None:
    exchange = answer_to(says(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope"))
    assert (exchange.answer, exchange.silence) == (b"nope", None)


# ── Silence ──────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("script", "silence"),
    [
        (hangs_up, Silence.RESET),
        (says(b""), Silence.RESET),
        (says(b"SMTP ready\r\n\r\n"), Silence.RESET),
        (says(b"HTTP/1.1 202 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n"), Silence.RESET),
        (says(b"HTTP/1.1 202 OK\r\n" + b"X: y\r\n" * 500 + b"\r\n"), Silence.RESET),
        (says(b"HTTP/1.1 202 OK\r\nContent-Length: 10\r\n\r\nabc"), Silence.CUT_OFF),
        (says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc"), Silence.CUT_OFF),
        (says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc"), Silence.CUT_OFF),
        (says(b"HTTP/1.1 202 Accep"), Silence.CUT_OFF),
        (says(b"HTTP/1.1 202 Accepted\r\nX-Kla"), Silence.CUT_OFF),
        (stays(), Silence.TIMEOUT),
        (stays(b"HTTP/1.1 202 OK\r\n"), Silence.TIMEOUT),
        (stays(b"HTTP/1.1 202 OK\r\nContent-Length: 10\r\n\r\nabc"), Silence.TIMEOUT),
    ],
    ids=[
        "reset",
        "closed",
        "not http",
        "long header",
        "many headers",
        "short",
        "short chunk",
        "no chunk",
        "cut in the status line",
        "cut in a header",
        "mute",
        "half a head",
        "half a body",
    ],
)
def test_an_answer_that_is_not_whole_says_how(script: Script, silence: Silence) -> None:
    exchange = answer_to(script)
    assert exchange.silence is silence


def test_what_came_before_the_cut_is_kept() -> None:
    exchange = answer_to(says(b"HTTP/1.1 500 Oh\r\nContent-Length: 10\r\n\r\nabc"))
    assert (exchange.status, exchange.answer) == (500, b"abc")


def test_an_endless_answer_is_read_only_so_far() -> None:
    exchange = answer_to(pours(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65_536), seconds=20)
    assert (exchange.silence, len(exchange.answer)) == (Silence.ENDLESS, MAX_ANSWER_BYTES)


@pytest.mark.parametrize(
    "head",
    [b"", b"HTTP/1.1 ", SLOW, SLOW + b"Content-Length: 9999\r\n\r\n", SLOW + b"\r\n"],
    ids=["from the start", "the status", "a header", "a body of known length", "a body until the end"],
)
def test_an_answer_fed_drop_by_drop_ends_at_the_total_deadline(head: bytes) -> None:
    """The drops come faster than any patience between two of them, and never cease."""
    assert answer_to(drips(head), seconds=0.8).silence is Silence.TIMEOUT


def test_a_supervisor_sees_and_ends_a_call_that_outlives_its_deadline() -> None:
    client = Client("http://127.0.0.1:9")
    assert not client.is_overdue()
    client.started = time.monotonic() - client.total_seconds - 0.1
    assert client.is_overdue()


def test_after_a_call_that_was_ended_the_next_one_works() -> None:
    with playing(drips(b"HTTP/1.1 202 OK\r\nContent-Length: 9999\r\n\r\n"), says(ACCEPTED)) as wire:
        client = Client(wire.url)
        assert client.call_within(0.3, "POST", "/api/events", KEY, BODY).silence is Silence.TIMEOUT
        assert client.call("POST", "/api/events", KEY, BODY).status == 202


def test_a_slow_answer_within_the_deadline_is_an_answer(client: Client, twin: Twin) -> None:
    twin.fault(delay_ms=200)
    assert client.call("POST", "/api/events", KEY, BODY).silence is None


def test_nobody_listening_is_a_connection_that_could_not_be_made() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert Client(f"http://127.0.0.1:{port}").call("POST", "/api/events", KEY, BODY).silence is Silence.CONNECT


def test_a_name_that_does_not_resolve_says_so() -> None:
    exchange = Client("http://nowhere.invalid").call("POST", "/api/events", KEY, BODY)
    assert (exchange.silence, exchange.status) == (Silence.DNS, None)


def test_a_server_without_tls_is_not_secure() -> None:
    with playing(says(ACCEPTED)) as wire:
        exchange = Client(wire.url.replace("http://", "https://")).call("POST", "/api/events", KEY, BODY)
    assert exchange.silence is Silence.TLS
    assert KEY.encode() not in wire.heard[0]


def test_a_certificate_nobody_vouches_for_is_not_secure(own_certificate_server: int) -> None:
    exchange = Client(f"https://localhost:{own_certificate_server}").call("POST", "/api/events", KEY, BODY)
    assert exchange.silence is Silence.TLS


@pytest.mark.parametrize(("host", "expected"), [("localhost", (202, None)), ("127.0.0.1", (None, Silence.TLS))])
def test_a_certificate_is_good_for_its_own_name_alone(
    own_certificate: Path, own_certificate_server: int, monkeypatch, host: str, expected: tuple
) -> None:
    monkeypatch.setattr(certifi, "where", lambda: str(own_certificate))
    outgoing._trust.cache_clear()
    try:
        exchange = Client(f"https://{host}:{own_certificate_server}").call("POST", "/api/events", KEY, BODY)
    finally:
        outgoing._trust.cache_clear()
    assert (exchange.status, exchange.silence) == expected


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_never_followed(client: Client, twin: Twin, status: int) -> None:
    twin.fault(status=status, redirect=f"{twin.url}/api/events?moved=1")
    exchange = client.call("POST", "/api/events", KEY, BODY)
    assert (exchange.status, len(twin.requests())) == (status, 1)


def test_no_cookie_is_ever_sent_back() -> None:
    with playing(says(ACCEPTED.replace(b"\r\n\r\n", b"\r\nSet-Cookie: a=b\r\nConnection: close\r\n\r\n"))) as wire:
        client = Client(wire.url)
        client.call("POST", "/api/events", KEY, BODY)
        client.call("POST", "/api/events", KEY, BODY)
    assert b"cookie" not in wire.heard[1].lower()


def test_the_environments_proxies_do_not_see_the_key(monkeypatch: pytest.MonkeyPatch, client: Client) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert client.call("POST", "/api/events", KEY, BODY).status == 401
