"""After a person was erased nothing in the whole database names them any more, and nothing brings them back."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection as database
from django.urls import reverse
from django.utils import timezone

from connections import keys
from connections.models import AuditEntry
from events.models import Customer
from tests.dump import rows, stored, unpacked
from tests.events.door import send
from tests.events.vrio_records import cancelled, envelope, offer, order, sale, shipped, transaction
from tests.webhooks_log import shop as people
from tests.webhooks_log.crowd import at_once
from tests.webhooks_log.lanes import Shop, pump
from webhooks_log import dispatch, erasure, replay
from webhooks_log.models import Body, Delivery, Erasure, Note, Replay, SavedFilter

BACKEND = "django.contrib.auth.backends.ModelBackend"
EMAIL, FORMER = "zelda.quux@klaviyo-demo.com", "zelda.former@klaviyo-demo.com"
PERSON = {"email": EMAIL, "first_name": "Zelda", "last_name": "Quuxington", "phone": "(555) 867-5309"}
ADDRESS = {
    "fname": "Zelda",
    "lname": "Quuxington",
    "address1": "77 Marzipan Lane",
    "city": "Gnurlville",
    "country": "US",
}
WORDS = ("zelda", "quuxington", "8675309", "867-5309", "marzipan", "gnurlville")


def of_zelda(number: str, *, at: str = "2025-08-30 08:00:00", **more: Any) -> bytes:
    """A sale to Zelda, with everything about her that Vrio tells."""
    given = {
        "customer": {"id": "777", **PERSON},
        "customer_address_billing": ADDRESS,
        "order": {"id": f"o{number}", "campaign_id": "14", "is_test": "0", "tracking1": "from-zelda"},
        **more,
    }
    return sale(number, event_id=number, at=at, **given)


@pytest.fixture
def vita(twin, settings) -> Shop:
    settings.KLAVIYO_BASE_URL = twin.url
    settings.LANE_THREADS = 4
    settings.KLAVIYO_CONNECT_SECONDS = settings.KLAVIYO_TOTAL_SECONDS = 25.0  # the machine may be busy
    return Shop(twin)


@pytest.fixture
def door(vita) -> Any:
    """Posts to the shop's source with a key, as Vrio does."""
    _, bearer = keys.new_bearer(vita.source, name="Vrio")

    def post(*bodies: bytes) -> list[int]:
        return [send(bearer, body).status for body in bodies]

    return post


@pytest.fixture
def owner(vita, client) -> Any:
    client.force_login(people.person(vita.merchant, "owner"), backend=BACKEND)
    return client


def a_long_acquaintance(vita: Shop, door: Any, owner: Any, twin: Any) -> None:
    """Zelda in every table that can hold her."""
    former = {"customer": {"id": "777", **PERSON, "email": FORMER}}
    assert door(of_zelda("1", **former), of_zelda("2")) == [202, 202]
    dispatch.run()
    pump(60)
    twin.fault(status=503, count=20, path="/api/events")
    assert door(of_zelda("3"), of_zelda("2", transaction_total="31.00")) == [202, 202]  # waits; a conflict
    dispatch.run()
    pump(3)
    twin.clear_faults()
    broken = {**transaction("4", customer=PERSON | {"id": "777"}), "transaction_total": EMAIL}
    door(
        envelope("transaction", "transaction_completed", broken, event_id="4"),
        of_zelda("5", at="2026-11-20 08:00:00", date_complete="2020-01-01 00:00:00"),  # a click on Test
        offer("Active", "2025-08-31 08:00:00", customer_id="777", order_id="o2", note="Zelda Quuxington"),
        shipped("s1", customer_id="777", order_id="o2", shipment_tracking_id="1ZZELDA777", name="Zelda Quuxington"),
        order(event_id="o", id="o2", customer_id="", tracking2="of-zelda"),
        envelope("gift", "gift_sent", {"to": EMAIL}, event_id="g"),
        json.dumps({"webhook_type": "transaction", "said": {**PERSON, **ADDRESS}}).encode(),  # refused
    )
    dispatch.run()
    pump(3)
    door(of_zelda("6"))  # not dispatched yet
    an_upload(owner, vita)
    the_teams_words(vita, owner)


def an_upload(owner: Any, vita: Shop, number: str = "90") -> None:
    file = SimpleUploadedFile(
        "h.ndjson", json.dumps({"transactions": [transaction(number, customer={"id": "777", **PERSON})]}).encode()
    )
    owner.post(reverse("admin:history_import"), {"source": vita.source.pk, "file": file})


def the_teams_words(vita: Shop, owner: Any) -> None:
    """What support writes down, and looks for."""
    zelda, actor = Customer.objects.get(email=EMAIL), owner.session and people.person(vita.merchant)
    sent = Delivery.objects.filter(customer=zelda, state="delivered").order_by("pk")
    owner.get(reverse("admin:customer", args=(zelda.pk,)))
    owner.get(reverse("admin:find"), {"q": EMAIL})
    owner.post(reverse("admin:customer_note", args=(zelda.pk,)), {"text": "Zelda called"})
    owner.post(reverse("admin:delivery_note", args=(sent[0].pk,)), {"text": "Zelda again"})
    other = vita.owe("other")
    Note.objects.create(merchant=vita.merchant, delivery=other, text=f"the same as with {EMAIL}")
    SavedFilter.objects.create(user=actor, name=f"of {EMAIL}", query=f"customer={zelda.pk}")
    replay.send_again(sent[0], actor=None, reason=f"{EMAIL} asked for it, tel. +1 555 867 5309", translate_anew=True)
    replay.send_again(sent[1], actor=None, reason=f"{FORMER} asked")
    Replay.objects.create(merchant=vita.merchant, reason=f"for {EMAIL}", selection={"filter": {"customer": zelda.pk}})
    pump(5)


def erase(vita: Shop, **wishes: Any) -> Erasure:
    row = erasure.request(vita.merchant, EMAIL, actor=None, reason=f"letter of {EMAIL}", **wishes)
    for minutes in range(20):
        if not erasure.advance_all(now=timezone.now() + timedelta(minutes=minutes)):
            break
    row.refresh_from_db()
    return row


def whatever_names_her(words: tuple[str, ...] = WORDS) -> list[str]:
    """Every row in which one of these words still stands."""
    texts = [*rows(), *(raw.decode("latin-1") for raw in unpacked())]
    return [text[:300] for text in texts if any(word in text.lower() for word in words)]


@pytest.mark.django_db(transaction=True)
def test_nothing_names_her_and_klaviyo_has_forgotten_her_too(vita, door, owner, twin) -> None:
    a_long_acquaintance(vita, door, owner, twin)
    assert len(whatever_names_her()) > 20
    assert {profile["email"] for profile in twin.profiles()} >= {EMAIL, FORMER}
    twin.fault(status=503, count=1, path="/api/data-privacy-deletion-jobs")
    done = erase(vita, tells_klaviyo=True)
    assert whatever_names_her() == []
    assert leftovers() == []
    assert set(Erasure.objects.values_list("state", flat=True)) == {"done"}
    assert {profile["email"] for profile in twin.profiles()}.isdisjoint({EMAIL, FORMER})
    assert deleted(twin) == {EMAIL: [503, 202], FORMER: [202]}
    assert done.found["events"] > 5
    what_comes_late(door)
    an_upload(owner, vita, number="91")
    what_is_sent_again()
    dispatch.run()
    pump(3)
    assert whatever_names_her() == []
    assert not Customer.objects.filter(vrio_id__in=("777", "778")).exists()


def leftovers() -> list[str]:
    """Her words in the files themselves, on a database that is one."""
    if database.vendor != "sqlite":
        return []
    found = [raw.lower() for raw in stored()]
    return [word for word in WORDS for raw in found if word.encode() in raw]


def deleted(twin: Any) -> dict[str, list[int]]:
    """What Klaviyo answered to each deletion asked for, by address."""
    told: dict[str, list[int]] = {}
    for call in twin.requests(path="/api/data-privacy-deletion-jobs"):
        profile = json.loads(call["body"])["data"]["attributes"]["profile"]["data"]["attributes"]
        told.setdefault(profile["email"], []).append(call["status"])
    return told


def what_comes_late(door: Any) -> None:
    """Everything by which somebody might come back."""
    assert set(
        door(
            of_zelda("2"),  # once more, word for word
            of_zelda("7"),
            of_zelda("8", customer={"id": "777", **PERSON, "email": "zelda.other@klaviyo-demo.com"}),
            of_zelda("9", customer={"id": "778", **PERSON}),  # the same address under another id
            order(event_id="late", id="o2", customer_id="", tracking2="of-zelda"),  # names an order of hers only
            shipped("s2", customer_id="777", order_id="o2", shipment_tracking_id="1ZZELDA778"),
            offer("Active", "2025-09-30 08:00:00", customer_id="778", order_id="o9"),  # names the new id only
        )
    ) == {200, 202}
    dispatch.run()
    pump(3)
    late = Delivery.objects.filter(event__event_id__in=("7", "8", "9", "s2"))
    assert set(late.values_list("state", "reason", "email")) == {("skipped", "erased", "")}


def what_is_sent_again() -> None:
    """Nothing of hers can be: neither its bytes nor its event are there."""
    for row in Delivery.objects.filter(state__in=("delivered", "skipped")).exclude(unique_id="other"):
        for anew in (False, True):
            with pytest.raises(replay.Refused):
                replay.send_again(row, actor=None, reason="again", translate_anew=anew)


@pytest.mark.django_db(transaction=True)
def test_the_same_person_at_another_shop_stays(vita, door, owner, twin) -> None:
    next_door = Shop(twin, name="outlet", cid="DemoB2")
    next_door.customer(EMAIL)
    next_door.owe("n1", email=EMAIL)
    door(of_zelda("1"))
    dispatch.run()
    pump()
    erase(vita, tells_klaviyo=True)
    kept = next_door.merchant.customers.get()
    assert kept.email == EMAIL
    assert erasure.forgetting.customers_called(vita.merchant, EMAIL).count() == 0
    assert {call["account"] for call in twin.requests(path="/api/data-privacy-deletion-jobs")} == {vita.account.cid}
    next_door.owe("n2", email=EMAIL)
    pump()
    assert {event["unique_id"] for event in twin.events(account="DemoB2")} == {"n1", "n2"}


@pytest.mark.django_db
def test_a_copy_holds_whatever_is_kept_of_her(vita, door, owner) -> None:
    refused = json.dumps({"webhook_type": "transaction", "said": PERSON}).encode()
    door(of_zelda("1"), refused)
    dispatch.run()
    addressed = vita.owe("theirs", email=EMAIL)
    Delivery.objects.filter(pk=addressed.pk).update(customer=vita.customer("ann@klaviyo-demo.com"))
    answer = owner.post(reverse("admin:person_copy"), {"merchant": vita.merchant.pk, "email": EMAIL})
    told = json.loads(answer.content)
    assert (len(told["events"]), len(told["refused"])) == (1, 1)
    assert "theirs" in {row["id"] for row in told["messages"]}
    assert "77 Marzipan Lane" in answer.content.decode()


# ── Dying in the middle ──────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("step", ["_suppress", "_look_at_events", "_empty_deliveries", "_scrub", "_finish"])
def test_it_may_die_at_any_step_and_is_carried_on(vita, door, monkeypatch, step) -> None:
    door(of_zelda("1"), of_zelda("2", customer={"id": "", **PERSON}))
    dispatch.run()
    row = erasure.request(vita.merchant, EMAIL, actor=None)
    with monkeypatch.context() as broken:
        broken.setattr(erasure, step, power_cut)
        with pytest.raises(PowerCut):
            erasure.advance(row)
    carry_on()
    row.refresh_from_db()
    assert row.state == Erasure.State.DONE
    assert whatever_names_her() == []


def carry_on() -> None:
    """As the clock does, until nothing is left to do."""
    for _ in range(20):
        if not erasure.advance_all():
            return


class PowerCut(Exception):
    pass


def power_cut(*_: Any, **__: Any) -> None:
    raise PowerCut


@pytest.mark.django_db
def test_looking_through_goes_on_where_it_stopped(vita, door, monkeypatch) -> None:
    monkeypatch.setattr(erasure.forgetting, "LOOKED_THROUGH", 2)
    door(*[envelope("gift", "gift_sent", {"to": EMAIL, "n": number}, event_id=number) for number in range(7)])
    dispatch.run()
    row = erasure.request(vita.merchant, EMAIL, actor=None)
    erasure.advance(row, seconds=0)
    assert row.state == Erasure.State.REQUESTED
    assert row.found["events"] == 0
    carry_on()
    row.refresh_from_db()
    assert (row.state, row.found["events"]) == (Erasure.State.DONE, 7)


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_do_it_once(vita, door, monkeypatch) -> None:
    monkeypatch.setattr(erasure.forgetting, "LOOKED_THROUGH", 2)
    door(*[envelope("gift", "gift_sent", {"to": EMAIL, "n": number}, event_id=number) for number in range(9)])
    dispatch.run()
    row = erasure.request(vita.merchant, EMAIL, actor=None)
    at_once(lambda: erasure.advance(Erasure.objects.get(pk=row.pk)))
    carry_on()
    row.refresh_from_db()
    assert (row.state, row.found["events"]) == (Erasure.State.DONE, 9)
    assert AuditEntry.objects.filter(action="erasure done").count() == 1


# ── Small leftovers ──────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.django_db
def test_a_customer_known_by_id_only_is_emptied_once_named_as_the_erased(vita, door) -> None:
    door(cancelled("2025-08-31 08:00:00", customer_id="900", order_id="o5", note="Zelda Quuxington"))
    dispatch.run()
    stub = Customer.objects.get(vrio_id="900")
    erase(vita)
    assert Delivery.objects.filter(customer=stub, state="waiting").exists()
    door(of_zelda("5", customer={"id": "900", **PERSON}))
    dispatch.run()
    carry_on()
    stub.refresh_from_db()
    assert stub.erased_at
    assert set(Delivery.objects.values_list("state", "reason")) == {("skipped", "erased")}
    assert whatever_names_her() == []


@pytest.mark.django_db
def test_an_address_of_somebody_else_is_not_taken_for_a_former_one(vita) -> None:
    zelda, ann = vita.customer(EMAIL), vita.customer("ann@klaviyo-demo.com")
    vita.owe("1", email=EMAIL)
    Delivery.objects.update(email=ann.email, customer=zelda, state="delivered")
    erase(vita)
    ann.refresh_from_db()
    assert (ann.email, Erasure.objects.count()) == ("ann@klaviyo-demo.com", 1)


@pytest.mark.django_db
def test_what_was_addressed_to_her_goes_whosever_it_is(vita) -> None:
    ann = vita.customer("ann@klaviyo-demo.com")
    row = vita.owe("1", email=EMAIL)
    waiting = vita.owe("2", email=EMAIL)
    Delivery.objects.update(customer=ann)
    Delivery.objects.filter(pk=row.pk).update(state="delivered")
    erase(vita)
    assert set(Delivery.objects.values_list("pk", "state", "email")) == {
        (row.pk, "delivered", ""),
        (waiting.pk, "skipped", ""),
    }
    assert not Body.objects.exclude(content=None).exists()


@pytest.mark.django_db
def test_bytes_that_a_row_no_longer_sends_do_not_stay_behind(vita, door) -> None:
    door(of_zelda("1"))
    dispatch.run()
    row = Delivery.objects.filter(metric="Placed Order").get()
    Delivery.objects.update(state="skipped", reason="stopped")
    replay.send_again(row, actor=None, reason="again", translate_anew=True)
    assert Body.objects.count() == Delivery.objects.exclude(body=None).count()


@pytest.mark.django_db
def test_reasons_are_kept_without_addresses(vita) -> None:
    row = erasure.request(vita.merchant, EMAIL, actor=None, reason=f"Letter 77 of {EMAIL}, +1 555 867 5309, 2026-11-20")
    assert row.reason == "Letter 77 of (left out), (left out), 2026-11-20"
    assert set(AuditEntry.objects.values_list("reason", flat=True)) == {row.reason}


@pytest.mark.parametrize(
    "body",
    [
        b'{"to":"Zelda.Quux@Klaviyo-Demo.com"}',
        b"zelda.quux\\u0040klaviyo-demo.com",
        b"?m=zelda.quux%40klaviyo-demo.com",
    ],
)
def test_an_address_is_found_however_it_is_spelled(body) -> None:
    assert erasure.forgetting.spells(body, EMAIL)


def test_an_address_with_letters_beyond_ascii_is_found_in_either_spelling() -> None:
    for body in ('{"to":"jos\u00e9@b\u00fccher.test"}'.encode(), b'{"to":"jos\\u00e9@b\\u00fccher.test"}'):
        assert erasure.forgetting.spells(body, "Jos\u00e9@b\u00fccher.test")
