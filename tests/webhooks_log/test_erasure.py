"""Forgetting one person: in which order, how completely, and for good."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone

from connections.models import AuditEntry
from events import forgetting
from events.models import Customer, Event, Refusal, Suppression
from tests.events.vrio_records import sale
from tests.webhooks_log import inbox, shop
from tests.webhooks_log.lanes import Shop
from webhooks_log import dispatch, erasure
from webhooks_log.models import AttemptContent, Body, Delivery, Erasure, ErasureCall, Note, SavedFilter

pytestmark = pytest.mark.django_db

BACKEND = "django.contrib.auth.backends.ModelBackend"
SPELLED = shop.EMAIL.encode()


def erase(merchant: Any, **wishes: Any) -> Erasure:
    return erasure.advance(erasure.request(merchant, shop.EMAIL.upper(), actor=None, **wishes))


def test_nothing_that_names_the_person_is_left(klaviyo, sarah):
    row = shop.refused_phone(klaviyo, sarah)
    Event.objects.update(body=b'{"email":"%b"}' % SPELLED)
    Note.objects.create(merchant=klaviyo.merchant, customer=sarah, text="Sarah called")
    done = erase(klaviyo.merchant)
    assert done.state == Erasure.State.DONE
    sarah.refresh_from_db()
    row.refresh_from_db()
    assert [sarah.email, sarah.first_name, sarah.phone, sarah.phone_e164, row.email] == [""] * 5
    assert sarah.vrio_id == f"erased-{sarah.pk}"
    assert bytes(Event.objects.get().body) == b""
    assert not Body.objects.filter(content__isnull=False).exists()
    assert not AttemptContent.objects.filter(packed__isnull=False).exists()
    assert not Note.objects.exists()
    assert (row.state, row.attempt_count) == ("delivered", 2)


def test_what_was_owed_is_skipped_and_says_why(klaviyo, sarah):
    shop.delivery(klaviyo, sarah, shop.message(), state="waiting", next_attempt_at=timezone.now())
    erase(klaviyo.merchant)
    row = Delivery.objects.get()
    assert (row.state, row.reason, row.next_attempt_at) == ("skipped", "erased", None)


def test_a_message_on_the_wire_is_waited_for(klaviyo, sarah):
    row = shop.delivery(klaviyo, sarah, shop.message(), state="sending")
    waiting = erase(klaviyo.merchant)
    assert waiting.state == Erasure.State.REQUESTED
    assert Body.objects.get().content
    Delivery.objects.filter(pk=row.pk).update(state="delivered")
    assert erasure.advance_all() == 1
    waiting.refresh_from_db()
    assert waiting.state == Erasure.State.DONE
    assert Body.objects.get().content is None


def test_another_customer_and_another_merchant_keep_everything(klaviyo, sarah):
    other = shop.customer(klaviyo.merchant, "ann@klaviyo-demo.com")
    next_door = shop.customer(shop.merchant("Outlet"))
    shop.delivery(klaviyo, other, shop.message(email=other.email))
    erase(klaviyo.merchant)
    assert set(Customer.objects.exclude(email="").values_list("pk", flat=True)) == {other.pk, next_door.pk}
    assert Body.objects.get().content


def test_events_that_only_spell_the_address_are_emptied_too(klaviyo):
    event = shop.event(klaviyo.merchant, body=b'{"email":"Sarah.Mason\\u0040klaviyo-demo.com"}', state="held")
    erase(klaviyo.merchant)
    event.refresh_from_db()
    assert (bytes(event.body), event.state, event.reason) == (b"", "ignored", "erased")


def test_refusals_and_saved_searches_that_spell_it_go(klaviyo):
    olga = shop.person(klaviyo.merchant, "owner")
    SavedFilter.objects.create(user=olga, name="her", query="q=sarah.mason%40klaviyo-demo.com")
    Refusal.objects.create(
        merchant=klaviyo.merchant, source=shop.source(klaviyo.merchant), status=422, code="x", detail="x", body=SPELLED
    )
    erase(klaviyo.merchant)
    assert not SavedFilter.objects.exists()
    assert not Refusal.objects.exists()


def test_a_late_event_of_an_erased_person_is_noted_and_emptied():
    merchant = inbox.shop()
    inbox.tell(merchant, sale())
    email = Customer.objects.get().email
    erasure.advance(erasure.request(merchant, email, actor=None))
    inbox.tell(merchant, sale("9999", event_id="late"), now=inbox.NOW + timedelta(hours=1))
    assert set(Delivery.objects.filter(event__event_id="late").values_list("state", "reason", "email")) == {
        ("skipped", "erased", "")
    }
    assert bytes(Event.objects.get(event_id="late").body) == b""
    assert not Customer.objects.exclude(email="").exists()


def test_the_record_stays_and_names_nobody(klaviyo, sarah):
    done = erase(klaviyo.merchant, reason="ticket 77")
    assert done.sealed_email is None
    assert set(AuditEntry.objects.values_list("action", flat=True)) == {"erasure requested", "erasure done"}
    assert SPELLED.decode() not in json.dumps(list(AuditEntry.objects.values("object_name", "changes", "reason")))
    assert Suppression.objects.count() == 2


def test_the_history_never_names_a_customer(klaviyo, sarah, client):
    client.force_login(shop.person(klaviyo.merchant), backend=BACKEND)
    client.get(reverse("admin:customer", args=(sarah.pk,)))
    assert AuditEntry.objects.get().object_name == f"customer {sarah.vrio_id}"


# ── At Klaviyo ───────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.fixture
def told(twin, settings) -> Shop:
    settings.KLAVIYO_BASE_URL = twin.url
    vita = Shop(twin)
    vita.customer(shop.EMAIL)
    return vita


def test_klaviyo_is_asked_once_for_each_account(told, twin):
    told.connect(twin.key("DemoA1"), "Same account")
    done = erase(told.merchant, tells_klaviyo=True)
    assert done.state == Erasure.State.DONE
    calls = twin.requests(path="/api/data-privacy-deletion-jobs")
    assert [json.loads(call["body"])["data"]["attributes"]["profile"]["data"]["attributes"] for call in calls] == [
        {"email": shop.EMAIL}
    ]


def test_a_missing_scope_is_said_and_asked_again_later(told, twin):
    twin.fault(status=403, count=1, path="/api/data-privacy-deletion-jobs")
    waiting = erase(told.merchant, tells_klaviyo=True)
    assert waiting.state == Erasure.State.SCRUBBED
    call = ErasureCall.objects.get()
    assert "data-privacy:write" in call.detail
    assert call.next_attempt_at > timezone.now()
    erasure.advance(waiting, now=call.next_attempt_at)
    assert waiting.state == Erasure.State.DONE


def test_without_a_key_the_owner_is_told_to_do_it_by_hand(klaviyo, sarah):
    done = erase(klaviyo.merchant, tells_klaviyo=True)
    assert done.state == Erasure.State.DONE
    assert "by hand" in ErasureCall.objects.get().detail


def test_the_accounts_limit_for_deletions_is_kept(told, twin):
    for number in range(4):
        told.customer(f"p{number}@klaviyo-demo.com")
        erasure.request(told.merchant, f"p{number}@klaviyo-demo.com", actor=None, tells_klaviyo=True)
    now = timezone.now()
    erasure.advance_all(now=now)
    assert len(twin.requests(path="/api/data-privacy-deletion-jobs")) == 2
    erasure.advance_all(now=now + timedelta(seconds=2))
    assert len(twin.requests(path="/api/data-privacy-deletion-jobs")) == 4


# ── The owner's page and the command ─────────────────────────────────────────────────────────────────────────────────
@pytest.fixture
def owner(klaviyo, client) -> Any:
    client.force_login(shop.person(klaviyo.merchant, "owner"), backend=BACKEND)
    return client


def given(merchant: Any, **more: str) -> dict[str, Any]:
    return {"merchant": merchant.pk, "email": shop.EMAIL, **more}


def test_the_page_counts_before_it_forgets(owner, klaviyo, sarah):
    shop.refused_phone(klaviyo, sarah)
    html = owner.post(reverse("admin:person_found"), given(klaviyo.merchant)).content.decode()
    assert "1 messages to Klaviyo" in html
    assert Customer.objects.get().email


def test_the_owner_forgets_by_typing_the_address_twice(owner, klaviyo, sarah):
    owner.post(reverse("admin:person_erase"), given(klaviyo.merchant, again="other@klaviyo-demo.com"))
    assert not Erasure.objects.exists()
    owner.post(reverse("admin:person_erase"), given(klaviyo.merchant, again=shop.EMAIL))
    assert Erasure.objects.get().state == Erasure.State.DONE


def test_a_copy_holds_what_is_kept_word_for_word(owner, klaviyo, sarah):
    shop.refused_phone(klaviyo, sarah)
    answer = owner.post(reverse("admin:person_copy"), given(klaviyo.merchant))
    document = json.loads(answer.content)
    assert document["customers"][0]["email"] == shop.EMAIL
    assert document["messages"][0]["message"] == shop.message(phone="").decode()
    assert len(document["messages"][0]["calls"]) == 2


def test_support_and_owners_next_door_may_not(klaviyo, sarah, client):
    for who, status in ((shop.person(klaviyo.merchant), 403), (shop.person(shop.merchant("Outlet"), "owner"), 200)):
        client.force_login(who, backend=BACKEND)
        answer = client.post(reverse("admin:person_erase"), given(klaviyo.merchant, again=shop.EMAIL))
        assert answer.status_code == status
    assert not Erasure.objects.exists()


def test_the_command_waits_until_it_is_done(klaviyo, sarah, capsys):
    call_command("erase", klaviyo.merchant.slug, shop.EMAIL, "--reason", "letter of May 3")
    assert "Done." in capsys.readouterr().out
    assert not Customer.objects.exclude(email="").exists()


def test_dispatch_goes_on_after_an_erasure():
    merchant = inbox.shop()
    erasure.advance(erasure.request(merchant, "nobody@klaviyo-demo.com", actor=None))
    inbox.post(merchant, sale())
    assert dispatch.run(now=inbox.NOW)
    assert list(forgetting.customers_called(merchant, "nobody@klaviyo-demo.com")) == []
