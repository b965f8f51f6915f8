"""Personal data made unreadable, in fields, in trees and in free text."""

import pytest

from webhooks_log.masking import mask_email, mask_phone, mask_sentence
from webhooks_log.tree import parse, tree


def test_an_email_keeps_its_first_letters_and_its_last_label():
    assert mask_email("sarah.mason@klaviyo-demo.com") == "s•••@k•••.com"
    assert mask_email("") == ""


def test_a_phone_keeps_its_country_and_its_last_two_digits():
    assert mask_phone("+15551234567") == "+1•••67"


def test_free_text_loses_every_address_and_number():
    said = mask_sentence("The phone +1 555 123-4567 of sarah@klaviyo-demo.com is bad; order 1253 stays.")
    assert said == "The phone +1•••67 of s•••@k•••.com is bad; order 1253 stays."


@pytest.mark.parametrize(
    "secret", ["sarah.mason", "Mason", "5551234567", "12 Main St", "Austin", "78701", "4111", "nobody@nowhere"]
)
def test_a_masked_tree_shows_nobody(secret):
    html = tree(
        parse(
            b"""{"email": "sarah.mason@klaviyo-demo.com", "last_name": "Mason", "$phone_number": "+15551234567",
                 "BillingAddress": {"anything": "12 Main St", "lines": ["Austin"]}, "ship_zip": "78701",
                 "card_first_six": "4111", "note": "ask nobody@nowhere.org", "OrderId": "1253"}"""
        ),
        masked=True,
    )
    assert secret not in html
    assert "1253" in html


def test_a_phone_number_written_as_a_number_is_masked_and_an_id_is_not():
    html = tree(
        parse(b'{"phone": 15551234567, "billing_address": {"zip": 10115}, "order_id": 4156500100158}'), masked=True
    )
    assert "15551234567" not in html
    assert "10115" not in html
    assert "4156500100158" in html
