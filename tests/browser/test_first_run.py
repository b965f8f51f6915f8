"""The whole first run in a real browser: sign in, connect with every wrong key, mend it, send a test, see it arrive."""

import os
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

from connections.klaviyo.sandbox.accounts import FULL_KEY, NO_EVENTS_KEY, REVOKED_KEY
from connections.models import Campaign, Connection
from events.models import Product
from tests.webhooks_log.lanes import pump
from tests.webhooks_log.shop import connection, delivery, event, merchant, person
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


def test_the_form_works_with_the_keyboard_alone(page, owner, log_in):
    log_in(owner)
    page.goto("/app/connections/add/?provider=klaviyo")
    page.get_by_label("Connection name").focus()
    page.keyboard.type("Klaviyo Production")
    page.keyboard.press("Tab")
    page.keyboard.type(FULL_KEY)
    page.keyboard.press("Enter")
    page.get_by_text("Connected. Klaviyo accepts this key.").wait_for()
    assert Connection.objects.get().name == "Klaviyo Production"


# ── For everybody: screen readers, phones, the dark ──────────────────────────────────────────────────────────────────

PAGES = (
    "", "connections/", "connections/catalogue/", "connections/add/?provider=klaviyo", "connections/{connection}/",
    "connections/{connection}/settings/", "connections/{connection}/history/", "connections/{connection}/past-events/",
    "people/", "history/", "mapping-preview/", "two-factor/", "receive/", "webhooks/", "customers/",
    "events/product/import/",
)  # fmt: skip


@pytest.fixture
def full_shop(owner, shop) -> dict[str, int]:
    """A shop in which every page has something to show; the ids that stand in their addresses."""
    one = connection(shop, state="key_refused", state_detail="Klaviyo does not accept this private API key.")
    Campaign.objects.create(merchant=shop, vrio_id="7", name="Spring")
    Product.objects.create(merchant=shop, offer_id="1", name="Vitamins")
    delivery(one, state="failed", reason="rejected")
    event(shop)
    return {"connection": one.pk}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(page, owner, full_shop, log_in, scheme):
    log_in(owner)
    page.emulate_media(color_scheme=scheme)
    found = {path: serious(page, path.format(**full_shop)) for path in PAGES}
    assert {path: problems for path, problems in found.items() if problems} == {}


def serious(page, path: str) -> list[str]:
    """What axe calls serious or critical on a page of ours, leaving out the shell's own frame around it."""
    page.goto(f"/app/{path}")
    told = Axe().run(page, context="#content").response["violations"]
    return [
        f"{rule['id']}: {node['html'][:200]}"
        for rule in told
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]


def test_no_page_is_wider_than_a_phone(page, owner, full_shop, log_in):
    log_in(owner)
    page.set_viewport_size({"width": 375, "height": 800})
    wide = []
    for path in PAGES:
        page.goto(f"/app/{path.format(**full_shop)}")
        if page.evaluate("document.documentElement.scrollWidth") > 376:
            wide.append(path)
    assert wide == []


def test_every_moment_is_shown_in_the_merchants_zone(page, owner, shop, log_in):
    row = connection(shop, checked_at="2026-03-02T17:00:00Z")
    shop.time_zone = "Australia/Sydney"
    shop.save()
    log_in(owner)
    page.goto(f"/app/connections/{row.pk}/")
    assert page.get_by_text("Mar 3, 2026, 04:00").is_visible()
