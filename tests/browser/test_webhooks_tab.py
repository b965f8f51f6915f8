"""Support's questions, answered in a real browser."""

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.webhooks_log import shop

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def vita() -> Any:
    return shop.merchant()


@pytest.fixture
def klaviyo(vita: Any) -> Any:
    return shop.connection(vita)


@pytest.fixture
def sarah(vita: Any) -> Any:
    return shop.customer(vita)


def test_from_an_email_address_to_the_refused_phone_and_its_second_call(page, log_in, vita, klaviyo, sarah):
    shop.refused_phone(klaviyo, sarah)
    log_in(shop.person(vita))
    page.goto("/app/customers/")
    page.get_by_role("searchbox").fill(shop.EMAIL)
    page.keyboard.press("Enter")
    row = page.locator("details.vd-row").first
    expect(row).to_contain_text("phone dropped")
    row.locator("summary").first.click()
    expect(row).to_contain_text("Accepted by Klaviyo.")
    first = row.locator("details.vo-call", has_text="Call 1")
    first.locator("summary").first.click()
    expect(first).to_contain_text("Klaviyo refused the phone number.")
    expect(first).to_contain_text("POST /api/events")
    expect(first).to_contain_text(shop.REFUSED_PHONE)
    expect(first).to_contain_text("Invalid phone number format")
    second = row.locator("details.vo-call", has_text="Call 2")
    expect(second.locator(".vt-went").first).to_contain_text(shop.REFUSED_PHONE)
