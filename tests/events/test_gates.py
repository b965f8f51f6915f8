"""E-mail addresses that Klaviyo would not take or not keep."""

import pytest

from events.gates import email_gate


@pytest.mark.parametrize(
    "email", ["a@klaviyo-demo.com", "first.last+tag@sub.shop.co.uk", "o'neil@shop.com", "x@xn--bcher-kva.de"]
)
def test_a_valid_address_passes(email: str) -> None:
    assert email_gate(email) is None


@pytest.mark.parametrize(
    "email",
    [
        "",
        "plain",
        "a@b",
        "a@@shop.com",
        "a b@shop.com",
        ".a@shop.com",
        "a..b@shop.com",
        "a@-shop.com",
        "a@shop..com",
        "a@shop.com, b@shop.com",
    ],
)
def test_an_invalid_address_is_no_address(email: str) -> None:
    gate = email_gate(email)
    assert gate is not None
    assert gate.reason == "no_email"


def test_an_address_has_at_most_100_characters() -> None:
    assert email_gate(f"{'a' * 60}@{'b' * 30}.co.uk") is None
    assert email_gate(f"{'a' * 60}@{'b' * 34}.co.uk") is not None


@pytest.mark.parametrize("email", ["a@example.com", "a@EXAMPLE.org", "a@test.com", "a@shop.test", "a@shop.invalid"])
def test_klaviyo_drops_test_domains_silently(email: str) -> None:
    gate = email_gate(email)
    assert gate is not None
    assert gate.reason == "dropped_domain"
