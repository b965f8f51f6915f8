"""Connecting Klaviyo through the pages, as owner, as support and as somebody else's owner."""

import re
from html import unescape
from zoneinfo import ZoneInfo

import pytest
from cryptography.fernet import Fernet
from django.urls import reverse
from django.utils import timezone

from connections import audit, secrets
from connections.klaviyo.sandbox.accounts import FULL_KEY, NO_EVENTS_KEY, REVOKED_KEY
from connections.models import Campaign, Connection
from tests.webhooks_log.shop import connection, merchant, person

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def at_the_twin(twin, settings):
    settings.KLAVIYO_BASE_URL = twin.url


@pytest.fixture
def shop():
    return merchant()


@pytest.fixture
def owner(client, shop):
    client.force_login(person(shop, "owner"), backend="django.contrib.auth.backends.ModelBackend")
    return client


def form(**fields) -> dict:
    return {"name": "Klaviyo Production", "private_key": FULL_KEY, "push_events": "on", "activate": "1", **fields}


def add(client, **fields):
    return client.post(reverse("admin:connection_add"), form(**fields))


def test_the_catalogue_shows_klaviyo_under_marketing(owner):
    page = owner.get(reverse("admin:connection_catalogue")).content.decode()
    assert page.index("Marketing") < page.index("Klaviyo</h3>") < page.index("Connect Now")


def test_the_catalogue_finds_by_what_people_call_it(owner):
    page = owner.get(reverse("admin:connection_catalogue"), {"q": "sms"}).content.decode()
    assert "Klaviyo</h3>" in page
    assert "Receive from Vrio</h3>" not in page


def test_a_list_of_the_shells_and_its_thing_are_headed_by_their_names(owner, shop):
    """Not by the part of the program they come from, nor by what could be done with them."""
    assert headings(owner, reverse("admin:connections_merchant_changelist")) == ("Merchants | Viaduct", ["Merchants"])
    _, shown = headings(owner, reverse("admin:connections_merchant_change", args=(shop.pk,)))
    assert shown == ["Merchants", shop.name]


def headings(client, path: str) -> tuple[str, list[str]]:
    """What stands on the browser's tab, and the links that head the page."""
    html = client.get(path).content.decode()
    tab, top = (html.partition(f"<{tag}")[2].partition(f"</{tag}>")[0] for tag in ("title", "h1"))
    return " ".join(tab.lstrip(">").split()), re.findall(r"<a [^>]*>([^<]*)</a>", top)


def test_saving_connects_and_activates_at_once(owner, shop, twin):
    answer = add(owner)
    one = Connection.objects.get(merchant=shop)
    assert answer.url == reverse("admin:connection", args=(one.pk,))
    assert (one.state, one.is_active, one.account.cid) == ("connected", True, "DemoA1")


def test_the_key_is_sealed_and_never_shown_again(owner, shop):
    add(owner)
    one = Connection.objects.get(merchant=shop)
    assert secrets.unseal(one.sealed_key) == FULL_KEY
    for name in ("connection", "connection_settings", "connection_history"):
        page = owner.get(reverse(f"admin:{name}", args=(one.pk,))).content.decode()
        assert FULL_KEY not in page
        assert FULL_KEY[3:20] not in page


def test_a_wrong_form_does_not_echo_the_key(owner, twin):
    page = add(owner, name="").content.decode()
    assert FULL_KEY not in page
    assert twin.requests() == []


def test_a_blank_key_keeps_the_stored_one(owner, shop):
    add(owner)
    one = Connection.objects.get(merchant=shop)
    owner.post(reverse("admin:connection_settings", args=(one.pk,)), form(private_key="", name="Renamed"))
    renamed = Connection.objects.get(pk=one.pk)
    assert (renamed.name, renamed.sealed_key) == ("Renamed", one.sealed_key)


def test_a_key_used_already_is_said_for_ones_own_merchant_only(owner, shop, client):
    add(owner)
    page = add(owner, name="Second").content.decode()
    assert "already uses this key" in page
    client.force_login(person(merchant(), "owner"), backend="django.contrib.auth.backends.ModelBackend")
    assert add(client).status_code == 302


def test_a_refused_key_is_saved_with_the_fix_on_the_page(owner, shop):
    page = owner.get(add(owner, private_key=REVOKED_KEY).url).content.decode()
    assert "Key refused" in page
    assert "Enter another key" in page


def test_campaigns_are_chosen_or_typed(owner, shop):
    seen = Campaign.objects.create(merchant=shop, vrio_id="7", name="Spring")
    add(owner, campaigns=[seen.pk], more_campaigns="12, 15")
    chosen = Connection.objects.get(merchant=shop).campaigns.values_list("vrio_id", flat=True)
    assert sorted(chosen) == ["12", "15", "7"]


def test_anothers_campaign_is_no_choice(owner, shop):
    foreign = Campaign.objects.create(merchant=merchant(), vrio_id="9", name="Theirs")
    page = add(owner, campaigns=[foreign.pk])
    assert page.status_code == 200
    assert not Connection.objects.filter(merchant=shop).exists()


def test_every_change_is_in_the_history_and_no_key(owner, shop):
    add(owner)
    one = Connection.objects.get(merchant=shop)
    owner.post(reverse("admin:connection_settings", args=(one.pk,)), form(private_key="", push_events=""))
    newest, first = audit.history(one)
    assert newest.changes == {"push events": [True, False]}
    assert first.action == "connected"
    assert FULL_KEY not in str(first.changes)


def test_archiving_asks_for_the_name_and_destroys_the_key(owner, shop):
    one = connection(shop, sealed_key=secrets.seal(FULL_KEY))
    path = reverse("admin:connection_archive", args=(one.pk,))
    owner.post(path, {"name": "something else"})
    assert Connection.objects.living().filter(pk=one.pk).exists()
    owner.post(path, {"name": one.name})
    one.refresh_from_db()
    assert one.archived_at is not None
    assert one.sealed_key is None


def test_a_paused_connection_is_activated_by_one_button(owner, shop):
    one = connection(shop, is_active=False)
    owner.post(reverse("admin:connection_switch", args=(one.pk,)), {"active": "1"})
    one.refresh_from_db()
    assert one.is_active


@pytest.mark.parametrize("name", ["connection_check", "connection_switch", "connection_archive"])
def test_nothing_is_changed_by_a_link(owner, shop, name):
    assert owner.get(reverse(f"admin:{name}", args=(connection(shop).pk,))).status_code == 405


@pytest.mark.parametrize("name", ["connection_settings", "connection_switch", "connection_archive"])
def test_support_may_look_but_not_configure(client, shop, name):
    client.force_login(person(shop, "support"), backend="django.contrib.auth.backends.ModelBackend")
    one = connection(shop)
    assert client.get(reverse("admin:connection", args=(one.pk,))).status_code == 200
    assert client.post(reverse(f"admin:{name}", args=(one.pk,)), {"name": one.name}).status_code == 403


def test_support_cannot_add_a_connection(client, shop):
    client.force_login(person(shop, "support"), backend="django.contrib.auth.backends.ModelBackend")
    assert client.get(reverse("admin:connection_add")).status_code == 403


def test_an_owner_of_two_merchants_is_asked_for_which(client, shop):
    olga, other = person(shop, "owner"), merchant("Other shop")
    olga.memberships.create(merchant=other, role="owner")
    client.force_login(olga, backend="django.contrib.auth.backends.ModelBackend")
    assert "For which merchant" in client.get(reverse("admin:connection_add")).content.decode()
    path = f"{reverse('admin:connection_add')}?merchant={other.slug}"
    client.post(path, form())
    assert Connection.objects.get().merchant == other


# ── Every state in words, with its fix ───────────────────────────────────────────────────────────────────────────────


def refused(one, twin, settings):
    replace_key(one, REVOKED_KEY)


def lacks_a_scope(one, twin, settings):
    replace_key(one, NO_EVENTS_KEY)


def is_away(one, twin, settings):
    settings.KLAVIYO_BASE_URL = "http://127.0.0.1:9"


def is_blocked(one, twin, settings):
    twin.fault(status=403, html=True)


def is_of_another_account(one, twin, settings):
    replace_key(one, twin.key("Other1"))


def lost_its_encryption(one, twin, settings):
    settings.FIELD_KEYS = [Fernet.generate_key().decode()]


def replace_key(one, key):
    Connection.objects.filter(pk=one.pk).update(sealed_key=secrets.seal(key))


@pytest.mark.parametrize(
    ("happens", "state", "fix"),
    [
        (refused, "Key refused", "Copy the key again, or make a new one."),
        (lacks_a_scope, "Scope missing: events:read, events:write", "create a private key with full access"),
        (is_away, "Klaviyo cannot be reached", "asked again in five minutes"),
        (is_blocked, "Blocked at Klaviyo's edge", "ask Klaviyo to let it pass"),
        (is_of_another_account, "Another account than before", "confirm below that the connection moves"),
        (lost_its_encryption, "Key cannot be read", "Enter the private API key again."),
    ],
)
def test_what_is_wrong_stays_on_the_page_with_its_time_and_its_fix(owner, shop, twin, settings, happens, state, fix):
    add(owner)
    one = Connection.objects.get(merchant=shop)
    happens(one, twin, settings)
    owner.post(reverse("admin:connection_check", args=(one.pk,)))
    one.refresh_from_db()
    page = unescape(owner.get(reverse("admin:connection", args=(one.pk,))).content.decode())
    assert state in page
    assert fix in page.partition("What to do:")[2]
    assert f"{timezone.localtime(one.checked_at, ZoneInfo(shop.time_zone)):%H:%M}" in page
    assert state.partition(":")[0] in unescape(owner.get(reverse("admin:index")).content.decode())


def test_with_the_encryption_key_lost_every_page_still_answers_and_a_key_can_be_entered(owner, shop, settings, twin):
    add(owner)
    one = Connection.objects.get(merchant=shop)
    settings.FIELD_KEYS = [Fernet.generate_key().decode()]
    asked = len(twin.requests())
    for name in ("connection", "connection_settings", "connection_history", "past_events"):
        assert owner.get(reverse(f"admin:{name}", args=(one.pk,))).status_code == 200
    owner.post(reverse("admin:connection_check", args=(one.pk,)))
    assert len(twin.requests()) == asked
    owner.post(reverse("admin:connection_settings", args=(one.pk,)), form(activate="1"))
    one.refresh_from_db()
    assert (one.state, one.held_at) == ("connected", None)


@pytest.mark.parametrize(
    ("pasted", "words"),
    [
        ("AbC123", "This is the public key (site ID)."),
        (f'"{FULL_KEY}"', "The key is in quotes."),
        (f"{FULL_KEY[:10]} {FULL_KEY[10:]}", "There is a space or line break inside the key."),
        (f"Klaviyo-API-Key {FULL_KEY}", "“Klaviyo-API-Key” was copied along."),
        (f"Authorization: Klaviyo-API-Key {FULL_KEY}", "“Klaviyo-API-Key” was copied along."),
        ("sk_live_0123456789abcdef", "A private key starts with pk_"),
        ("", "Enter the private API key"),
    ],
)
def test_each_wrong_key_has_its_sentence_before_any_call(owner, shop, twin, pasted, words):
    page = unescape(add(owner, private_key=pasted).content.decode())
    assert words in page
    assert twin.requests() == []
    assert not Connection.objects.filter(merchant=shop).exists()


def test_spaces_around_the_key_are_taken_off(owner, shop):
    add(owner, private_key=f"  {FULL_KEY} ")
    assert secrets.unseal(Connection.objects.get(merchant=shop).sealed_key) == FULL_KEY


def test_the_history_is_written_in_words(owner, shop):
    add(owner)
    page = unescape(owner.get(reverse("admin:history")).content.decode())
    assert 'campaigns: <span class="vc-soft">–</span> → all' in page
    assert 'send test orders: <span class="vc-soft">–</span> → no' in page


def test_the_forms_words_stand_beside_the_fields(owner):
    page = owner.get(reverse("admin:connection_add")).content.decode()
    for step in ("Log into Klaviyo", "Open the Account page", "Select “API Keys”", "Create a Private API Key"):
        assert step in page
    assert "None chosen means all campaigns" in page
    for mail in (
        "three reminders of an abandoned cart",
        "receipts",
        "shipping",
        "refunds",
        "subscription",
        "declined payments",
    ):
        assert mail in page
