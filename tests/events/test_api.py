"""The door, as Vrio sees it."""

import base64
import hmac
import json

import pytest

from connections import keys
from events.models import Event
from tests.events.door import an_event, call, post, send

pytestmark = pytest.mark.django_db


def test_a_new_event_is_stored_byte_for_byte_and_answered_202(clear, source):
    raw = b'  {"webhook_type":"order", "webhook_event":"order_updated","webhook_event_id":"7","webhook_data":{}}\n'
    answer = send(clear, raw)
    event = Event.objects.get()
    assert (answer.status, answer.json) == (202, {"results": [{"status": "accepted", "id": event.pk}]})
    assert (bytes(event.body), event.event_id, event.authenticated_by) == (raw, "7", "bearer")
    assert (event.source, event.merchant, event.arrivals) == (source, source.merchant, 1)


def test_the_same_fact_again_is_counted_and_answered_200(clear):
    first = send(clear, an_event()).json["results"][0]["id"]
    answer = send(clear, an_event())
    assert (answer.status, answer.json) == (200, {"results": [{"status": "duplicate", "id": first}]})
    assert Event.objects.get().arrivals == 2


def test_the_same_identity_with_other_content_is_a_row_of_its_own(clear):
    first = send(clear, an_event()).json["results"][0]["id"]
    answer = send(clear, an_event(webhook_data={"transaction": {"id": "1"}}))
    second = Event.objects.get(conflict_of=first)
    assert answer.json == {"results": [{"status": "accepted", "id": second.pk, "conflict_of": first}]}
    assert answer.status == 202


def test_a_list_with_a_bad_item_commits_the_good_ones(clear):
    answer = send(clear, [an_event(1), {"webhook_type": "order"}, an_event(1), an_event(2)])
    assert answer.status == 207
    assert [one["status"] for one in answer.json["results"]] == ["accepted", "refused", "duplicate", "accepted"]
    assert answer.json["results"][1]["field"] == "webhook_event"
    assert list(Event.objects.order_by("id").values_list("event_id", "arrivals")) == [("1", 2), ("2", 1)]


def test_a_secret_address_takes_any_content_type_and_says_200(source):
    token = keys.new_address(source, name="Vrio v1")[1]
    answer = post(f"/api/v1/ingest/{token}", an_event(), CONTENT_TYPE="text/plain")
    assert (answer.status, Event.objects.get().authenticated_by) == (200, "address")


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("encoding", ["hex", "base64"])
@pytest.mark.parametrize("prefix", ["", "sha256="])
def test_a_signature_over_the_raw_body_is_a_proof(source, algorithm, encoding, prefix):
    key, secret = keys.new_hmac(
        source, name="v2", header="X-Vrio-Signature", algorithm=algorithm, encoding=encoding, prefix=prefix
    )
    raw = json.dumps(an_event()).encode()
    digest = hmac.new(secret.encode(), raw, algorithm).digest()
    signature = prefix + (digest.hex() if encoding == "hex" else base64.b64encode(digest).decode())
    path = f"/api/v1/signed/{key.public_id}"
    assert post(path, raw, HTTP_X_VRIO_SIGNATURE=signature).status == 202
    assert post(path, raw + b" ", HTTP_X_VRIO_SIGNATURE=signature).status == 401
    assert post(path, raw).json["code"] == "signature_missing"
    assert Event.objects.get().authenticated_by == "hmac"


def test_a_stranger_is_told_401_and_nothing_is_kept(source):
    answer = send("vk_unknown", an_event())
    assert (answer.status, answer.json["code"]) == (401, "key_unknown")
    assert not Event.objects.exists()


@pytest.mark.parametrize("path", ["/api/v1/nothing", "/api/v1/signed/%0A"])
def test_what_is_not_there_is_a_problem_too(path):
    answer = call("GET", path)
    assert (answer.status, answer.headers["Content-Type"]) == (404, "application/problem+json")
    assert call("GET", "/api/v1/ingest/whatever").status == 405
