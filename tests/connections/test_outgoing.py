"""The guard: which addresses may be called, that a name is asked once, and that the socket goes where it was judged."""

import socket

import pytest

from connections.klaviyo.client import Client
from connections.klaviyo.exchange import Silence
from connections.outgoing import is_allowed, open_socket
from tests.connections.klaviyo.wire import playing, says

PUBLIC, REFUSING = "93.184.215.14", "8.8.4.4"
ACCEPTED = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
KEY = "Klaviyo-API-Key pk_0123456789abcdef0123456789abcd42"


class Names:
    """A resolver that gives one answer after another and remembers what it was asked."""

    def __init__(self) -> None:
        self.answers: list[list[str]] = []
        self.asked: list[str] = []

    def __call__(self, host: str, port: int, *_: object) -> list[tuple]:
        self.asked.append(host)
        kinds = {False: socket.AF_INET, True: socket.AF_INET6}
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [(kinds[":" in one], socket.SOCK_STREAM, 6, "", (one, port)) for one in found]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    names = Names()
    monkeypatch.setattr(socket, "getaddrinfo", names)
    return names


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that sockets were opened to, instead of opening them."""
    addresses: list[str] = []

    def create_connection(address: tuple[str, int], timeout: float | None) -> socket.socket:
        addresses.append(address[0])
        if address[0] == REFUSING:
            raise ConnectionRefusedError
        return socket.socket()

    monkeypatch.setattr(socket, "create_connection", create_connection)
    return addresses


@pytest.mark.parametrize(
    "address",
    ["10.0.0.1", "172.16.9.9", "192.168.1.1", "169.254.169.254", "127.0.0.1", "0.0.0.0", "100.64.0.1", "224.0.0.1",
     "255.255.255.255", "240.0.0.1", "192.0.2.1", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1",
     "::ffff:10.0.0.1", "::ffff:127.0.0.1", "64:ff9b::a00:1", "2002:a00:1::", "2001:db8::1", "::127.0.0.1", "::a00:1",
     "fec0::1"],
)  # fmt: skip
def test_what_is_not_public_is_refused(address: str) -> None:
    assert not is_allowed(address, loopback=False)


@pytest.mark.parametrize("address", [PUBLIC, "8.8.8.8", "2606:4700::6810:84e5", "::ffff:8.8.8.8"])
def test_what_is_public_is_allowed(address: str) -> None:
    assert is_allowed(address, loopback=False)


@pytest.mark.parametrize(
    ("address", "allowed"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), (PUBLIC, False), ("10.0.0.1", False)],
)
def test_the_sandbox_may_be_on_loopback_and_nowhere_else(address: str, allowed: bool) -> None:
    assert is_allowed(address, loopback=True) is allowed


def test_a_name_that_leads_inside_is_refused_before_anything_is_opened(names: Names, opened: list[str]) -> None:
    names.answers = [["10.0.0.1", "127.0.0.1", "169.254.169.254"]]
    exchange = Client("https://a.klaviyo.com").call("POST", "/api/events", KEY)
    assert (exchange.silence, opened) == (Silence.ADDRESS, [])


def test_of_several_addresses_only_the_public_ones_are_called(names: Names, opened: list[str]) -> None:
    names.answers = [["10.0.0.1", PUBLIC]]
    open_socket("a.klaviyo.com", 443, timeout=1, loopback=False).close()
    assert opened == [PUBLIC]


def test_a_name_is_asked_once_and_the_socket_goes_to_what_was_judged(names: Names, opened: list[str]) -> None:
    names.answers = [[PUBLIC], ["127.0.0.1"]]  # the second answer is what rebinding would give
    open_socket("a.klaviyo.com", 443, timeout=1, loopback=False).close()
    assert (names.asked, opened) == (["a.klaviyo.com"], [PUBLIC])


def test_an_address_that_does_not_answer_gives_way_to_the_next(names: Names, opened: list[str]) -> None:
    names.answers = [[REFUSING, PUBLIC]]
    open_socket("a.klaviyo.com", 443, timeout=1, loopback=False).close()
    assert opened == [REFUSING, PUBLIC]


def test_if_none_answers_the_last_ones_failure_is_told(names: Names, opened: list[str]) -> None:
    names.answers = [[REFUSING]]
    assert Client("https://a.klaviyo.com").call("POST", "/api/events", KEY).silence is Silence.CONNECT


def test_a_public_name_may_not_lead_to_the_sandbox(names: Names) -> None:
    with playing(says(ACCEPTED)) as wire:
        names.answers = [["127.0.0.1"]]
        exchange = Client(wire.url.replace("127.0.0.1", "a.klaviyo.com")).call("POST", "/api/events", KEY)
    assert (exchange.silence, wire.heard) == (Silence.ADDRESS, [])


def test_localhost_is_the_sandbox(names: Names) -> None:
    with playing(says(ACCEPTED)) as wire:
        names.answers = [["127.0.0.1"]]
        exchange = Client(wire.url.replace("127.0.0.1", "localhost")).call("POST", "/api/events", KEY)
    assert exchange.status == 202
