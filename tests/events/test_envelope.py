"""Which field is wrong, and which identity a record without an envelope gets."""

import pytest

from events.envelope import Envelope, NoEnvelope, clean, read_envelope
from tests.events.door import an_event


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"webhook_type": None}, "webhook_type"),
        ({"webhook_type": ""}, "webhook_type"),
        ({"webhook_type": "x" * 41}, "webhook_type"),
        ({"webhook_event": ["order_updated"]}, "webhook_event"),
        ({"webhook_event_id": True}, "webhook_event_id"),
        ({"webhook_event_id": 5325.0}, "webhook_event_id"),
        ({"webhook_event_id": " "}, "webhook_event_id"),
        ({"webhook_event_id": {}}, "webhook_event_id"),
        ({"webhook_event_id": "9" * 201}, "webhook_event_id"),
        ({"webhook_event_date": 20250930}, "webhook_event_date"),
        ({"webhook_data": []}, "webhook_data"),
        ({"webhook_data": None}, "webhook_data"),
    ],
)
def test_a_wrong_field_is_named(change, field):
    with pytest.raises(NoEnvelope) as refused:
        read_envelope(an_event(**change))
    assert (refused.value.field, refused.value.code) == (field, "field_invalid")


@pytest.mark.parametrize("field", ["webhook_type", "webhook_event", "webhook_event_id", "webhook_data"])
def test_a_missing_field_is_named(field):
    event = an_event()
    del event[field]
    with pytest.raises(NoEnvelope, match=f"{field} is missing"):
        read_envelope(event)


@pytest.mark.parametrize("record", [1, None, "text", []])
def test_what_is_no_object_is_no_event(record):
    with pytest.raises(NoEnvelope, match="is a JSON object"):
        read_envelope(record)


def test_integer_and_text_ids_are_the_same_identity():
    assert read_envelope(an_event(5325)) == read_envelope(an_event("5325"))


def test_a_new_kind_of_fact_is_no_reason_to_refuse():
    event = an_event(webhook_type="meteor", webhook_event="meteor_seen")
    assert read_envelope(event).webhook_event == "meteor_seen"
    assert read_envelope(an_event(webhook_type="customer", webhook_event="customer_created")).webhook_type == "customer"


@pytest.mark.parametrize(
    ("record", "identity"),
    [
        (
            {"transaction_id": 7, "order_id": 3, "date_complete": "2025-01-02 03:04:05"},
            "rest:transaction:7:transaction_completed:2025-01-02 03:04:05",
        ),
        (
            {"transaction_id": 7, "date_complete": None, "date_created": "2025-01-01 00:00:00"},
            "rest:transaction:7:transaction_scheduled:2025-01-01 00:00:00",
        ),
        (
            {"shipment_id": 9, "date_complete": "0000-00-00 00:00:00", "date_created": "2025-01-01 00:00:00"},
            "rest:shipment:9:shipment_scheduled:2025-01-01 00:00:00",
        ),
        (
            {"order_offer_id": 5, "order_id": 3, "date_modified": "2025-02-01 00:00:00"},
            "rest:order_offer:5:order_offer_updated:2025-02-01 00:00:00",
        ),
        ({"customer_id": 1}, "rest:customer:1:customer_created:"),
    ],
)
def test_a_bare_record_gets_an_identity_of_its_id_and_its_own_date(record, identity):
    assert read_envelope(record).event_id == identity


def test_a_record_that_nothing_names_is_refused():
    with pytest.raises(NoEnvelope, match="no record id"):
        read_envelope({"hello": "world"})


def test_text_columns_get_nothing_that_they_cannot_hold():
    assert clean("a\0b\ud800c") == "a\ufffdb?c"
    assert read_envelope(an_event("a\0b")) == Envelope(
        "transaction", "transaction_completed", "a\ufffdb", "2025-09-30 18:46:19"
    )
