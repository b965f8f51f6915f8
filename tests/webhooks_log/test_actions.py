"""The buttons: POST, permission, tenant, and words for what happened."""

import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from connections.models import AuditEntry
from tests.webhooks_log import shop
from webhooks_log.models import Note, Replay, SavedFilter

pytestmark = pytest.mark.django_db
BACKEND = "django.contrib.auth.backends.ModelBackend"
BUTTONS = ("delivery_send_again", "delivery_stop", "delivery_try_now", "delivery_look", "delivery_note")


def press(client: Any, name: str, pk: int, **given: str) -> Any:
    return client.post(reverse(f"admin:{name}", args=(pk,)), given, headers={"X-Requested-With": "fetch"})


def test_send_again_makes_a_failed_row_due_and_records_who_and_why(support, klaviyo):
    row = shop.delivery(klaviyo, content=shop.message(), state="failed", reason="rejected")
    assert press(support, "delivery_send_again", row.pk, reason="fixed it").json()["tone"] == "good"
    row.refresh_from_db()
    assert row.state == "queued"
    entry = AuditEntry.objects.get(action="sent again")
    assert (entry.reason, entry.merchant) == ("fixed it", klaviyo.merchant)


def test_stop_and_try_now(support, klaviyo):
    planned = {"content": shop.message(), "state": "waiting", "reason": "retrying", "next_attempt_at": timezone.now()}
    first, second = shop.delivery(klaviyo, **planned), shop.delivery(klaviyo, **planned)
    assert press(support, "delivery_stop", first.pk).json()["tone"] == "good"
    assert press(support, "delivery_try_now", second.pk).json()["sentence"] == "It is tried now."
    first.refresh_from_db()
    assert (first.state, first.reason) == ("skipped", "stopped")


def test_what_cannot_be_done_is_said(support, klaviyo):
    row = shop.delivery(klaviyo, content=shop.message())
    told = press(support, "delivery_try_now", row.pk).json()
    assert told == {"sentence": "No further try is planned. Use Send again.", "tone": "warn"}


def test_without_the_script_the_page_says_what_happened(support, klaviyo):
    row = shop.delivery(klaviyo, content=shop.message())
    answer = support.post(reverse("admin:delivery_try_now", args=(row.pk,)), follow=True)
    assert "No further try is planned." in answer.content.decode()


@pytest.mark.parametrize("name", BUTTONS)
def test_a_button_needs_post_a_token_and_a_place(support, klaviyo, name):
    row = shop.delivery(klaviyo, content=shop.message())
    address = reverse(f"admin:{name}", args=(row.pk,))
    assert support.get(address).status_code == 405
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(shop.person(klaviyo.merchant), backend=BACKEND)
    assert strict.post(address).status_code == 403
    support.force_login(shop.person(shop.merchant("Other")), backend=BACKEND)
    assert support.post(address).status_code == 404
    row.refresh_from_db()
    assert row.state == "delivered"


def test_a_note_stands_where_it_was_left(support, klaviyo):
    sarah = shop.customer(klaviyo.merchant)
    row = shop.delivery(klaviyo, sarah)
    press(support, "delivery_note", row.pk, text="Asked Klaviyo. <b>Wait</b>")
    press(support, "customer_note", sarah.pk, text="She called.")
    press(support, "customer_note", sarah.pk, text="   ")
    assert Note.objects.count() == 2
    opened = support.get(reverse("admin:delivery_opened", args=(row.pk,))).content.decode()
    assert "Asked Klaviyo. &lt;b&gt;Wait&lt;/b&gt;" in opened
    assert "She called." in support.get(reverse("admin:customer", args=(sarah.pk,))).content.decode()


def test_a_filter_is_saved_by_name_and_forgotten_by_its_owner_only(support, client, klaviyo):
    address = f"{reverse('admin:filter_save')}?state=failed&before=12&evil=1"
    support.post(address, {"name": "Broken"})
    support.post(address, {"name": "Broken"})
    saved = SavedFilter.objects.get()
    assert (saved.name, saved.query) == ("Broken", "state=failed")
    assert f"{reverse('admin:webhooks')}?state=failed" in support.get(reverse("admin:webhooks")).content.decode()
    owner = saved.user
    client.force_login(shop.person(klaviyo.merchant), backend=BACKEND)
    client.post(reverse("admin:filter_forget", args=(saved.pk,)))
    assert SavedFilter.objects.filter(user=owner).exists()
    client.force_login(owner, backend=BACKEND)
    client.post(reverse("admin:filter_forget", args=(saved.pk,)))
    assert not SavedFilter.objects.exists()


def test_many_are_counted_first_then_started_with_a_reason(support, klaviyo):
    rows = [shop.delivery(klaviyo, content=shop.message(), state="failed", reason="rejected") for _ in range(3)]
    shop.delivery(klaviyo, content=shop.message())
    address = f"{reverse('admin:replay_plan')}?state=failed"
    counted = support.get(address)
    assert counted.context["plan"].count == 3
    assert not Replay.objects.exists()
    assert "3 would be new at Klaviyo." in counted.content.decode()
    nothing = support.post(address, {"go": "1", "reason": " "}, follow=True)
    assert "Say why" in nothing.content.decode()
    support.post(address, {"go": "1", "reason": "after the fix"})
    started = Replay.objects.get()
    assert (started.total, started.reason) == (3, "after the fix")
    shown = support.get(reverse("admin:replay", args=(started.pk,))).content.decode()
    assert "0 of 3 handed to the lanes" in shown
    support.post(reverse("admin:replay_turn", args=(started.pk,)), {"turn": "pause"})
    started.refresh_from_db()
    assert started.state == "paused"
    assert "after the fix" in support.get(reverse("admin:replays")).content.decode()
    assert len(rows) == 3


def test_what_to_send_and_how_is_chosen_on_the_page(support, klaviyo):
    shop.delivery(klaviyo, content=shop.message(), state="failed", reason="rejected")
    shop.delivery(klaviyo, content=shop.message())
    address = f"{reverse('admin:replay_plan')}?connection={klaviyo.pk}&since=2020-01-01"
    chosen = {"how": "anew", "delivered": "yes", "backfill": "on"}
    assert support.get(f"{address}&delivered=yes").context["plan"].count == 2
    support.post(address, {"go": "1", "reason": "after the fix", **chosen})
    started = Replay.objects.get()
    assert (started.translates_anew, started.includes_delivered, started.backfill, started.total) == (
        True,
        True,
        True,
        2,
    )
    assert started.actor.username


def test_rows_picked_one_by_one_are_what_is_sent(support, klaviyo):
    rows = [shop.delivery(klaviyo, content=shop.message(), state="failed", reason="rejected") for _ in range(3)]
    address = f"{reverse('admin:replay_plan')}?id={rows[0].pk}&id={rows[2].pk}"
    assert support.get(address).context["plan"].count == 2


def test_nobody_sends_many_of_a_merchant_that_is_not_theirs(support, client):
    other = shop.connection(shop.merchant("Other"))
    shop.delivery(other, content=shop.message(), state="failed")
    for query in (f"merchant={other.merchant.slug}", f"connection={other.pk}"):
        assert support.get(f"{reverse('admin:replay_plan')}?{query}").status_code == 404
        assert support.post(f"{reverse('admin:replay_plan')}?{query}", {"go": "1", "reason": "x"}).status_code == 404
    assert not Replay.objects.exists()


def test_the_help_page_holds_both_tables(support):
    shown = support.get(reverse("admin:answers")).content.decode()
    assert "Klaviyo refused the phone number. It was sent again at once without it." in shown
    assert "The campaign is not among those this connection sends." in shown


def test_an_inline_answer_is_json(support, klaviyo):
    row = shop.delivery(klaviyo)
    answer = press(support, "delivery_note", row.pk, text="x")
    assert answer["Content-Type"] == "application/json"
    assert json.loads(answer.content)["sentence"] == "Noted."
