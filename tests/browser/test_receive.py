"""*Receive from Vrio* and the readable interface, in a real browser."""

import pytest
from playwright.sync_api import expect

from tests.webhooks_log import shop

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_owner_makes_a_secret_address_and_copies_it_once(page, log_in):
    vita = shop.merchant()
    shop.source(vita)
    log_in(shop.person(vita, "owner"))
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/app/receive/")
    page.get_by_text("Make a new key").click()
    page.get_by_label("Kind").select_option("address")
    expect(page.get_by_label("Signature header")).to_be_hidden()
    page.get_by_label("Name required").first.fill("Four fields of v1")
    page.get_by_role("button", name="Make the key").click()
    shown = page.locator("#made-clear")
    expect(shown).to_contain_text("/api/v1/ingest/va_")
    address = shown.inner_text()
    page.get_by_role("status").get_by_role("button", name="Copy").click()
    assert page.evaluate("navigator.clipboard.readText()") == address
    page.goto("/app/receive/")
    expect(page.get_by_text(address)).to_have_count(0)
    expect(page.get_by_role("button", name="Rotate Four fields of v1")).to_be_visible()


def test_the_interface_is_readable_under_our_own_content_policy(page, live_server):
    page.goto("/api/docs/")
    expect(page.get_by_text("/api/v1/events/validate")).to_be_visible()
