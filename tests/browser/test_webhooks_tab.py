"""Support's questions, answered in a real browser."""

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from tests.webhooks_log import shop
from webhooks_log.models import Delivery

pytestmark = pytest.mark.django_db(transaction=True)


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
    left_out = second.get_by_role("list", name="Changes to the call before").get_by_role("listitem").last
    expect(left_out).to_be_visible()
    expect(left_out).to_contain_text("Left out")
    expect(left_out).to_contain_text("phone_number")
    expect(left_out).to_contain_text(shop.REFUSED_PHONE)
    expect(second.locator(".vt-went").first).to_contain_text(shop.REFUSED_PHONE)


def test_from_an_order_to_the_reason_of_a_skipped_event(page, log_in, vita, klaviyo, sarah):
    shop.delivery(klaviyo, sarah, state="skipped", reason="campaign_excluded", order_id="order-77")
    log_in(shop.person(vita))
    page.goto("/app/customers/")
    page.keyboard.press("/")
    page.keyboard.type("order-77")
    page.keyboard.press("Enter")
    row = page.locator("details.vd-row").first
    expect(row).to_contain_text("The campaign is not among those this connection sends.")
    page.get_by_role("link", name="Why is it not in Klaviyo?").first.click()
    expect(page.locator(".vy-sum")).to_contain_text("Not sent. The campaign is not among those this connection sends.")


def test_new_rows_and_changes_appear_without_closing_what_is_open(page, log_in, vita, klaviyo, sarah):
    first = shop.delivery(klaviyo, sarah, shop.message(), state="queued", unique_id="first")
    log_in(shop.person(vita))
    page.goto(f"/app/customers/{sarah.pk}/webhooks/")
    opened = page.locator(f"#d{first.pk}")
    opened.locator("summary").first.click()
    expect(opened.locator(".vo")).to_be_visible()
    now = timezone.now()
    second = shop.delivery(klaviyo, sarah, state="skipped", reason="no_email", created_at=now, updated_at=now)
    Delivery.objects.filter(pk=first.pk).update(state="failed", reason="rejected", updated_at=now)
    expect(page.locator(f"#d{second.pk}")).to_contain_text("no valid e-mail address")
    expect(opened.locator("summary").first).to_contain_text("Failed")
    expect(opened.locator(".vo")).to_be_visible()
    assert page.locator("details.vd-row").first.get_attribute("id") == f"d{second.pk}"
    opened.get_by_role("button", name="Show the change").click()
    expect(opened.locator(".vo-verdict")).to_contain_text("Klaviyo refused the content.")


def test_live_pauses_on_demand(page, log_in, vita, klaviyo, sarah):
    log_in(shop.person(vita))
    page.goto(f"/app/customers/{sarah.pk}/webhooks/")
    page.get_by_role("button", name="Live").click()
    now = timezone.now()
    row = shop.delivery(klaviyo, sarah, created_at=now, updated_at=now)
    page.wait_for_timeout(4000)
    expect(page.locator(f"#d{row.pk}")).to_have_count(0)
    page.get_by_role("button", name="Paused").click()
    expect(page.locator(f"#d{row.pk}")).to_be_visible()


def test_send_again_in_place(page, log_in, vita, klaviyo, sarah):
    row = shop.delivery(klaviyo, sarah, shop.message(), state="failed", reason="rejected")
    shop.call(row, status=400, verdict="rejected", answer=b"{}")
    log_in(shop.person(vita))
    page.goto(f"/app/customers/{sarah.pk}/webhooks/")
    opened = page.locator(f"#d{row.pk}")
    opened.locator("summary").first.click()
    opened.get_by_text("Send again…").click()
    opened.get_by_label("Why?").fill("address mended")
    opened.get_by_role("button", name="Send again", exact=True).click()
    expect(opened.get_by_role("status")).to_contain_text("It goes out again, with the same id")
    expect(opened.locator("summary").first).to_contain_text("Queued")


def test_link_body_and_curl_are_copied(page, log_in, live_server, vita, klaviyo, sarah):
    row = shop.delivery(klaviyo, sarah, shop.message())
    shop.call(row, answer=b'{"ok": true}')
    log_in(shop.person(vita))
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"/app/customers/{sarah.pk}/webhooks/")
    opened = page.locator(f"#d{row.pk}")
    opened.locator("summary").first.click()
    for button, text in (
        ("Copy link", f"{live_server.url}/app/webhooks/{row.pk}/"),
        ("Copy body", shop.message().decode()),
        ("Copy", '{"ok": true}'),
    ):
        opened.get_by_role("button", name=button, exact=True).click()
        expect(opened.get_by_role("button", name="Copied")).to_be_visible()
        assert page.evaluate("navigator.clipboard.readText()") == text
        expect(opened.get_by_role("button", name="Copied")).to_have_count(0)
    opened.get_by_role("button", name="Copy as cURL").click()
    expect(opened.get_by_role("button", name="Copied")).to_be_visible()
    line = page.evaluate("navigator.clipboard.readText()")
    assert '-H "Authorization: Klaviyo-API-Key $KLAVIYO_API_KEY"' in line
    assert shop.message().decode() in line


def test_a_stranger_sees_nothing(page, log_in, klaviyo, sarah):
    row = shop.refused_phone(klaviyo, sarah)
    log_in(shop.person(shop.merchant("Other")))
    page.goto("/app/webhooks/")
    expect(page.locator("[data-empty]")).to_be_visible()
    for address in (f"/app/customers/{sarah.pk}/webhooks/", f"/app/webhooks/{row.pk}/", f"/app/events/{row.event_id}/"):
        assert page.request.get(address).status == 404


def test_hostile_text_stays_text(page, log_in, vita, klaviyo, sarah):
    evil = b'{"a": "</pre><img src=x onerror=document.title=\'owned\'>", "x-init": "document.title=\'owned\'"}'
    row = shop.delivery(klaviyo, sarah, evil, order_id="<b>1</b>", detail="<script>document.title='owned'</script>")
    shop.call(row, status=400, verdict="rejected", answer=evil)
    log_in(shop.person(vita))
    page.goto(f"/app/customers/{sarah.pk}/webhooks/")
    opened = page.locator(f"#d{row.pk}")
    opened.locator("summary").first.click()
    expect(opened.locator(".vw-tree").first).to_contain_text("<img src=x onerror=")
    assert page.locator("#content img").count() == 0
    assert "owned" not in page.title()
