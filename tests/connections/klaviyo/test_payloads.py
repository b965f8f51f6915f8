"""Bodies of Klaviyo's calls: exact bytes, Klaviyo's limits, and the variations that lanes ask for."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from connections.klaviyo.bulk import bulk_body
from connections.klaviyo.payloads import (
    EventContent,
    LimitExceeded,
    ProfileContent,
    render,
    with_backfill,
    with_identity_only,
    without_phone,
)

AT = datetime(2025, 8, 30, 12, tzinfo=UTC)
SARAH = ProfileContent(
    email="sarah.mason@klaviyo-demo.com",
    first_name="Zoë",
    phone="+15551234567",
    properties={"CLV": "150.00", "$phone_number": "+15551234567"},
)


def order(**more: Any) -> EventContent:
    told = {"metric": "Placed Order", "unique_id": "1668", "happened_at": AT, "properties": {"OrderId": "1253"}}
    return EventContent(**{**told, "value": Decimal("29.90"), "currency": "USD", **more})


def attributes(body: bytes) -> dict[str, Any]:
    return json.loads(body)["data"]["attributes"]


def test_an_event_is_written_compactly_with_every_digit() -> None:
    assert render(order(), SARAH).body.decode() == (
        '{"data":{"type":"event","attributes":{"properties":{"OrderId":"1253"},'
        '"metric":{"data":{"type":"metric","attributes":{"name":"Placed Order"}}},'
        '"profile":{"data":{"type":"profile","attributes":{"email":"sarah.mason@klaviyo-demo.com",'
        '"phone_number":"+15551234567","first_name":"Zoë","properties":{"CLV":"150.00","$phone_number":"+15551234567"}}}},'
        '"unique_id":"1668","value":29.90,"value_currency":"USD","time":"2025-08-30T12:00:00+00:00"}}}'
    )


def test_a_profile_alone_goes_to_profile_import() -> None:
    call = render(None, SARAH)
    assert call.path == "/api/profile-import"
    assert json.loads(call.body)["data"]["type"] == "profile"


def test_only_a_profile_alone_clears_a_property() -> None:
    person = ProfileContent(email="a@klaviyo-demo.com", properties={"NextChargeDate": None, "CLV": "1.00"})
    assert attributes(render(None, person).body)["properties"] == {"NextChargeDate": None, "CLV": "1.00"}
    told = attributes(render(order(), person).body)["profile"]["data"]["attributes"]
    assert told["properties"] == {"CLV": "1.00"}


def test_no_value_no_currency() -> None:
    told = attributes(render(order(value=None), SARAH).body)
    assert "value" not in told
    assert "value_currency" not in told


@pytest.mark.parametrize("amount", ["0.10", "0.30000000000000004", "123456789012.34", "0"])
def test_an_amount_never_becomes_a_float(amount: str) -> None:
    assert f'"value":{amount},' in render(order(value=Decimal(amount)), SARAH).body.decode()


# ── Variations ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_without_phone_takes_both_spellings_and_nothing_else() -> None:
    full = render(order(), SARAH).body.decode()
    expected = full.replace('"phone_number":"+15551234567",', "").replace(',"$phone_number":"+15551234567"', "")
    assert without_phone(full.encode()).decode() == expected


def test_without_phone_works_for_a_profile_and_for_a_bulk_job() -> None:
    profile, job = without_phone(render(None, SARAH).body), without_phone(bulk_body([render(order(), SARAH).body]))
    assert b"+1555" not in profile
    assert b"+1555" not in job
    assert b'"value":29.90' in job


def test_without_phone_leaves_a_body_without_one_as_it_is() -> None:
    body = render(order(), ProfileContent(email="a@klaviyo-demo.com", properties={"CLV": "1.00"})).body
    assert without_phone(body) == body


def test_history_carries_identity_only() -> None:
    told = attributes(with_identity_only(render(order(), SARAH).body))
    assert told["profile"]["data"]["attributes"] == {"email": "sarah.mason@klaviyo-demo.com"}
    assert told["properties"] == {"OrderId": "1253"}


def test_backfill_is_the_only_difference() -> None:
    assert with_backfill(render(order(), SARAH).body) == render(order(), SARAH, backfill=True).body
    assert with_backfill(render(None, SARAH).body) == render(None, SARAH).body


# ── Limits ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_long_text_is_cut_and_named() -> None:
    call = render(order(properties={"Note": "é" * 60_000}), SARAH)
    assert len(attributes(call.body)["properties"]["Note"].encode()) <= 100_000
    assert call.notes == ("Klaviyo takes texts up to 100 KB; Note was cut.",)


def test_too_many_properties_and_entries_are_cut_and_named() -> None:
    many = {f"p{number}": "x" for number in range(500)}
    call = render(order(properties={"Items": [{"a": "b"}] * 5000, **many}), SARAH)
    assert len(attributes(call.body)["properties"]) == 400
    assert len(attributes(call.body)["properties"]["Items"]) == 4000
    assert len(call.notes) == 2


def test_deep_nesting_is_cut_and_named() -> None:
    deep: Any = "bottom"
    for _ in range(20):
        deep = {"in": deep}
    assert "bottom" not in render(order(properties={"Deep": deep}), SARAH).body.decode()


def test_a_large_profile_loses_its_last_properties() -> None:
    person = ProfileContent(
        email="a@klaviyo-demo.com", properties={"CLV": "1.00", "tracking1": "x" * 60_000, "tracking2": "y" * 60_000}
    )
    call = render(order(), person)
    assert set(attributes(call.body)["profile"]["data"]["attributes"]["properties"]) == {"CLV", "tracking1"}
    assert call.notes == ("Klaviyo takes profiles up to 95 KB; left out: tracking2.",)


@pytest.mark.parametrize(
    ("change", "limit"),
    [
        ({"unique_id": "x" * 256}, "unique_id"),
        ({"unique_id": ""}, "unique_id"),
        ({"metric": "x" * 128}, "metric_name"),
        ({"happened_at": datetime(1999, 12, 31, tzinfo=UTC)}, "time"),
        ({"happened_at": AT + timedelta(days=366)}, "time"),
        ({"properties": {f"p{number}": "x" * 90_000 for number in range(60)}}, "body_size"),
    ],
)
def test_what_cannot_be_trimmed_is_refused_by_the_limits_name(change: dict[str, Any], limit: str) -> None:
    with pytest.raises(LimitExceeded) as refused:
        render(order(**change), SARAH, now=AT)
    assert refused.value.limit == limit
