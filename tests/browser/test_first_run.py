"""The whole first run in a real browser: sign in, connect with every wrong key, mend it, send a test, see it arrive."""

import os
from pathlib import Path

import pytest

from connections.klaviyo.sandbox.accounts import FULL_KEY, NO_EVENTS_KEY, REVOKED_KEY
from connections.models import Connection
from tests.browser.keys import press, tab_to
from tests.webhooks_log.lanes import pump
from tests.webhooks_log.shop import connection, merchant, person, superuser
from webhooks_log import dispatch

pytestmark = pytest.mark.django_db(transaction=True)
SHOTS = Path(os.environ.get("BROWSER_SHOTS", "artefacts/browser"))
WRONG_KEYS = {
    "AbC123": "public key",
    f'"{FULL_KEY}"': "quotes",
    f"Klaviyo-API-Key {FULL_KEY}": "copied along",
    FULL_KEY.replace("Full", "Fu ll"): "space",
    "sk_live_0123456789abcdef": "starts with pk_",
}


@pytest.fixture
def shop(twin, settings):
    settings.KLAVIYO_BASE_URL = twin.url
    return merchant("Harbor Vitamins")


@pytest.fixture
def owner(shop):
    user = person(shop, "owner")
    user.email = "olga@klaviyo-demo.com"
    user.save()
    return user


def shoot(page, name: str) -> None:
    """Keep what it looked like as an artefact of the run."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}.png", full_page=True)


def sign_in(page, user) -> None:
    page.goto("/")
    page.get_by_label("E-mail address or username").fill(user.get_username())
    page.get_by_label("Password").fill("secret")
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/app/")


def save_key(page, key: str) -> None:
    page.get_by_label("Private API key").fill(key)
    page.get_by_role("button", name="Save and activate").click()
    page.wait_for_load_state()


def test_from_the_first_sign_in_to_an_event_that_arrived(page, owner, shop, twin):
    sign_in(page, owner)
    shoot(page, "1-empty-home")
    page.get_by_role("link", name="Add New Connection").first.click()
    page.get_by_role("link", name="Connect Now Klaviyo").click()
    page.get_by_label("Connection name").fill("Klaviyo Production")
    for key, words in WRONG_KEYS.items():
        save_key(page, key)
        assert words in page.get_by_role("alert").last.inner_text()
        assert key not in page.content()
    shoot(page, "2-wrong-key")
    assert twin.requests() == []

    save_key(page, REVOKED_KEY)
    assert page.get_by_text("Key refused", exact=True).is_visible()
    shoot(page, "3-key-refused")
    page.get_by_role("link", name="Enter another key").click()
    save_key(page, NO_EVENTS_KEY)
    assert page.get_by_text("Scope missing: events:read, events:write").first.is_visible()
    page.get_by_role("link", name="Enter another key").click()
    save_key(page, FULL_KEY)
    assert page.get_by_text("Connected. Klaviyo accepts this key.").is_visible()
    shoot(page, "4-connected")

    page.get_by_role("button", name="Send a test event").click()
    page.wait_for_url("**/test-events/*/")
    dispatch.run()
    pump()
    page.get_by_text("Klaviyo answered 202.").wait_for()
    shoot(page, "5-test-event")
    assert [told["metric"] for told in twin.events()] == ["Viaduct Test"]
    page.get_by_role("link", name="See exactly what was sent and what came back").click()
    page.wait_for_url("**/app/webhooks/*/")
    assert page.get_by_text("Viaduct Test").first.is_visible()


def test_support_sees_the_connection_and_no_way_to_change_it(page, shop, log_in):
    one = connection(shop)
    log_in(person(shop))
    page.goto(f"/app/connections/{one.pk}/")
    assert page.get_by_role("heading", name="What Klaviyo says").is_visible()
    for name in ("Settings", "Enter another key"):
        assert page.locator("#content").get_by_role("link", name=name).count() == 0
    for name in ("Pause", "Archive", "Send a test event"):
        assert page.get_by_role("button", name=name).count() == 0
    page.goto("/app/connections/catalogue/")
    assert page.get_by_role("link", name="Connect Now").count() == 0


def test_a_wrong_account_is_moved_only_by_typing(page, owner, shop, log_in, twin):
    log_in(owner)
    page.goto("/app/connections/add/?provider=klaviyo")
    page.get_by_label("Connection name").fill("Klaviyo Production")
    save_key(page, FULL_KEY)
    page.locator("#content").get_by_role("link", name="Settings").click()
    save_key(page, twin.key("Other1"))
    page.get_by_label("Move this connection to account Other1?").fill("Other1")
    page.get_by_role("button", name="Move the connection").click()
    page.get_by_text("Moved.").wait_for()
    assert Connection.objects.get().account.cid == "Other1"


def test_the_first_run_needs_no_mouse(page, owner, shop, twin):
    """From signing in to a test event that arrived: only Tab, Enter, Space and letters."""
    page.goto("/")
    tab_to(page, "E-mail address or username")
    page.keyboard.type(owner.get_username())
    page.keyboard.press("Tab")
    page.keyboard.type("secret")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Home").wait_for()
    press(page, "Add New Connection")
    page.wait_for_url("**/catalogue/**")
    press(page, "Connect Now Klaviyo")
    page.wait_for_url("**/add/**")
    tab_to(page, "Connection name")
    page.keyboard.type("Klaviyo Production")
    tab_to(page, "Private API key")
    page.keyboard.type(FULL_KEY)
    press(page, "Save and activate")
    page.get_by_text("Connected. Klaviyo accepts this key.").wait_for()
    press(page, "Send a test event")
    page.wait_for_url("**/test-events/*/")
    dispatch.run()
    pump()
    page.get_by_text("Klaviyo answered 202.").wait_for()
    press(page, "See exactly what was sent and what came back")
    page.wait_for_url("**/app/webhooks/*/")


def test_a_stranger_is_shown_nothing_and_says_why(page, shop, log_in):
    one = connection(shop, "Klaviyo Production")
    log_in(person(merchant("Rival"), "owner"))
    for path in (f"connections/{one.pk}/", f"connections/{one.pk}/settings/", f"?merchant={shop.slug}"):
        answer = page.request.get(f"/app/{path}")
        assert answer.status == 404
        assert "Klaviyo Production" not in answer.text()
    page.goto("/app/connections/")
    assert page.get_by_text("Klaviyo Production").count() == 0
    shoot(page, "6-stranger")


def test_support_is_refused_in_words(page, shop, log_in):
    log_in(person(shop))
    for path in ("connections/add/", "people/", "history/", "receive/history/", "events/product/import/"):
        answer = page.request.get(f"/app/{path}")
        assert answer.status == 403
        assert "owner" in answer.text()


def test_staff_see_every_shop_and_narrow_by_the_address(page, shop, log_in):
    connection(shop, "Klaviyo Production")
    connection(merchant("Rival"), "Klaviyo of the rival")
    log_in(superuser())
    page.goto("/app/connections/")
    assert page.get_by_text("Klaviyo of the rival").is_visible()
    page.get_by_label("Merchant").select_option("Harbor Vitamins")
    page.wait_for_url(f"**merchant={shop.slug}*")
    assert page.get_by_text("Klaviyo Production").is_visible()
    assert page.get_by_text("Klaviyo of the rival").count() == 0
    shoot(page, "7-staff")
