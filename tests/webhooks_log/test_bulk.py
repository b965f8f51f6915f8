"""A large backlog leaves in bulk jobs, and every row still ends with a verdict of its own."""

import json
from typing import Any

import pytest
from django.utils import timezone

from connections.models import Connection, KlaviyoAccount
from tests.twin import Twin
from tests.webhooks_log.lanes import Shop, pump
from webhooks_log.models import Attempt, Delivery
from webhooks_log.packing import unpack_body, unpack_content

pytestmark = pytest.mark.django_db(transaction=True)

BULK = "/api/event-bulk-create-jobs"
GROUP = "/data/attributes/events-bulk-create/data"


@pytest.fixture
def shop(twin: Twin, settings) -> Shop:
    settings.KLAVIYO_BASE_URL = twin.url
    settings.LANE_THREADS = 4
    settings.LANE_BULK_ABOVE = 5
    return Shop(twin)


def jobs(twin: Twin) -> list[dict[str, Any]]:
    return twin.requests(path=BULK)


def singles(twin: Twin) -> list[dict[str, Any]]:
    return twin.requests(path="/api/events")


def ids(twin: Twin) -> list[str]:
    return sorted(event["unique_id"] for event in twin.events())


def people(shop: Shop, count: int, **fields: Any) -> list[Delivery]:
    """One event each, due now."""
    return [shop.owe(f"{number:03}", **fields) for number in range(count)]


def states() -> set[tuple[str, str]]:
    return set(Delivery.objects.values_list("state", "reason"))


def test_a_backlog_leaves_in_a_job_with_the_same_ids(shop: Shop, twin: Twin) -> None:
    people(shop, 40)
    pump()
    assert (len(jobs(twin)), len(singles(twin)), len(ids(twin))) == (1, 0, 40)
    assert states() == {("delivered", "")}


def test_a_small_lane_sends_single_calls(shop: Shop, twin: Twin) -> None:
    people(shop, 5)
    pump()
    assert (len(jobs(twin)), len(singles(twin))) == (0, 5)


def test_bulk_can_be_switched_off(shop: Shop, twin: Twin, settings) -> None:
    settings.LANE_BULK_ABOVE = 0
    people(shop, 20)
    pump()
    assert (len(jobs(twin)), len(singles(twin))) == (0, 20)


def test_an_attempt_shows_its_own_part_and_the_job(shop: Shop, twin: Twin) -> None:
    people(shop, 10)
    pump()
    (job,) = jobs(twin)
    attempt = Attempt.objects.get(delivery__unique_id="003")
    part = unpack_body(attempt.body)
    assert (attempt.kind, attempt.status, len(attempt.job)) == ("bulk", 202, 64)
    assert job["body"].encode()[attempt.job_offset :].startswith(part)
    assert json.loads(part)["attributes"]["events"]["data"][0]["attributes"]["unique_id"] == "003"
    assert b'"004"' not in part
    assert set(Attempt.objects.values_list("job", flat=True)) == {attempt.job}
    assert unpack_content(attempt.content).url.endswith(BULK)


def test_a_customers_events_stand_in_one_group_in_order(shop: Shop, twin: Twin) -> None:
    for number in range(12):
        shop.owe(f"{number:03}", email=f"person{number % 2}@klaviyo-demo.com")
    pump()
    (job,) = jobs(twin)
    groups = json.loads(job["body"])["data"]["attributes"]["events-bulk-create"]["data"]
    told = [[e["attributes"]["unique_id"] for e in group["attributes"]["events"]["data"]] for group in groups]
    assert [len(group) for group in told] == [6, 6]
    assert all(group == sorted(group) for group in told)


def test_a_refused_phone_is_dropped_for_its_persons_whole_group(shop: Shop, twin: Twin) -> None:
    twin.settings(possible_only="refused")
    people(shop, 8)
    for unique_id in ("a1", "a2"):
        shop.owe(unique_id, email="ann@klaviyo-demo.com", phone="+15551234567")
    shop.owe("a3", email="ann@klaviyo-demo.com")
    pump()
    assert len(jobs(twin)) == 2
    assert len(ids(twin)) == 11
    first, second = Attempt.objects.filter(delivery__unique_id="a1").order_by("id")
    assert (first.status, first.verdict, second.status, second.without_phone) == (400, "phone_refused", 202, True)
    assert b"phone_number" not in unpack_body(second.body)
    dropped = Delivery.objects.filter(phone_dropped_at__isnull=False).values_list("unique_id", flat=True)
    assert sorted(dropped) == ["a1", "a2"]
    assert states() == {("delivered", "")}


def test_the_others_of_a_refused_job_go_again_and_read_nothing_of_their_neighbour(shop: Shop, twin: Twin) -> None:
    twin.settings(possible_only="refused")
    people(shop, 8)
    shop.owe("a1", email="ann@klaviyo-demo.com", phone="+15551234567")
    pump()
    first, second = Attempt.objects.filter(delivery__unique_id="003").order_by("id")
    assert (first.status, first.verdict, second.status) == (400, "job_refused", 202)
    assert json.loads(unpack_content(first.content).answer)["errors"] == []
    assert Delivery.objects.get(unique_id="003").tries == 0


def test_an_item_that_klaviyo_names_fails_alone(shop: Shop, twin: Twin) -> None:
    pointer = f"{GROUP}/2/attributes/events/data/0/attributes/value"
    twin.fault(count=1, path=BULK, status=400, pointer=pointer)
    people(shop, 10)
    pump()
    assert Delivery.objects.get(unique_id="002").reason == "rejected"
    assert Delivery.objects.filter(state="delivered").count() == 9
    assert len(jobs(twin)) == 2


def test_a_job_refused_without_a_name_is_halved_until_the_culprit_stands_alone(shop: Shop, twin: Twin) -> None:
    twin.fault(count=0, status=400, unique_id="005", pointer="/data")
    people(shop, 16)
    pump()
    culprit = Delivery.objects.get(unique_id="005")
    assert (culprit.state, culprit.reason) == ("failed", "rejected")
    assert Delivery.objects.filter(state="delivered").count() == 15
    assert Attempt.objects.filter(delivery=culprit).order_by("id").last().kind == "single"


def test_halves_keep_the_order_of_one_customer(shop: Shop, twin: Twin) -> None:
    twin.fault(count=3, status=400, path=BULK, pointer="/data")
    for number in range(20):
        shop.owe(f"{number:03}", email="ann@klaviyo-demo.com")
    pump()
    sent = [event["unique_id"] for event in twin.events()]
    assert sent == sorted(sent)
    assert len(sent) == 20


def test_an_endpoint_that_is_refused_leaves_it_to_single_calls(shop: Shop, twin: Twin) -> None:
    twin.fault(count=1, status=404, path=BULK)
    people(shop, 20)
    pump()
    assert (len(jobs(twin)), len(singles(twin)), len(ids(twin))) == (1, 20, 20)


@pytest.mark.parametrize("fault", [{"status": 503}, {"drop": "before"}, {"drop": "after"}])
def test_a_job_without_an_answer_climbs_the_ladder_with_every_row(shop: Shop, twin: Twin, fault: dict) -> None:
    twin.fault(count=1, path=BULK, **fault)
    people(shop, 10)
    pump()
    assert set(Delivery.objects.values_list("state", "reason", "tries")) == {("waiting", "retrying", 1)}
    Delivery.objects.update(next_attempt_at=timezone.now())
    pump()
    assert (len(ids(twin)), states()) == (10, {("delivered", "")})


def test_429_stops_the_lane_and_uses_no_try(shop: Shop, twin: Twin) -> None:
    twin.fault(count=1, path=BULK, status=429, retry_after=40)
    people(shop, 10)
    pump()
    assert set(Delivery.objects.values_list("state", "reason", "tries", "claims")) == {("waiting", "throttled", 0, 0)}
    assert KlaviyoAccount.objects.get().throttled_until > timezone.now()


def test_a_refused_key_holds_the_connection_and_burns_nothing(shop: Shop, twin: Twin) -> None:
    twin.fault(count=1, path=BULK, status=401)
    people(shop, 10)
    pump()
    assert Connection.objects.get().state == Connection.State.KEY_REFUSED
    assert set(Delivery.objects.values_list("state", "reason", "tries")) == {("waiting", "key_refused", 0)}


def test_a_missing_scope_holds_the_family_of_events(twin: Twin, settings) -> None:
    settings.KLAVIYO_BASE_URL, settings.LANE_BULK_ABOVE = twin.url, 5
    shop = Shop(twin, kind="noevents")
    people(shop, 10)
    pump()
    assert Connection.objects.get().held_families == ["events"]
    assert set(Delivery.objects.values_list("state", "reason", "tries")) == {("waiting", "scope_missing", 0)}


def test_profiles_go_beside_as_single_calls(shop: Shop, twin: Twin) -> None:
    people(shop, 10)
    rendered = b'{"data":{"type":"profile","attributes":{"email":"ann@klaviyo-demo.com"}}}'
    profile = shop.owe("profile:1", email="ann@klaviyo-demo.com", metric="x")
    Delivery.objects.filter(pk=profile.pk).update(metric="", path="/api/profile-import")
    type(profile.body).objects.filter(pk=profile.body_id).update(content=rendered, codec=0)
    pump()
    assert (len(jobs(twin)), len(twin.requests(path="/api/profile-import"))) == (1, 1)
    assert states() == {("delivered", "")}


def test_a_row_that_is_no_rendered_event_goes_singly(shop: Shop, twin: Twin) -> None:
    people(shop, 10)
    odd = Delivery.objects.get(unique_id="004").body
    loose = json.dumps(json.loads(unpack_body(odd))).encode()
    type(odd).objects.filter(pk=odd.pk).update(content=loose, codec=0)
    pump()
    assert (len(singles(twin)), len(ids(twin))) == (1, 10)
