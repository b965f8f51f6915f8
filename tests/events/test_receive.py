"""*Receive from Vrio*, as owner, as support and as a stranger."""

import re

import pytest
from django.urls import reverse

from connections import keys
from connections.models import ApiKey, AuditEntry, Source
from events.models import Event, Inbox, Refusal
from tests.events.door import an_event, post, send
from tests.webhooks_log.shop import merchant, person

pytestmark = pytest.mark.django_db
BACKEND = "django.contrib.auth.backends.ModelBackend"


@pytest.fixture
def shop():
    return merchant()


@pytest.fixture
def source(shop):
    return Source.objects.create(merchant=shop, name="Vrio account", dialect="v1")


@pytest.fixture
def owner(client, shop):
    client.force_login(person(shop, "owner"), backend=BACKEND)
    return client


def page(client) -> str:
    return client.get(reverse("admin:receive")).content.decode()


def make(client, source, **fields):
    told = {"name": "Production", "scope": "send", "algorithm": "sha256", "encoding": "hex", **fields}
    answer = client.post(
        reverse("admin:key_add", args=(source.pk,)), {f"{source.pk}-{name}": value for name, value in told.items()}
    )
    shown = re.search(r'<code id="made-clear">([^<]+)</code>', answer.content.decode())
    return shown[1] if shown else ""


def test_an_api_key_is_shown_once_and_opens_the_door(owner, source):
    clear = make(owner, source, kind="bearer")
    assert send(clear, an_event()).status == 202
    assert clear not in page(owner)
    assert clear[-4:] in page(owner)
    assert AuditEntry.objects.get(action="key made").object_name == f"Production (…{clear[-4:]})"


def test_a_secret_address_is_shown_whole_and_opens_the_door(owner, source):
    address = make(owner, source, kind="address")
    assert address.startswith("http://testserver/api/v1/ingest/va_")
    assert post(address.removeprefix("http://testserver"), an_event()).status == 200


def test_a_signature_needs_a_header_and_shows_its_address(owner, source):
    assert make(owner, source, kind="hmac") == ""
    assert make(owner, source, kind="hmac", header="X-Vrio-Signature", secret="typed-in-vrio-already") != ""
    assert f"signed/{ApiKey.objects.get().public_id}" in page(owner)


def test_an_address_list_that_is_none_makes_no_key(owner, source):
    assert make(owner, source, kind="bearer", allowed_addresses="10.0.0.0/8\nnonsense") == ""
    assert not ApiKey.objects.exists()


def test_rotation_shows_the_new_key_and_keeps_the_old_for_a_while(owner, source):
    old, before = keys.new_bearer(source, name="Production")
    answer = owner.post(reverse("admin:key_rotate", args=(old.pk,)), {"days": "7"})
    clear = re.search(r'<code id="made-clear">([^<]+)</code>', answer.content.decode())[1]
    assert send(before, an_event(1)).status == send(clear, an_event(2)).status == 202


def test_revoking_shuts_a_key_out(owner, source):
    key, clear = keys.new_bearer(source, name="Production")
    owner.post(reverse("admin:key_revoke", args=(key.pk,)))
    assert send(clear, an_event()).status == 401


def test_a_source_comes_with_the_inbox_of_its_merchant(owner, shop):
    owner.post(reverse("admin:source_add", args=(shop.slug,)), {"name": "Second", "dialect": "v2"})
    assert Source.objects.get(name="Second").merchant == shop
    assert Inbox.objects.filter(merchant=shop).exists()


def test_a_source_of_the_same_name_is_refused_in_words(owner, shop, source):
    answer = owner.post(reverse("admin:source_add", args=(shop.slug,)), {"name": source.name, "dialect": "v1"})
    assert "already exists" in answer.content.decode()


def test_a_refusal_is_shown_with_its_reason_and_can_be_looked_at(owner, source):
    clear = keys.new_bearer(source, name="Production")[1]
    send(clear, an_event(webhook_event=7))
    refusal = Refusal.objects.get()
    assert "webhook_event must be a text." in page(owner)
    body = owner.get(reverse("admin:refusal_body", args=(refusal.pk,)))
    assert (body.content, AuditEntry.objects.filter(action="refusal viewed").count()) == (bytes(refusal.body), 1)


def test_what_nothing_stands_against_any_more_is_taken_in(owner, shop, source):
    refusal = Refusal.objects.create(
        merchant=shop, source=source, status=413, code="too_many_events", detail="…",
        body=b'{"webhook_type":"order","webhook_event":"order_updated","webhook_event_id":"9","webhook_data":{}}',
    )  # fmt: skip
    owner.post(reverse("admin:refusal_resubmit", args=(refusal.pk,)))
    assert (Event.objects.get().event_id, Event.objects.get().authenticated_by) == ("9", "resubmit")
    refusal.refresh_from_db()
    assert refusal.resubmitted_at is not None


def test_a_held_event_is_released_or_discarded_by_the_owner(owner, shop, source):
    clear = keys.new_bearer(source, name="Production")[1]
    send(clear, [an_event(1), an_event(2)])
    Event.objects.update(state="held", reason="test_link")
    first, second = Event.objects.order_by("pk")
    owner.post(reverse("admin:held_judge", args=(first.pk,)), {"release": "1"})
    owner.post(reverse("admin:held_judge", args=(second.pk,)), {"release": "0"})
    assert list(Event.objects.order_by("pk").values_list("state", "reason")) == [
        ("received", "released"),
        ("ignored", "discarded"),
    ]


def test_the_page_says_how_an_event_was_proven(owner, source):
    send(keys.new_bearer(source, name="Production")[1], an_event())
    assert "an API key: Production (…" in page(owner)


@pytest.mark.parametrize("name", ["key_rotate", "key_revoke"])
def test_support_may_read_but_change_no_key(client, shop, source, name):
    key = keys.new_bearer(source, name="Production")[0]
    client.force_login(person(shop, "support"), backend=BACKEND)
    assert client.post(reverse(f"admin:{name}", args=(key.pk,)), {"days": "7"}).status_code == 403
    assert "Make a new key" not in page(client)


@pytest.mark.parametrize("name", ["key_rotate", "key_revoke", "key_add", "held_judge", "refusal_resubmit"])
def test_another_merchants_things_do_not_exist(client, source, name):
    key, clear = keys.new_bearer(source, name="Production")
    send(clear, [an_event(), {}])
    rows = {"key_add": source, "held_judge": Event.objects.get(), "refusal_resubmit": Refusal.objects.get()}
    client.force_login(person(merchant("other"), "owner"), backend=BACKEND)
    assert client.post(reverse(f"admin:{name}", args=(rows.get(name, key).pk,)), {"days": "7"}).status_code == 404


def test_nothing_changes_by_get(owner, source):
    key = keys.new_bearer(source, name="Production")[0]
    assert owner.get(reverse("admin:key_revoke", args=(key.pk,))).status_code == 405
