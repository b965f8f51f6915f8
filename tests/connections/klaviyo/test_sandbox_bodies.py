"""What a body may hold: structure, types, unknown fields, limits, e-mail, phone."""

import json
from typing import Any

import pytest

from tests.connections.klaviyo.calls import (
    EMAIL,
    bulk,
    call,
    event,
    import_profile,
    pointers,
    post_event,
    problems,
    profile,
)
from tests.twin import Twin

EVENT_PROFILE = "/data/attributes/profile/data/attributes"
PHONE_WORDS = "Invalid phone number format (Example of a valid format: +12345678901)"
GROUP = "/data/attributes/events-bulk-create/data"


def nested(depth: int) -> dict[str, Any]:
    return {"deeper": nested(depth - 1)} if depth > 1 else {}


def test_a_good_event_is_202_without_body_and_type(twin: Twin) -> None:
    answer = post_event(twin)
    assert (answer.status_code, answer.content) == (202, b"")
    assert answer.headers["Content-Length"] == "0"
    assert "Content-Type" not in answer.headers


@pytest.mark.parametrize("path", ["/api/events", "/api/events/"])
@pytest.mark.parametrize(
    "media_type", ["application/vnd.api+json", "application/json", "application/json; charset=utf-8"]
)
def test_slash_and_media_type_are_taken_either_way(twin: Twin, path: str, media_type: str) -> None:
    assert call(twin, "POST", path, json.dumps(event()), Content_Type=media_type).status_code == 202


@pytest.mark.parametrize(
    "wrong", [{"Content_Type": "text/plain"}, {"Content_Type": None}, {"Content_Encoding": "gzip"}]
)
def test_a_wrong_content_type_or_encoding_is_415(twin: Twin, wrong: dict[str, str | None]) -> None:
    assert call(twin, "POST", "/api/events", json.dumps(event()).encode(), **wrong).status_code == 415


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"value": "29.99"}, "/data/attributes/value"),
        ({"value": True}, "/data/attributes/value"),
        ({"unique_id": 1668}, "/data/attributes/unique_id"),
        ({"unique_id": ""}, "/data/attributes/unique_id"),
        ({"unique_id": "x" * 256}, "/data/attributes/unique_id"),
        ({"value_currency": "dollars"}, "/data/attributes/value_currency"),
        ({"backfill": "false"}, "/data/attributes/backfill"),
        ({"time": "2026-08-30T12:00:00"}, "/data/attributes/time"),
        ({"time": "2026-08-30"}, "/data/attributes/time"),
        ({"time": 1756555200}, "/data/attributes/time"),
        ({"time": "2026-02-30T12:00:00+00:00"}, "/data/attributes/time"),
        ({"time": "1989-12-31T12:00:00+00:00"}, "/data/attributes/time"),
        ({"time": "2099-01-01T12:00:00+00:00"}, "/data/attributes/time"),
        ({"metric": "x" * 128}, "/data/attributes/metric/data/attributes/name"),
        ({"metric": ""}, "/data/attributes/metric/data/attributes/name"),
        ({"properties": []}, "/data/attributes/properties"),
        ({"profile": {"external_id": 7}}, f"{EVENT_PROFILE}/external_id"),
        ({"profile": {"location": None}}, f"{EVENT_PROFILE}/location"),
        ({"profile": {"location": {"zip": 12345}}}, f"{EVENT_PROFILE}/location/zip"),
        ({"properties": {str(number): "" for number in range(401)}}, "/data/attributes/properties"),
        ({"properties": {"Note": "x" * 100_001}}, "/data/attributes/properties/Note"),
        ({"properties": {"Items": [0] * 4_001}}, "/data/attributes/properties/Items"),
        ({"properties": nested(11)}, "/data/attributes/properties" + "/deeper" * 10),
        ({"properties": {"Big": 2**63}}, "/data/attributes/properties/Big"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_wrong_value_is_400_and_pointed_at(twin: Twin, changes: dict[str, Any], pointer: str) -> None:
    answer = post_event(twin, **changes)
    assert (answer.status_code, pointers(answer)) == (400, [pointer])
    assert answer.json()["errors"][0]["code"] == "invalid"


@pytest.mark.parametrize(
    "changes",
    [
        {"unique_id": "x" * 255},
        {"metric": "x" * 127},
        {"properties": {}},
        {"properties": {str(number): "" for number in range(400)}},
        {"properties": {"Items": [{"Quantity": "1"}] * 4_000, "Note": "x" * 100_000}},
        {"properties": nested(10)},
        {"properties": {"Big": 2**63 - 1, "$event_id": "1668", "$value": "29.99", "$extra": {"anything": [1]}}},
        {"profile": {"location": {"latitude": 42.3, "longitude": "-71.0"}}},
        {"profile": {"first_name": None, "properties": {"$phone_number": "555"}}},
        {"time": "1990-01-02T00:00:00Z"},
        {"time": None, "value": None, "value_currency": None, "unique_id": None},
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_lies_within_the_limits_is_taken(twin: Twin, changes: dict[str, Any]) -> None:
    assert post_event(twin, **changes).status_code == 202


def test_every_problem_of_a_body_is_told_at_once(twin: Twin) -> None:
    answer = post_event(twin, value="1", unique_id=7)
    assert sorted(map(str, pointers(answer))) == ["/data/attributes/unique_id", "/data/attributes/value"]


@pytest.mark.parametrize("missing", ["properties", "metric", "profile"])
def test_a_required_field_that_is_missing_is_named(twin: Twin, missing: str) -> None:
    body = event()
    del body["data"]["attributes"][missing]
    answer = call(twin, "POST", "/api/events", body)
    assert problems(answer) == [
        (f"'{missing}' is a required field for the resource 'event'.", f"/data/attributes/{missing}")
    ]


def test_a_body_without_attributes_draws_the_recorded_words(twin: Twin) -> None:
    answer = call(twin, "POST", "/api/events", {"data": {"type": "event"}})
    words = "One of `attributes`, `relationships` or `id` must be included in the request payload."
    assert problems(answer) == [(words, "/data")]


@pytest.mark.parametrize("body", [b"", b"{", b"nonsense", b'{"data": NaN}', b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_json_is_400(twin: Twin, body: bytes) -> None:
    assert call(twin, "POST", "/api/events", body).status_code == 400


@pytest.mark.parametrize("body", [[], "text", 7, None, {"data": []}, {"data": {"type": "event", "attributes": []}}])
def test_json_of_another_shape_is_400(twin: Twin, body: Any) -> None:
    assert call(twin, "POST", "/api/events", json.dumps(body)).status_code == 400


@pytest.mark.parametrize(
    ("body", "field", "resource"),
    [
        (event(eventId="7"), "eventId", "event"),
        (event(profile={"$phone_number": "+12025550123"}), "$phone_number", "profile"),
        (event() | {"meta": {}}, "meta", "payload"),
    ],
)
def test_an_unknown_field_is_refused_by_name(twin: Twin, body: Any, field: str, resource: str) -> None:
    answer = call(twin, "POST", "/api/events", body)
    assert answer.status_code == 400
    assert problems(answer)[0][0] == f"'{field}' is not a valid field for the resource '{resource}'."


def test_profile_import_knows_no_anonymous_id(twin: Twin) -> None:
    assert import_profile(twin, anonymous_id="abc").status_code == 400
    assert post_event(twin, profile={"anonymous_id": "abc"}).status_code == 202


def test_meta_moved_with_the_newest_revision(twin: Twin) -> None:
    meta = {"patch_properties": {"append": {"Shops": ["A"]}}}
    inside = event(profile={"meta": meta})
    beside = event()
    beside["data"]["attributes"]["profile"]["data"]["meta"] = meta
    answered = [
        call(twin, "POST", "/api/events", body, revision=revision).status_code
        for revision in ("2026-07-15", "2026-10-15")
        for body in (inside, beside)
    ]
    assert answered == [202, 400, 400, 202]


@pytest.mark.parametrize("who", [{"email": None}, {"email": None, "first_name": "Sarah"}, {"email": ""}])
def test_somebody_must_be_meant(twin: Twin, who: dict[str, Any]) -> None:
    assert ("One or more identifiers is required", EVENT_PROFILE) in problems(post_event(twin, profile=who))
    assert ("One or more identifiers is required", "/data/attributes") in problems(import_profile(twin, **who))


@pytest.mark.parametrize(
    "email", ["nobody", "a@b", "a b@shop.com", "a@@shop.com", "a@-shop.com", "x" * 92 + "@shop.com"]
)
def test_a_bad_email_is_pointed_at(twin: Twin, email: str) -> None:
    assert problems(post_event(twin, email=email)) == [("Invalid email address", f"{EVENT_PROFILE}/email")]
    assert problems(import_profile(twin, email=email)) == [("Invalid email address", "/data/attributes/email")]


@pytest.mark.parametrize("email", ["o'neil+shop@mail.co.uk", "A.B@shop-2.io", "x" * 91 + "@shop.com"])
def test_a_good_email_is_taken(twin: Twin, email: str) -> None:
    assert post_event(twin, email=email).status_code == 202


# Phones

BAD_PHONES = ["555", "5551234567", "+1", "+1555123456789012", "1-202-555-0123", "+999123456789", "+1555123"]


@pytest.mark.parametrize("phone", BAD_PHONES)
def test_a_bad_phone_is_400_with_a_pointer(twin: Twin, phone: str) -> None:
    answer = post_event(twin, profile={"phone_number": phone})
    assert (answer.status_code, problems(answer)) == (400, [(PHONE_WORDS, f"{EVENT_PROFILE}/phone_number")])
    assert answer.json()["errors"][0]["title"] == "Invalid input."
    assert problems(import_profile(twin, phone_number=phone)) == [(PHONE_WORDS, "/data/attributes/phone_number")]


@pytest.mark.parametrize("phone", ["+442079460958", "+15005550006", "+12025550123"])
def test_a_valid_phone_is_taken_however_the_switch_stands(twin: Twin, phone: str) -> None:
    assert post_event(twin, profile={"phone_number": phone}).status_code == 202
    twin.settings(possible_only="refused")
    assert post_event(twin, profile={"phone_number": phone}).status_code == 202


def test_a_phone_that_is_only_possible_is_taken_or_refused_by_switch(twin: Twin) -> None:
    assert post_event(twin, profile={"phone_number": "+15551234567"}).status_code == 202
    twin.settings(possible_only="refused")
    assert post_event(twin, profile={"phone_number": "+15551234567"}).status_code == 400


def test_today_a_bad_phone_beside_an_email_is_ignored_with_a_header(twin: Twin) -> None:
    twin.settings(phone_mode="partial")
    answer = post_event(twin, profile={"phone_number": "555"})
    assert (answer.status_code, answer.headers["X-Klaviyo-Partial-Failure"]) == (202, "phone_number")
    assert twin.events()[0]["profile"] == {"email": EMAIL}
    assert import_profile(twin, phone_number="555").headers["X-Klaviyo-Partial-Failure"] == "phone_number"
    assert twin.profiles()[0]["attributes"].get("phone_number") is None


def test_a_bad_phone_alone_is_400_in_either_mode(twin: Twin) -> None:
    twin.settings(phone_mode="partial")
    assert post_event(twin, email=None, profile={"phone_number": "555"}).status_code == 400


def test_the_phone_mode_can_differ_between_endpoints(twin: Twin) -> None:
    twin.settings(phone_mode={"events": "partial"})
    assert post_event(twin, profile={"phone_number": "555"}).status_code == 202
    assert import_profile(twin, phone_number="555").status_code == 400
    job = bulk(({"email": EMAIL, "phone_number": "555"}, [{}]))
    assert call(twin, "POST", "/api/event-bulk-create-jobs", job).status_code == 400


def test_a_good_call_says_nothing_of_partial_failure(twin: Twin) -> None:
    twin.settings(phone_mode="partial")
    assert "X-Klaviyo-Partial-Failure" not in post_event(twin, profile={"phone_number": "+12025550123"}).headers


def test_the_old_spelling_of_the_phone_is_data_unless_switched(twin: Twin) -> None:
    told = {"properties": {"$phone_number": "555"}}
    assert post_event(twin, profile=told).status_code == 202
    twin.settings(legacy_phone="judged")
    assert pointers(post_event(twin, profile=told)) == [f"{EVENT_PROFILE}/properties/$phone_number"]


# Sizes


def test_a_body_over_5_mb_is_413_and_one_just_under_is_read(twin: Twin) -> None:
    filler = {"properties": {str(number): "x" * 90_000 for number in range(55)}}
    assert post_event(twin, **filler).status_code == 202
    filler["properties"] |= {"more": "x" * 90_000}
    assert post_event(twin, **filler).status_code == 413


def test_a_profile_in_an_event_holds_95_kb_and_one_alone_100(twin: Twin) -> None:
    told = {"properties": {"Note": "x" * 97_000}}
    assert pointers(post_event(twin, profile=told)) == [EVENT_PROFILE]
    assert import_profile(twin, **told).status_code == 201
    assert import_profile(twin, properties={"Note": "x" * 99_000, "More": "x" * 2_000}).status_code == 400


# Bulk


def test_a_bulk_job_is_202_without_body(twin: Twin) -> None:
    job = bulk(({"email": EMAIL}, [{"unique_id": "1"}, {"unique_id": "2"}]), ({"email": "b@shop.com"}, [{}]))
    answer = call(twin, "POST", "/api/event-bulk-create-jobs", job)
    assert (answer.status_code, answer.content) == (202, b"")
    assert [(row["email"], row["unique_id"]) for row in twin.events()] == [
        (EMAIL, "1"),
        (EMAIL, "2"),
        ("b@shop.com", None),
    ]


def test_one_bad_item_refuses_the_whole_job_and_is_pointed_at(twin: Twin) -> None:
    job = bulk(({"email": EMAIL}, [{}]), ({"email": "b@shop.com", "phone_number": "555"}, [{}, {"unique_id": "2"}]))
    answer = call(twin, "POST", "/api/event-bulk-create-jobs", job)
    assert pointers(answer) == [f"{GROUP}/1/attributes/profile/data/attributes/phone_number"]
    assert twin.events() == []


def test_a_bad_event_of_a_job_is_pointed_at(twin: Twin) -> None:
    job = bulk(({"email": EMAIL}, [{}, {"unique_id": "2", "value": "1"}]))
    answer = call(twin, "POST", "/api/event-bulk-create-jobs", job)
    assert pointers(answer) == [f"{GROUP}/0/attributes/events/data/1/attributes/value"]


def test_an_event_of_a_job_has_no_profile_of_its_own(twin: Twin) -> None:
    job = bulk(({"email": EMAIL}, [event()["data"]["attributes"]]))
    answer = call(twin, "POST", "/api/event-bulk-create-jobs", job)
    assert pointers(answer) == [f"{GROUP}/0/attributes/events/data/0/attributes/profile"]


def test_a_repeated_id_inside_a_job_refuses_it(twin: Twin) -> None:
    twice = ({"email": EMAIL}, [{"unique_id": "1"}])
    answer = call(twin, "POST", "/api/event-bulk-create-jobs", bulk(twice, twice))
    assert pointers(answer) == [f"{GROUP}/1/attributes/events/data/0/attributes/unique_id"]


@pytest.mark.parametrize(("count", "status"), [(1000, 202), (1001, 400)])
def test_a_job_holds_a_thousand_events(twin: Twin, count: int, status: int) -> None:
    job = bulk(({"email": EMAIL}, [{"unique_id": str(number)} for number in range(count)]))
    assert call(twin, "POST", "/api/event-bulk-create-jobs", job).status_code == status
    assert len(twin.events()) == (count if status == 202 else 0)


def test_backfill_of_a_group_holds_for_its_events_unless_they_say_otherwise(twin: Twin) -> None:
    job = bulk(({"email": EMAIL}, [{"unique_id": "1"}, {"unique_id": "2", "backfill": False}]), backfill=True)
    call(twin, "POST", "/api/event-bulk-create-jobs", job)
    assert [row["backfill"] for row in twin.events()] == [True, False]


# Deletion


@pytest.mark.parametrize(
    ("who", "status"),
    [
        ({"email": EMAIL}, 202),
        ({"phone_number": "+12025550123"}, 202),
        ({}, 400),
        ({"email": EMAIL, "phone_number": "+12025550123"}, 400),
    ],
)
def test_a_deletion_names_exactly_one_identifier(twin: Twin, who: dict[str, str], status: int) -> None:
    body = {"data": {"type": "data-privacy-deletion-job", "attributes": {"profile": {"data": profile(**who)["data"]}}}}
    body["data"]["attributes"]["profile"]["data"]["attributes"] = who
    answer = call(twin, "POST", "/api/data-privacy-deletion-jobs", body)
    assert (answer.status_code, answer.content == b"") == (status, status == 202)
