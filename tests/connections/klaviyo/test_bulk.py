"""Bulk jobs, byte by byte, and whom a pointer means."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from connections.klaviyo.bulk import bulk, bulk_body, meant, take_apart
from connections.klaviyo.exchange import Problem
from connections.klaviyo.payloads import EventContent, ProfileContent, render, with_identity_only

ANN = ProfileContent(email="ann@klaviyo-demo.com", first_name="Ann")
BEN = ProfileContent(email="ben@klaviyo-demo.com", first_name="Ben")
AT = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)
DATA = "/data/attributes/events-bulk-create/data"


def event(unique_id: str, who: ProfileContent = ANN, **properties: Any) -> bytes:
    content = EventContent(
        metric="Placed Order", unique_id=unique_id, happened_at=AT, properties=properties, value=Decimal("29.90")
    )
    return render(content, who).body


def groups(body: bytes) -> list[dict[str, Any]]:
    return [group["attributes"] for group in json.loads(body)["data"]["attributes"]["events-bulk-create"]["data"]]


def ids(group: dict[str, Any]) -> list[str]:
    return [item["attributes"]["unique_id"] for item in group["events"]["data"]]


def test_a_job_groups_by_person_and_keeps_each_ones_order() -> None:
    job = groups(bulk_body([event("1"), event("2", BEN), event("3")]))
    assert [ids(group) for group in job] == [["1", "3"], ["2"]]
    assert [group["profile"]["data"]["attributes"]["email"] for group in job] == [ANN.email, BEN.email]


def test_it_is_known_whose_part_is_where() -> None:
    job = bulk([take_apart(event("1")), take_apart(event("2", BEN)), take_apart(event("3"))])
    owners = [json.loads(job.body[start:end])["attributes"]["profile"] for start, end in job.parts]
    assert [owner["data"]["attributes"]["email"] for owner in owners] == [ANN.email, BEN.email, ANN.email]
    assert job.places == ((0, 0), (1, 0), (0, 1))


def test_an_item_says_what_its_single_call_would_say_digit_for_digit() -> None:
    body = event("1", Note='A "profile":{"data":1} in a text', profile={"data": "a key of that name"})
    said = json.loads(body, parse_float=Decimal)["data"]["attributes"]
    job = json.loads(bulk_body([body]), parse_float=Decimal)
    group = job["data"]["attributes"]["events-bulk-create"]["data"][0]["attributes"]
    assert group["profile"] == said.pop("profile")
    assert group["events"]["data"][0]["attributes"] == said
    assert b'"value":29.90' in bulk_body([body])


def test_a_group_carries_the_newest_profile_that_says_more_than_the_address() -> None:
    moved = ProfileContent(email=ANN.email, first_name="Anna")
    (group,) = groups(bulk_body([event("1"), event("2", moved), with_identity_only(event("3"))]))
    assert group["profile"]["data"]["attributes"]["first_name"] == "Anna"


@pytest.mark.parametrize(
    ("pointer", "items"),
    [
        (f"{DATA}/0/attributes/profile/data/attributes/phone_number", [0, 2]),
        (f"{DATA}/0/attributes/events/data/1/attributes/value", [2]),
        (f"{DATA}/1", [1]),
        (f"{DATA}/12/attributes/profile", []),
        (DATA, []),
        ("/data", []),
        ("", []),
    ],
)
def test_a_pointer_means_a_person_or_one_item(pointer: str, items: list[int]) -> None:
    job = bulk([take_apart(event("1")), take_apart(event("2", BEN)), take_apart(event("3"))])
    assert sorted(meant(job, [Problem("invalid", pointer, "")])) == items


def test_what_is_no_event_is_not_taken() -> None:
    with pytest.raises(ValueError, match="not the body"):
        take_apart(render(None, ANN).body)
