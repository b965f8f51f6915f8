"""Phone numbers: E.164 or nothing, and never a country code that nobody told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.phones import to_e164


@pytest.mark.parametrize(
    ("raw", "country", "number"),
    [
        ("(555) 123-4567", "US", "+15551234567"),
        ("555.123.4567", "US", "+15551234567"),
        ("555 123 4567", "CA", "+15551234567"),
        ("1-555-123-4567", "US", "+15551234567"),
        ("15551234567", "United States", "+15551234567"),
        ("555-123-4567 ext. 89", "US", "+15551234567"),
        ("1-800-FLOWERS", "US", "+18003569377"),
        ("+44 20 7946 0958", "US", "+442079460958"),
        ("+44 (0)20 7946 0958", "GB", "+442079460958"),
        ("020 7946 0958", "GB", "+442079460958"),
        ("020 7946 0958", "United Kingdom", "+442079460958"),
        ("0044 20 7946 0958", "FR", "+442079460958"),
        ("(555) 123-4567", None, "+15551234567"),
        ("(555) 123-4567", "", "+15551234567"),
    ],
)
def test_a_possible_number_becomes_e164(raw: str, country: str | None, number: str) -> None:
    assert to_e164(raw, country) == number


@pytest.mark.parametrize(
    ("raw", "country"),
    [
        ("123-4567", "US"),  # a local number without its area code
        ("555", "US"),
        ("call me", "US"),
        ("", "US"),
        ("(555) 123-4567", "Narnia"),
        ("+999 123", "US"),
        ("0044 20 7946 0958", "US"),  # the British prefix, dialled from where it is none
    ],
)
def test_what_is_no_possible_number_is_left_out(raw: str, country: str) -> None:
    assert to_e164(raw, country) is None


def test_the_merchants_country_completes_a_number_without_one() -> None:
    assert to_e164("020 7946 0958", None, default_country="GB") == "+442079460958"


@given(st.text(max_size=30), st.sampled_from(["GB", "DE", "FR", "AU", "Germany", "Narnia"]))
def test_a_foreign_national_number_never_gets_plus_one(raw: str, country: str) -> None:
    number = to_e164(raw, country)
    assert number is None or "+" in raw or "＋" in raw or not number.startswith("+1")
